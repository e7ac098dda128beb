import { describe, expect, it } from "vitest";
import { formatTable } from "./table.ts";

describe("a table", () => {
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
