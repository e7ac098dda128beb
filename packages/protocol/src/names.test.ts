import { describe, expect, it } from "vitest";
import { baseName, parentOf, pathProblem, quoted, relativeNameProblem } from "./names.ts";

describe("names", () => {
  it("accepts paths below /ls/<cell>", () => {
    for (const path of ["/ls/local", "/ls/local/a", "/ls/local/web/läder/领导", "/ls/c/a b"]) {
      expect(pathProblem(path)).toBeUndefined();
    }
  });

  it("says what is wrong with a malformed path", () => {
    expect(pathProblem("")).toContain("does not start");
    expect(pathProblem("/etc/passwd")).toContain("does not start");
    expect(pathProblem("/ls/")).toContain("empty part");
    expect(pathProblem("/ls/local//a")).toContain("empty part");
    expect(pathProblem("/ls/local/a/")).toContain("empty part");
    expect(pathProblem("/ls/local/../b")).toContain('".."');
    expect(pathProblem("/ls/local/a\n")).toContain("control character");
    expect(pathProblem("/ls/local/\ud800")).toContain("well-formed");
  });

  it("counts the bound of a name in UTF-8 bytes", () => {
    const prefix = "/ls/local/";
    expect(pathProblem(prefix + "a".repeat(1024 - prefix.length))).toBeUndefined();
    expect(pathProblem(prefix + "a".repeat(1025 - prefix.length))).toContain("1024");
    expect(pathProblem(prefix + "ä".repeat(600))).toContain("1024");
  });

  it("keeps relative names relative (API-1)", () => {
    expect(relativeNameProblem("a/b")).toBeUndefined();
    expect(relativeNameProblem("/ls/local/a")).toContain("not relative");
    expect(relativeNameProblem("")).toContain("empty part");
  });

  it("ends at the cell's root", () => {
    expect(parentOf("/ls/local/a/b")).toBe("/ls/local/a");
    expect(parentOf("/ls/local/a")).toBe("/ls/local");
    expect(parentOf("/ls/local")).toBeUndefined();
    expect(baseName("/ls/local/a/b")).toBe("b");
  });

  it("quotes a hostile name harmlessly", () => {
    expect(quoted("a\u001b[2J")).toBe('"a\\u001b[2J"');
    expect(quoted("x".repeat(2000)).length).toBeLessThan(90);
  });
});
