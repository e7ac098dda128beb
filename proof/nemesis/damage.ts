import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { IDENTITY_FILES, WITNESS_FILES } from "@cubby/server/core";

/** What was done to a file of a replica that does not run. */
export type Damage = {
  readonly file: string;
  readonly how: string;
  /** Whether the file is as it was left, up to what was damaged: nobody has mended or reused it. */
  isThere(): boolean;
  /** Puts back what was there, byte for byte: good only while the damage is there. */
  undo(): void;
};

const COPIES = [...IDENTITY_FILES, ...WITNESS_FILES];

/** One copy of what is kept twice: recovery must mend it. */
export function damageCopy(directory: string, draws: readonly number[]): Damage {
  const [which = 0, how = 0, where = 0] = draws;
  const file = join(directory, pick(COPIES, which) ?? "");
  return how < 0.5 ? flip(file, where, 64) : cut(file, where);
}

/** The newest snapshot: an older one and the journal make up for it, or the replica says so. */
export function damageSnapshot(directory: string, draws: readonly number[]): Damage | undefined {
  const [, how = 0, where = 0] = draws;
  const newest = filesLike(directory, /^snapshot-\d+$/).at(-1);
  if (newest === undefined) return undefined;
  return how < 0.5 ? flip(newest, where) : cut(newest, where);
}

/** A bit or the end of a segment: the replica must find it, unless nothing needs it any more. */
export function damageJournal(directory: string, draws: readonly number[]): Damage | undefined {
  const [which = 0, how = 0, where = 0] = draws;
  const file = pick(filesLike(directory, /^segment-/), which);
  if (file === undefined) return undefined;
  return how < 0.7 ? flip(file, where) : cut(file, where);
}

/** A bit, and one that is set if there is one: what is empty is not in use. */
function flip(file: string, where: number, within = Number.POSITIVE_INFINITY): Damage {
  const bytes = readFileSync(file);
  let at = Math.floor(where * Math.min(bytes.length, within));
  for (let i = 0; i < bytes.length && bytes[at] === 0; i += 1) at = (at + 1) % bytes.length;
  const old = bytes[at] ?? 0;
  const write = (value: number): void => {
    const fd = openSync(file, "r+");
    writeSync(fd, Uint8Array.of(value), 0, 1, at);
    fsyncSync(fd);
    closeSync(fd);
  };
  const flipped = old ^ (1 << Math.floor(where * 8));
  write(flipped);
  bytes[at] = flipped;
  const left = bytes.subarray(0, at + 1);
  return {
    file,
    how: `a bit of byte ${at} flipped`,
    isThere: () =>
      existsSync(file) &&
      readFileSync(file)
        .subarray(0, at + 1)
        .equals(left),
    undo: () => write(old),
  };
}

function cut(file: string, where: number): Damage {
  const bytes = readFileSync(file);
  const length = Math.floor(where * statSync(file).size);
  truncateSync(file, length);
  return {
    file,
    how: `cut to ${length} of ${bytes.length} bytes`,
    isThere: () => existsSync(file) && readFileSync(file).equals(bytes.subarray(0, length)),
    undo: () => writeFileSync(file, bytes),
  };
}

function filesLike(directory: string, pattern: RegExp): string[] {
  if (!existsSync(directory)) return [];
  const names = readdirSync(directory).filter((name) => pattern.test(name));
  return names.sort((a, b) => Number(a > b) - Number(a < b)).map((name) => join(directory, name));
}

function pick<T>(items: readonly T[], draw: number): T | undefined {
  return items[Math.floor(draw * items.length)];
}
