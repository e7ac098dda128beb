import { describe, expect, it } from "vitest";
import { RULES } from "./check.ts";
import { checkImports } from "./check-imports.ts";
import { checkProjects, checkReasons } from "./check-projects.ts";
import { checkComments, checkExports, checkLength, checkNames } from "./check-text.ts";
import type { SourceFile } from "./source-file.ts";

const file = (path: string, text: string): SourceFile => ({ path, text });

/** In two pieces, so that this file does not break the rule that it tests. */
const unfinished = `TO${"DO"}`;
const broken = `FIX${"ME"}`;

function importing(path: string, specifier: string): string[] {
  const findings = checkImports([file(path, `import { x } from "${specifier}";\n`)]);
  return findings.map(({ message }) => message);
}

describe("imports", () => {
  it.each([
    ["packages/paxos/src/a.ts", "@cubby/base"],
    ["packages/cell/src/a.ts", "@cubby/protocol"],
    ["packages/server/src/core/a.ts", "@cubby/paxos"],
    ["packages/server/src/core/a.ts", "./b.ts"],
    ["packages/server/src/a.ts", "node:fs"],
    ["packages/server/src/a.ts", "./core/b.ts"],
    ["packages/cli/src/a.ts", "@cubby/server"],
    ["packages/paxos/src/a.test.ts", "vitest"],
    ["packages/protocol/src/generated/cubby.ts", "@bufbuild/protobuf/wire"],
    ["examples/lock.ts", "@cubby/client"],
  ])("lets %s import %s", (path, specifier) => {
    expect(importing(path, specifier)).toEqual([]);
  });

  it.each([
    ["upwards", "packages/base/src/a.ts", "@cubby/paxos", "imports go down only"],
    ["sideways", "packages/paxos/src/a.ts", "@cubby/protocol", "imports go down only"],
    ["sideways in a shell", "packages/server/src/a.ts", "@cubby/client", "imports go down only"],
    ["the engine from the cell", "packages/cell/src/a.ts", "@cubby/paxos", "the log is a port"],
    ["the cell from a client", "packages/client/src/a.ts", "@cubby/cell", "wire protocol alone"],
    ["the engine from a client", "packages/client/src/a.ts", "@cubby/paxos", "wire protocol"],
    ["the server from a client", "packages/client/src/a.ts", "@cubby/server", "wire protocol"],
    ["deep", "packages/cell/src/a.ts", "@cubby/base/src/bytes.ts", "reaches into a package"],
    ["deep by path", "packages/cell/src/a.ts", "../../base/src/bytes.ts", "leaves its package"],
    [
      "deep from an example",
      "examples/a.ts",
      "../packages/base/src/bytes.ts",
      "leaves its package",
    ],
    ["itself by name", "packages/base/src/a.ts", "@cubby/base", "imports itself by name"],
    ["a package unknown", "packages/cli/src/a.ts", "@cubby/raft", "no package of the house"],
    ["a built file", "packages/base/src/a.ts", "./bytes.js", "end a relative import in .ts"],
    ["without ending", "packages/base/src/a.ts", "./bytes", "end a relative import in .ts"],
    ["files from a core", "packages/paxos/src/a.ts", "node:fs", "cores do no I/O"],
    ["files from a shell's core", "packages/server/src/core/a.ts", "node:fs", "cores do no I/O"],
    ["a logger from a core", "packages/client/src/core/a.ts", "pino", "cores do no I/O"],
    ["a shell from its core", "packages/server/src/core/a.ts", "../clock.ts", "pure core into"],
  ])("refuses %s", (_what, path, specifier, expected) => {
    const messages = importing(path, specifier);
    expect(messages).toHaveLength(1);
    expect(messages[0]).toContain(expected);
  });

  it("finds every form of import, and its line", () => {
    const text = `import {
  a,
} from "@cubby/paxos";
export { b } from "@cubby/paxos";
import "@cubby/paxos";
const c = await import("@cubby/paxos");
import type { D } from "@cubby/paxos";
`;
    const findings = checkImports([file("packages/base/src/a.ts", text)]);
    expect(findings.map(({ line }) => line)).toEqual([3, 4, 5, 6, 7]);
  });
});

