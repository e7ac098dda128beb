/**
 * Writes packages/delta/src/generated/unpack.ts: one function for each bit width that takes 32
 * packed values out of their words. `npx tsx tools/generate-delta-kernels.ts`; with --check it says
 * whether the file is current, and writes nothing.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const TARGET = fileURLToPath(
  new URL("../packages/delta/src/generated/unpack.ts", import.meta.url),
);
const LANE_VALUES = 32;
const STRIDE = 4;

export function generateKernels(): string {
  const lines = [
    "// Made by tools/generate-delta-kernels.ts; edit that.",
    "",
    "type W = Int32Array;",
    "",
    "/** Lanes i to e - 1, 32 values each, words 4 apart: sum = (sum & keep) + base + value. Answers the last. */",
    "export type Unpack = (p: W, i: number, e: number, out: W, o: number, base: number, sum: number, keep: number) => number;",
    "",
  ];
  for (let width = 1; width <= 32; width += 1) lines.push(...kernel(width));
  const names = Array.from({ length: 33 }, (_, width) => (width === 0 ? "undefined" : `u${width}`));
  lines.push(`export const UNPACK: readonly (Unpack | undefined)[] = [${names.join(", ")}];`, "");
  return lines.join("\n");
}

function kernel(width: number): string[] {
  const lines = [
    `function u${width}(p: W, i: number, e: number, out: W, o: number, base: number, sum: number, keep: number): number {`,
    "  for (; i < e; i += 1, o += 32) {",
    "    let a = p[i] as number;",
  ];
  const mask = width === 32 ? -1 : 2 ** width - 1;
  let word = 0;
  for (let value = 0; value < LANE_VALUES; value += 1) {
    const first = Math.floor((value * width) / 32);
    const shift = (value * width) % 32;
    if (first !== word) {
      lines.push(`    a = p[i + ${first * STRIDE}] as number;`);
      word = first;
    }
    const part = shift === 0 ? "a" : `(a >>> ${shift})`;
    const target = value === 0 ? "o" : `o + ${value}`;
    if (shift + width <= 32) {
      const bits = shift + width === 32 ? part : `(${part} & ${mask})`;
      lines.push(`    out[${target}] = sum = ((sum & keep) + base + ${bits}) | 0;`);
      continue;
    }
    word = first + 1;
    lines.push(
      `    sum = (sum & keep) + base + (${part} & ${2 ** (32 - shift) - 1});`,
      `    a = p[i + ${word * STRIDE}] as number;`,
      `    out[${target}] = sum = (sum + ((a << ${32 - shift}) & ${mask})) | 0;`,
    );
  }
  return [...lines, "  }", "  return sum;", "}", ""];
}

function main(): void {
  const text = generateKernels();
  if (!process.argv.includes("--check")) writeFileSync(TARGET, text);
  else if (readFileSync(TARGET, "utf8") !== text) {
    console.error("packages/delta/src/generated/unpack.ts is stale: npx tsx tools/generate-delta-kernels.ts");
    process.exitCode = 1;
  }
}

main();
