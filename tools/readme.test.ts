import { describe, expect, it } from "vitest";
import { markedBlocks } from "./readme.ts";

const FENCE = "```";
const MARK = "<!-- ci: run -->";

describe("markedBlocks", () => {
  it("takes the marked blocks and leaves the others", () => {
    const markdown = `# Title

${FENCE}sh
npm run dev
${FENCE}

${MARK}
${FENCE}sh
npm ci
npx cubby --help
${FENCE}

${MARK}

${FENCE}bash
true
${FENCE}
`;
    expect(markedBlocks(markdown)).toEqual([
      { line: 7, script: "npm ci\nnpx cubby --help\n" },
      { line: 13, script: "true\n" },
    ]);
  });

  it("refuses a mark that runs nothing", () => {
    expect(() => markedBlocks(`${MARK}\ntext\n`)).toThrow("1 marks, 0 blocks");
    expect(() => markedBlocks(`${MARK}\n${FENCE}ts\nx();\n${FENCE}\n`)).toThrow('in "ts"');
  });

  it("refuses a page that marks nothing", () => {
    expect(() => markedBlocks("# Title\n")).toThrow("marks no block");
  });
});
