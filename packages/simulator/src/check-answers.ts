import { checksum64 } from "@cubby/base";
import {
  type Directory,
  decodeSequencer,
  type LockMode,
  NodeKind,
  type Stat,
} from "@cubby/protocol";
import { described, listed, type Past, type ReferenceCell } from "./reference-cell.ts";
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
