/**
 * Writes packages/delta/src/generated/packed-kernels.ts: for each of the usual widths of bits a
 * function that takes 128 packed fields out of their words and sums them. `npx tsx tools/generate-delta-kernels.ts`;
 * with `--check` it writes nothing and fails when the committed file is not current.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";

const NAME = "packages/delta/src/generated/packed-kernels.ts";
const FILE = fileURLToPath(new URL(`../${NAME}`, import.meta.url));
const LANES = 4;
const LANE_VALUES = 32;
/** Wider fields are rare, and a kernel for each costs bytes in every program that uses the package. */
const WIDTH_MAX = 12;

const HEAD = `// Written by tools/generate-delta-kernels.ts, which see.

type W = Int32Array;

/**
 * out[o + i] = s += q[i] + field i, for the 128 fields of a block whose words begin at p[i]. The
 * caller has seen to it that all of them are inside.
 */
export type Kernel = (p: W, i: number, out: W, o: number, s: number, q: W) => void;
`;

export function generateKernels(): string {
  const widths = Array.from({ length: WIDTH_MAX + 1 }, (_, width) => width);
  return [
    HEAD,
    ...widths.map(kernel),
    `export const KERNELS: readonly Kernel[] = [${widths.map((width) => `u${width}`).join(", ")}];`,
    "",
  ].join("\n");
}

/** The four lanes are a loop, their 32 fields are not. */
function kernel(width: number): string {
  const lines = [
    `function u${width}(${width === 0 ? "_p" : "p"}: W, i: number, out: W, o: number, s: number, q: W): void {`,
  ];
  lines.push(
    `for (let z = 0; z < ${LANES * LANE_VALUES}; z += ${LANE_VALUES}, o += ${LANE_VALUES}, i += 1) {`,
  );
  if (width > 0) lines.push("let a = p[i] as number;");
  if (width > 0 && 32 % width !== 0) lines.push("let b = 0;");
  let word = 0;
  for (let k = 0; k < LANE_VALUES; k += 1) {
    const wanted = Math.floor((k * width) / 32);
    const shift = (k * width) % 32;
    if (wanted > word) lines.push(`a = p[i + ${LANES * wanted}] as number;`);
    word = Math.max(word, wanted);
    let field = shift === 0 ? "a" : `(a >>> ${shift})`;
    if (shift + width > 32) {
      // The upper bits are in the next word, which serves the following field too.
      word += 1;
      lines.push(`b = ${field};`);
      lines.push(`a = p[i + ${LANES * word}] as number;`);
      field = `(b | ((a << ${32 - shift}) & ${2 ** width - 1}))`;
    } else if (shift + width < 32) {
      field = `(${field} & ${2 ** width - 1})`;
    }
    // The parentheses leave one addition to wait for the sum before.
    const addend = `(q[z + ${k}] as number)${width === 0 ? "" : ` + ${field}`}`;
    lines.push(`s = (s + (${addend})) | 0;`, `out[o + ${k}] = s;`);
  }
  return [...lines, "}", "}", ""].join("\n");
}

function main(): void {
  const fresh = generateKernels();
  if (!process.argv.includes("--check")) {
    writeFileSync(FILE, fresh);
    console.log(`${NAME} is written`);
    return;
  }
  if (readFileSync(FILE, "utf8") !== fresh) {
    throw new Error(`${NAME} is stale: run \`npx tsx tools/generate-delta-kernels.ts\``);
  }
  console.log(`${NAME} is current`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
