import { checksum64 } from "@cubby/base";
import { type Directory, decodeSequencer, LockMode, NodeKind, type Stat } from "@cubby/protocol";
import { listed, type ReferenceCell } from "./reference-cell.ts";
import type { About, Hold } from "./script.ts";
import { Violation } from "./violation.ts";

/** What was known for sure when a call was made. */
type Known = {
  /** An index of the log that the cell had answered from. */
  readonly index: number;
  /** A generation at which the lock had been granted. */
  readonly lockGeneration: number;
};

/** 9, 14: metadata of a node as it was once; `hold` is the caller's own while the lock is held. */
export function checkStat(
  reference: ReferenceCell,
  { path, instance }: About,
  known: Known,
  stat: Stat,
  hold: Hold | undefined,
): void {
  const wrong = (what: string): Violation =>
    new Violation(9, "stat", `${path} at ${stat.instance}: ${what}`);
  const { contentGeneration, lockGeneration, lockMode, lockHolders } = stat;
  if (stat.instance !== instance) throw wrong(`its handle is of instance ${instance}`);
  if (lockGeneration < known.lockGeneration) {
    throw wrong(`its lock is at ${lockGeneration} after ${known.lockGeneration} was granted`);
  }
  const isHeldRight =
    lockMode === LockMode.EXCLUSIVE
      ? lockHolders === 1
      : lockHolders > 0 === (lockMode === LockMode.SHARED);
  if (!isHeldRight) throw wrong(`its lock is in mode ${lockMode} with ${lockHolders} holders`);
  if (hold !== undefined && (lockMode !== hold.mode || lockGeneration !== hold.generation)) {
    throw wrong(
      `who holds its lock at ${hold.generation} is told ${lockMode} at ${lockGeneration}`,
    );
  }
  if (stat.kind === NodeKind.DIRECTORY) {
    const counts = reference.listingsSince(path, instance, known.index);
    const isRight = counts.some(({ children }) => countOf(children) === stat.childCount);
    if (!isRight) throw wrong(`it never had ${stat.childCount} children`);
    return;
  }
  const version = reference.version(path, instance, contentGeneration);
  if (version === undefined) throw wrong(`nobody wrote generation ${contentGeneration}`);
  const { contents } = version;
  if (stat.sizeBytes !== contents.length || stat.checksum !== checksum64(contents)) {
    throw wrong(`size or checksum of generation ${contentGeneration} is wrong`);
  }
}

/**
 * 9: what a directory is said to hold is what it held at one index, and at none that was out of date
 * when the call was made. That index is the result.
 */
export function checkDirectory(
  reference: ReferenceCell,
  { path, instance }: About,
  known: Known,
  { entries, more }: Directory,
): number {
  const told = entries.map(({ name, stat }) => listed(name, stat?.instance ?? 0)).join(" ");
  const listings = reference.listingsSince(path, instance, known.index);
  const found = listings.find(({ children }) => children === told);
  if (found !== undefined && !more) return found.index;
  const expected = listings.map(({ index, children }) => `${index}: ${children}`).join(", ");
  const detail = `${path} is said to hold ${told}${more ? ", and more" : ""}; it held ${expected}`;
  throw new Violation(9, "directory-read", detail);
}

/** SEQ-1: a sequencer says what was granted. */
export function checkToken(
  { path, instance }: About,
  mode: LockMode,
  generation: number,
  sequencer: Uint8Array,
): void {
  const token = decodeSequencer(sequencer);
  const isRight =
    token.name === path &&
    token.instance === instance &&
    token.mode === mode &&
    token.lockGeneration === generation;
  if (isRight) return;
  const detail = `${path}/${instance} in mode ${mode} at ${generation} has the sequencer ${JSON.stringify(token)}`;
  throw new Violation(14, "sequencers-true", detail);
}

function countOf(children: string): number {
  return children === "" ? 0 : children.split(" ").length;
}
