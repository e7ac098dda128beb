import { assert } from "@cubby/base";

/** A tag is a uint32, and 0 is none. */
export const TAG_MAX = 0xffff_ffff;

export function tagAfter(tag: number): number {
  return tag === TAG_MAX ? 1 : tag + 1;
}

/**
 * The first tag from `tag` on that is not in use: an Acquire may wait for so long that the tags of
 * its connection come round to its own.
 */
export function freeTagFrom(tag: number, used: ReadonlyMap<number, unknown>): number {
  assert(tag >= 1 && tag <= TAG_MAX && used.size < TAG_MAX, "there is a free tag");
  let free = tag;
  // Each turn but the last passes one that is in use.
  for (let turns = 0; used.has(free); turns += 1) {
    assert(turns < used.size, "a tag beyond all that are in use is free");
    free = tagAfter(free);
  }
  return free;
}
