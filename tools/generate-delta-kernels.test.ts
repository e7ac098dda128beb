import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { generateKernels } from "./generate-delta-kernels.ts";

const FILE = new URL("../packages/delta/src/generated/packed-kernels.ts", import.meta.url);

it("the committed kernels are what the generator gives", () => {
  expect(readFileSync(fileURLToPath(FILE), "utf8")).toBe(generateKernels());
});
