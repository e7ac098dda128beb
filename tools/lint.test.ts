import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

type Report = {
  readonly diagnostics: readonly {
    readonly severity: string;
    readonly category: string;
    readonly message: string;
    readonly location: { readonly path: string; readonly start: { readonly line: number } };
  }[];
};

/**
 * The canary of the lint: a settings file that has lost a rule, or a release of Biome that reads it
 * differently, shows here and not as silence.
 */
describe("the lint, on the bad fixture", () => {
  let directory = "";
  let report: Report = { diagnostics: [] };

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "cubby-lint-"));
    cpSync(join(ROOT, "tools/fixtures/bad-lint"), directory, { recursive: true });
    for (const path of ["biome.json", ".gitignore", "tools/determinism.grit"]) {
      cpSync(join(ROOT, path), join(directory, path));
    }
    const biome = join(ROOT, "node_modules/.bin/biome");
    const args = ["lint", "--reporter=json", "--max-diagnostics=none", "."];
    const result = spawnSync(biome, args, { cwd: directory, encoding: "utf8" });
    expect(result.status).not.toBe(0);
    report = JSON.parse(result.stdout) as Report;
  }, 30_000);

  afterAll(() => rmSync(directory, { recursive: true }));

  function errorsIn(path: string, category: string): string[] {
    return report.diagnostics
      .filter((each) => each.severity === "error" && each.location.path === path)
      .filter((each) => each.category === category)
      .map((each) => each.message);
  }

  it.each([
    "lint/complexity/noExcessiveLinesPerFunction",
    "lint/correctness/noUndeclaredDependencies",
    "lint/nursery/useExhaustiveSwitchCases",
    "lint/style/noNonNullAssertion",
    "lint/suspicious/noEmptyBlockStatements",
    "lint/suspicious/noExplicitAny",
    "lint/suspicious/noImportCycles",
  ])("rejects what %s is for", (category) => {
    expect(errorsIn("packages/paxos/src/bad.ts", category)).not.toEqual([]);
  });

  it.each(["lint/nursery/noFloatingPromises", "lint/style/noDefaultExport", "lint/style/noEnum"])(
    "rejects what %s is for in a shell too",
    (category) => {
      expect(errorsIn("packages/server/src/bad.ts", category)).not.toEqual([]);
    },
  );

  it("keeps the clock and timers out of a pure package", () => {
    const messages = errorsIn("packages/paxos/src/bad.ts", "lint/style/noRestrictedGlobals");
    for (const name of ["Date", "performance", "setTimeout", "WeakRef"]) {
      expect(messages).toContain(`Do not use the global variable ${name}.`);
    }
  });

  it("keeps what differs between runs and machines out of a pure package", () => {
    expect(errorsIn("packages/paxos/src/bad.ts", "plugin").sort()).toEqual([
      "Draw from the seeded Rng that the caller was given (@cubby/base).",
      "Garbage collection is not deterministic: keep a strong reference and a limit.",
      "Garbage collection is not deterministic: release what you hold by name.",
      "Locales differ between machines: compare by code unit (<, >), or use OrderedMap.",
      "Pass a comparator: the default sorts everything as text.",
      "Pass a comparator: the default sorts everything as text.",
    ]);
  });

  it("leaves clocks to shells and to tests", () => {
    for (const path of ["packages/server/src/bad.ts", "packages/paxos/src/bad.test.ts"]) {
      expect(errorsIn(path, "lint/style/noRestrictedGlobals")).toEqual([]);
      expect(errorsIn(path, "plugin")).toEqual([]);
    }
  });
});
