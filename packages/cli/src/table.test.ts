import { describe, expect, it } from "vitest";
import { formatTable } from "./table.ts";

describe("a table", () => {
  it("shows what a terminal would act on, and is as wide as that", () => {
    const name = "a\u001b[31m\u009b\u202eb";
    expect(formatTable(["name", "size"], [[name, "1"]])).toBe(
      `${"name".padEnd(26)}  size\n${"a\\u{1b}[31m\\u{9b}\\u{202e}b".padEnd(26)}  1`,
    );
  });

  it("makes each column as wide as its widest cell, and leaves no trailing spaces", () => {
    const rows = [
      ["web", "12", "file"],
      ["configuration", "4", ""],
    ];
    expect(formatTable(["name", "size", "kind"], rows, { rightAligned: ["size"] })).toBe(
      ["name           size  kind", "web              12  file", "configuration     4"].join("\n"),
    );
  });
});
