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
const WIDTHS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16];

const HEAD = `// Written by tools/generate-delta-kernels.ts, which see.

type W = Int32Array;

/**
 * out[o + i] = s += q[i] + field i, for the 128 fields of a block whose words begin at p[i]. The
 * caller has seen to it that all of them are inside.
 */
export type Kernel = (p: W, i: number, out: W, o: number, s: number, q: W) => void;
`;

export function generateKernels(): string {
  return [
    HEAD,
    ...WIDTHS.map(kernel),
    "/** By width. */",
    "export const KERNELS: Readonly<Record<number, Kernel>> =",
    `  { ${WIDTHS.map((width) => `${width}: u${width}`).join(", ")} };`,
    "",
  ].join("\n");
}

/**
 * The four lanes are a loop, their 32 fields are not. Lines repeat each other as far as they can, since
 * that is what compressors look for: one place counts up for all, words are taken one after the other.
 */
function kernel(width: number): string {
  const parameter = width === 0 ? "_i" : "i";
  const lines = [
    `function u${width}(p: W, ${parameter}: number, out: W, o: number, s: number, q: W): void {`,
  ];
  // Not a constant, which compressors of code would write out each time; nor is the mask.
  lines.push("let z = 0;");
  if (width === 0) lines[0] = (lines[0] as string).replace("p: W", "_p: W");
  else lines.push("let a = 0;", `let m = ${2 ** width - 1};`);
  if (32 % width !== 0 && width > 0) lines.push("let b = 0;");
  const back = LANES * (width - 1) - 1;
  const step = width === 0 ? "" : back > 0 ? `i -= ${back}` : "i += 1";
  lines.push(`for (; z < ${LANES * LANE_VALUES}; ${step}) {`);
  if (width > 0) lines.push("a = p[i] as number;");
  for (let k = 0; k < LANE_VALUES; k += 1) {
    const shift = (k * width) % 32;
    if (shift === 0 && k > 0 && width > 0) lines.push(NEXT_WORD);
    let field = shift === 0 ? "a" : `(a >>> ${shift})`;
    if (shift + width > 32) {
      // The upper bits are in the next word, which serves the following field too.
      lines.push(`b = ${field};`, NEXT_WORD);
      field = `(b | ((a << ${32 - shift}) & m))`;
    } else if (shift + width < 32) {
      field = `(${field} & m)`;
    }
    // The parentheses leave one addition to wait for the sum before.
    const addend = `(q[z] as number)${width === 0 ? "" : ` + ${field}`}`;
    lines.push(`s = (s + (${addend})) | 0;`, "out[o + z++] = s;");
  }
  return [...lines, "}", "}", ""].join("\n");
}

const NEXT_WORD = `a = p[(i += ${LANES})] as number;`;

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
