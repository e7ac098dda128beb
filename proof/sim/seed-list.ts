/** Seeds that failed once, and are run for ever: `seeds.txt`, one a line. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export type ListedSeed = {
  readonly seed: string;
  readonly date: string;
  readonly why: string;
};

const FILE = fileURLToPath(new URL("seeds.txt", import.meta.url));
const LINE = /^(\S+)\s+(\d{4}-\d{2}-\d{2})\s+(\S.*)$/;

export function readSeedList(): ListedSeed[] {
  return parseSeedList(readFileSync(FILE, "utf8"));
}

export function parseSeedList(text: string): ListedSeed[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
  return lines.map((line) => {
    const [, seed, date, why] = LINE.exec(line.trim()) ?? [];
    if (seed === undefined || date === undefined || why === undefined) {
      throw new Error(`seeds.txt: "${line}" is not a seed, a date, and why`);
    }
    return { seed, date, why };
  });
}

export function seedLine({ seed, date, why }: ListedSeed): string {
  return `${seed}  ${date}  ${why}`;
}
