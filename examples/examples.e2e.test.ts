import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LocalCell } from "cubby";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const TSX = fileURLToPath(new URL("../node_modules/.bin/tsx", import.meta.url));

/** Its output, line by line; fails if it does not end well. */
async function run(example: string, url: string, ...args: string[]): Promise<string[]> {
  const path = fileURLToPath(new URL(`${example}.ts`, import.meta.url));
  const child = spawn(TSX, [path, ...args], {
    env: { ...process.env, CUBBY_CELL: url },
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 30_000,
  });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  expect({ code, output }).toEqual({ code: 0, output });
  return output.trimEnd().split("\n");
}

describe("the examples, on a cell of one replica", () => {
  const directory = mkdtempSync(join(tmpdir(), "cubby-examples-"));
  let cell: LocalCell;

  beforeAll(async () => {
    cell = await LocalCell.create({ directory, replicas: 1, segmentBytes: 1 << 20 });
    await cell.startAll();
    await cell.waitReady();
  });

  afterAll(async () => {
    await cell?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it("elects one leader after the other", async () => {
    expect(await run("elect-a-leader", cell.url)).toEqual([
      "web2 sees that web1:8080 leads",
      "web1 leads",
      ...tasksOf("web1"),
      "web1 resigns",
      "web2 leads",
      ...tasksOf("web2"),
      "web2 resigns",
    ]);
  });

  it("refuses a write that arrives after the lock has passed on", async () => {
    expect(await run("fence-a-resource", cell.url)).toEqual([
      'written: "alice pays 10"',
      'written: "bob pays 5"',
      'refused: "alice pays 20", the lock has passed on since',
      "alice's sequencer is stale",
      "bob's sequencer is valid",
    ]);
  });

  it("runs a nightly job on one of three machines, and not again", async () => {
    const night = "2026-11-23";
    expect(await run("run-once-across-machines", cell.url, night)).toEqual([
      `the report of ${night}: 1 of 3 machines ran it`,
    ]);
    expect(await run("run-once-across-machines", cell.url, night)).toEqual([
      `the report of ${night}: 0 of 3 machines ran it`,
    ]);
  });

  it("loses no change of a shared configuration", async () => {
    expect(await run("shared-configuration", cell.url)).toEqual([
      'limits.json: {"uploads":15,"downloads":100}',
      "a stale write: generation_mismatch, not-applied",
    ]);
  });
});

it("keeps a day of prices in little memory, to the bit", async () => {
  expect(await run("prices-in-little-memory", "")).toEqual([
    "100.5, then +0.25, -0.15, +0.5, -0.2",
    "and back: 100.5, 100.75, 100.6, 101.1, 100.9",
    "86400 prices; the third is 100.6",
    "60 of them around noon",
    "from the file: the same to the bit",
    "of the doubles' memory it takes less than a tenth",
  ]);
});

function tasksOf(name: string): string[] {
  return [1, 2, 3].map((task) => `${name} does task ${task}`);
}