describe("text", () => {
  it("refuses the 801st line", () => {
    expect(checkLength([file("tools/a.ts", "\n".repeat(800))])).toEqual([]);
    expect(checkLength([file("tools/a.ts", "\n".repeat(801))])).toHaveLength(1);
  });

  it("refuses names without a subject", () => {
    for (const name of ["utils", "lock-helpers", "session-manager", "common"]) {
      expect(checkNames([file(`tools/${name}.ts`, "")])).toHaveLength(1);
    }
    expect(checkNames([file("tools/LockTable.ts", "")])).toHaveLength(1);
    expect(checkNames([file("tools/lock-table.prop.test.ts", "")])).toEqual([]);
  });

  it("refuses an index that exports whatever there is", () => {
    const text = 'export * from "./a.ts";\n';
    expect(checkExports([file("packages/base/src/index.ts", text)])).toHaveLength(1);
    expect(checkExports([file("packages/base/src/index.ts", "export { a };\n")])).toEqual([]);
  });

  it("asks for an issue number, and has no other way to leave work behind", () => {
    const comments = (text: string) => checkComments([file("tools/a.ts", `${text}\n`)]);
    expect(comments(`// ${unfinished}(#12): the rest.`)).toEqual([]);
    expect(comments(`// ${unfinished}: the rest.`)).toHaveLength(1);
    expect(comments(`const a = 1; /* ${unfinished} */`)).toHaveLength(1);
    expect(comments(` * ${broken}: wrong.`)).toHaveLength(1);
    expect(comments(`const state = "${unfinished}";`)).toEqual([]);
  });

  it("refuses commented-out code, not sentences", () => {
    const comments = (text: string) => checkComments([file("tools/a.ts", `${text}\n`)]);
    expect(comments("// const a = 1;")).toHaveLength(1);
    expect(comments("  // if (a) {")).toHaveLength(1);
    expect(comments("// return to the caller what it gave; it keeps the rest.")).toEqual([]);
  });
});

describe("projects", () => {
  const base = file(
    "tsconfig.base.json",
    JSON.stringify({ compilerOptions: { types: [], lib: ["ES2023"] } }),
  );

  function paxos(manifest: object, project: object): string[] {
    const findings = checkProjects([
      base,
      file("packages/paxos/package.json", JSON.stringify(manifest)),
      file("packages/paxos/tsconfig.json", JSON.stringify(project)),
    ]);
    return findings.map(({ message }) => message);
  }

  const goodManifest = { name: "@cubby/paxos", dependencies: { "@cubby/base": "0.1.0" } };
  const goodProject = { references: [{ path: "../base" }] };

  it("lets a pure package inherit that it has no platform", () => {
    expect(paxos(goodManifest, goodProject)).toEqual([]);
  });

  it("refuses platform types and libraries in a pure package", () => {
    const compilerOptions = { types: ["node"], lib: ["ES2023", "DOM"] };
    const messages = paxos(goodManifest, { ...goodProject, compilerOptions });
    expect(messages).toHaveLength(2);
    expect(messages[0]).toContain('"types": []');
    expect(messages[1]).toContain('"lib": ["ES2023"]');
  });

  it("refuses dependencies and references that differ", () => {
    expect(paxos(goodManifest, {})[0]).toContain("add ../base to the references");
    expect(paxos({ name: "@cubby/paxos" }, goodProject)[0]).toContain("declare @cubby/base");
  });

  it("refuses a package without a floor, and a shell without a project for its core", () => {
    const stranger = file("packages/raft/package.json", "{}");
    expect(checkProjects([base, stranger])[0]?.message).toContain("without a floor");
    const server = file("packages/server/package.json", '{ "name": "@cubby/server" }');
    expect(checkProjects([base, server])[0]?.path).toBe("packages/server/tsconfig.core.json");
  });

  it("asks a reason for each dependency", () => {
    const manifest = file("package.json", '{ "devDependencies": { "tsx": "1.0.0" } }');
    const reasons = file("docs/dependencies.md", "| `tsx` | Runs scripts. |\n");
    expect(checkReasons([manifest, reasons])).toEqual([]);
    expect(checkReasons([manifest])).toHaveLength(1);
  });
});

it("runs every rule", () => {
  const names = RULES.map(({ name }) => name);
  expect(names).toEqual([
    "imports",
    "length",
    "names",
    "exports",
    "comments",
    "projects",
    "reasons",
  ]);
});
