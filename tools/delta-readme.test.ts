import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { drawPicture, PICTURE } from "./delta-picture.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SOURCE = join(ROOT, "packages/delta/src/index.ts");
const README = readFileSync(join(ROOT, "packages/delta/README.md"), "utf8");

/** What the comment behind a statement, or in the line below a constant, says that its value is. */
const VALUE = /^(?<statement>\w.*); \/\/ (?<said>[[{\d-]|\w+Array \[).*$/;
const BELOW = /^const (?<name>\w+) = .*;$/;

const HEAD = `import { inspect as show } from "node:util";
const SHOWN = { breakLength: Number.POSITIVE_INFINITY, compact: 9 };`;

/** The block as a program that prints what its comments say, and what is so. */
function asProgram(block: string): string {
  const lines = block.split("\n");
  return lines
    .map((line, index) => {
      const { statement } = VALUE.exec(line)?.groups ?? {};
      if (statement !== undefined) return print(statement, line.slice(statement.length + 5));
      const { name } = BELOW.exec(line)?.groups ?? {};
      const next = lines[index + 1] ?? "";
      return name !== undefined && next.startsWith("// ")
        ? `${line}\n${print(name, next.slice(3))}`
        : line;
    })
    .join("\n")
    .replace('"@cubby/delta"', JSON.stringify(SOURCE));
}

function print(expression: string, said: string): string {
  return `console.log("said " + ${JSON.stringify(said)}); console.log("is   " + show(${expression}, SHOWN));`;
}

/** Lengths of arrays, spaces and quotes are as anyone likes. */
function normal(text: string): string {
  return text.replace(/\(\d+\)|\[Object: null prototype\]|[\s`'"]/g, "");
}

it("each block of the README of @cubby/delta runs, and gives what its comments say", () => {
  const directory = mkdtempSync(join(tmpdir(), "cubby-readme-"));
  try {
    const blocks = [...README.matchAll(/^```ts\n(.*?)^```/gms)].map(([, block = ""]) => block);
    expect(blocks.length).toBeGreaterThan(5);
    for (const [index, block] of blocks.entries()) {
      const path = join(directory, `block-${index}.mts`);
      writeFileSync(path, `${HEAD}\n${asProgram(block)}`);
      const tsx = join(ROOT, "node_modules/.bin/tsx");
      const { stdout, stderr, status } = spawnSync(tsx, [path], {
        cwd: directory,
        encoding: "utf8",
      });
      expect({ block, status, stderr }).toEqual({ block, status: 0, stderr: "" });
      const said = [...stdout.matchAll(/^said (.*)$/gm)].map(([, text = ""]) => normal(text));
      const is = [...stdout.matchAll(/^is {3}(.*)$/gm)].map(([, text = ""]) => normal(text));
      expect(is).toEqual(said);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}, 30_000);

it("the picture in it is the one that the code draws (else: npm run docs)", () => {
  expect(readFileSync(join(ROOT, PICTURE), "utf8") === drawPicture()).toBe(true);
});
