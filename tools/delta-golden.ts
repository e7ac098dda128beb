/**
 * Adds to packages/delta/src/test-support/golden.txt what it lacks: `npx tsx tools/delta-golden.ts`. A line
 * that is there never changes: files that users have written must be read for ever.
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { goldenExamples } from "../packages/delta/src/test-support/golden-examples.ts";

const PATH = fileURLToPath(
  new URL("../packages/delta/src/test-support/golden.txt", import.meta.url),
);

const lines = existsSync(PATH) ? readFileSync(PATH, "utf8").trimEnd().split("\n") : [];
const known = new Set(lines.map((line) => line.split(" ")[0]));
for (const { name, write } of goldenExamples()) {
  if (known.has(name)) continue;
  lines.push(`${name} ${Buffer.from(write()).toString("base64")}`);
  console.log(`added ${name}`);
}
writeFileSync(PATH, `${lines.join("\n")}\n`);
