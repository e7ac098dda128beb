import { checksum64, equalBytes } from "@cubby/base";
import {
  type Directory,
  decodeSequencer,
  type LockMode,
  NodeKind,
  type Open,
  type Stat,
} from "@cubby/protocol";
import { described, listed, lockedAs, type Past, type ReferenceCell } from "./reference-cell.ts";
import type { About } from "./script.ts";
import { Violation } from "./violation.ts";

/** 9, 14: metadata of a node as it was at or after an index from which the cell had answered before. */
export function checkStat(
  reference: ReferenceCell,
  { path, instance }: About,
  index: number,
  stat: Stat,
): void {
  const wrong = (what: string): Violation =>
    new Violation(9, "stat", `${path} at ${stat.instance}: ${what}`);
  if (stat.instance !== instance) throw wrong(`its handle is of instance ${instance}`);
  const told = described(stat);
  const pasts = reference.metadataSince(path, instance, index);
  if (!pasts.some(({ text }) => text === told)) throw wrong(`told ${told}; it was ${all(pasts)}`);
  if (stat.kind === NodeKind.DIRECTORY) {
    const counts = reference.listingsSince(path, instance, index);
    const isRight = counts.some(({ text }) => countOf(text) === stat.childCount);
    if (!isRight) throw wrong(`it never had ${stat.childCount} children`);
    return;
  }
  const { contentGeneration } = stat;
  const version = reference.version(path, instance, contentGeneration);
  if (version === undefined) throw wrong(`nobody wrote generation ${contentGeneration}`);
  const { contents } = version;
  if (stat.sizeBytes !== contents.length || stat.checksum !== checksum64(contents)) {
    throw wrong(`size or checksum of generation ${contentGeneration} is wrong`);
  }
}

/**
 * 9: what a directory is said to hold is what it held at one index, and at none that was out of date
 * when the call was made. That index is the result. Of each child it says what was so from then on.
 */
export function checkDirectory(
  reference: ReferenceCell,
  { path, instance }: About,
  index: number,
  { entries, more }: Directory,
): number {
  const told = entries.map(({ name, stat }) => listed(name, stat?.instance ?? 0)).join(" ");
  const listings = reference.listingsSince(path, instance, index);
  const found = listings.find(({ text }) => text === told);
  if (found === undefined || more) {
    const detail = `${path} is said to hold ${told}${more ? ", and more" : ""}; it held ${all(listings)}`;
    throw new Violation(9, "directory-read", detail);
  }
  for (const { name, stat } of entries) {
    if (stat === undefined) continue;
    const child = { path: `${path}/${name}`, instance: stat.instance };
    checkStat(reference, child, Math.max(index, found.index), stat);
  }
  return found.index;
}

/** 9: what an Open made is what it asked for, and not only what the command says that a master made of it. */
export function checkCreated(
  reference: ReferenceCell,
  { path }: About,
  { kind, ephemeral, initialContents }: Open,
  stat: Stat,
): void {
  const version = reference.version(path, stat.instance, stat.contentGeneration);
  const isFile = kind === NodeKind.FILE;
  const holds = !isFile || (version !== undefined && equalBytes(version.contents, initialContents));
  if (stat.kind === kind && stat.ephemeral === ephemeral && holds) return;
  const detail = `${path} at ${stat.instance} was made otherwise than its Open asked: ${described(stat)}`;
  throw new Violation(9, "made-as-asked", detail);
}

/** SEQ-3: valid is what is held so at some instant of the call, and invalid what is not. */
export function checkValidity(
  reference: ReferenceCell,
  { path, instance, generation, mode }: Required<Omit<About, "guardedBy">>,
  index: number,
  isValid: boolean,
): void {
  const removedAt = reference.removedAt(path, instance);
  const isGone = removedAt !== undefined && removedAt <= index;
  const pasts = isGone ? [] : reference.metadataSince(path, instance, index);
  const held = pasts.filter(({ text }) => text.includes(`${lockedAs(mode, generation)} `)).length;
  const isRight = isValid ? held > 0 : removedAt !== undefined || held < pasts.length;
  if (isRight) return;
  const said = isValid ? "valid" : "stale";
  const detail = `the sequencer of ${path} in mode ${mode} at ${generation} is said to be ${said}; it was ${all(pasts)}`;
  throw new Violation(14, "sequencers-checked", detail);
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

function all(pasts: readonly Past[]): string {
  return pasts.map(({ index, text }) => `${index}: ${text}`).join(", ");
}

function countOf(children: string): number {
  return children === "" ? 0 : children.split(" ").length;
}
