import { PACKAGES, type PackageRow } from "./floors.ts";
import type { Finding, SourceFile } from "./source-file.ts";

const PURE_LIB = ["ES2023"];

type Project = {
  readonly compilerOptions?: { readonly types?: unknown; readonly lib?: unknown };
  readonly references?: readonly { readonly path: string }[];
};

type Manifest = {
  readonly name?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
};

/** Package manifests and compiler projects, as far as the tree has them; paths from the root. */
export function checkProjects(files: readonly SourceFile[]): Finding[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const base = parse<Project>(byPath.get("tsconfig.base.json"));
  const findings: Finding[] = [];
  for (const { path } of files) {
    const directory = /^packages\/([^/]+)\/package\.json$/.exec(path)?.[1];
    if (directory === undefined) continue;
    const row = PACKAGES.find((each) => each.directory === directory);
    if (row === undefined) {
      const message = "a package without a floor: give it a row in tools/floors.ts.";
      findings.push({ path, line: 1, message });
      continue;
    }
    findings.push(...checkManifest(row, byPath), ...checkPurity(row, byPath, base));
  }
  return findings;
}

/** Every dependency that a manifest declares has its line of reason in docs/dependencies.md. */
export function checkReasons(files: readonly SourceFile[]): Finding[] {
  const reasons = files.find(({ path }) => path === "docs/dependencies.md");
  const findings: Finding[] = [];
  for (const file of files) {
    if (!file.path.endsWith("package.json")) continue;
    const manifest = parse<Manifest>(file);
    for (const name of Object.keys({ ...manifest?.dependencies, ...manifest?.devDependencies })) {
      const isOurs = PACKAGES.some((row) => row.name === name);
      if (isOurs || reasons?.text.includes(`\`${name}\``)) continue;
      const message = `${name} has no reason: add a line for it to docs/dependencies.md.`;
      findings.push({ path: file.path, line: 1, message });
    }
  }
  return findings;
}

/** `tsc -b` builds in the order of references: a dependency without one is built by luck. */
function checkManifest(row: PackageRow, byPath: ReadonlyMap<string, SourceFile>): Finding[] {
  const path = `packages/${row.directory}/package.json`;
  const manifest = parse<Manifest>(byPath.get(path));
  const project = parse<Project>(byPath.get(`packages/${row.directory}/tsconfig.json`));
  const findings: Finding[] = [];
  if (manifest?.name !== row.name) {
    findings.push({ path, line: 1, message: `the floor table calls this package ${row.name}.` });
  }
  const referenced = (project?.references ?? []).map((each) => each.path.replace("../", ""));
  for (const dependency of PACKAGES) {
    const isDeclared = manifest?.dependencies?.[dependency.name] !== undefined;
    const isReferenced = referenced.includes(dependency.directory);
    if (isDeclared === isReferenced) continue;
    const message = isDeclared
      ? `${dependency.name} is a dependency: add ../${dependency.directory} to the references in tsconfig.json.`
      : `tsconfig.json references ../${dependency.directory}: declare ${dependency.name} as a dependency.`;
    findings.push({ path, line: 1, message });
  }
  return findings;
}

/** The compiler is the first net of determinism: it must know no platform. */
function checkPurity(
  row: PackageRow,
  byPath: ReadonlyMap<string, SourceFile>,
  base: Project | undefined,
): Finding[] {
  if (row.purity === "shell") return [];
  const name = row.purity === "pure" ? "tsconfig.json" : "tsconfig.core.json";
  const path = `packages/${row.directory}/${name}`;
  const project = parse<Project>(byPath.get(path));
  if (project === undefined) {
    return [{ path, line: 1, message: `is missing: the pure part of ${row.name} needs it.` }];
  }
  const options = { ...base?.compilerOptions, ...project.compilerOptions };
  const findings: Finding[] = [];
  if (JSON.stringify(options.types) !== "[]") {
    const message = 'a pure package compiles with "types": []: no setTimeout, process, or Buffer.';
    findings.push({ path, line: 1, message });
  }
  if (JSON.stringify(options.lib) !== JSON.stringify(PURE_LIB)) {
    const message = `a pure package compiles with "lib": ${JSON.stringify(PURE_LIB)} and no more.`;
    findings.push({ path, line: 1, message });
  }
  return findings;
}

function parse<T>(file: SourceFile | undefined): T | undefined {
  return file === undefined ? undefined : (JSON.parse(file.text) as T);
}
