/** The house of DESIGN §1 as data: which package stands on which floor, and what that allows. */

export type Purity =
  /** All of `src` does no I/O. */
  | "pure"
  /** Only `src/core` does no I/O; the rest is shell. */
  | "pure core"
  | "shell";

export type PackageRow = {
  /** The directory under packages/. */
  readonly directory: string;
  /** The name that others import. */
  readonly name: string;
  /** A package imports only from lower floors, never from its own. */
  readonly floor: number;
  readonly purity: Purity;
  /** Lower packages that it must do without all the same, and why. */
  readonly never: Readonly<Record<string, string>>;
  /** Third-party modules that its pure part may import; a shell may import what it declares. */
  readonly pureImports: readonly string[];
};

const PORT = "the log is a port: the cell knows ReplicatedLog, whatever engine is behind it";
const WIRE = "a client knows the wire protocol alone, so that the cell can change behind it";

export const PACKAGES: readonly PackageRow[] = [
  row("base", 1, "pure"),
  row("delta", 1, "pure"),
  { ...row("protocol", 2, "pure"), pureImports: ["@bufbuild/protobuf/wire"] },
  row("paxos", 2, "pure"),
  { ...row("cell", 3, "pure"), never: { "@cubby/paxos": PORT } },
  row("server", 4, "pure core"),
  {
    ...row("client", 4, "pure core"),
    never: { "@cubby/cell": WIRE, "@cubby/paxos": WIRE, "@cubby/server": WIRE },
  },
  row("testing", 5, "pure"),
  row("simulator", 5, "pure"),
  row("dashboard", 6, "shell"),
  { ...row("cli", 6, "shell"), name: "cubby" },
];

function row(directory: string, floor: number, purity: Purity): PackageRow {
  return { directory, name: `@cubby/${directory}`, floor, purity, never: {}, pureImports: [] };
}

/** The row of the package in which `path` lies. */
export function packageOf(path: string): PackageRow | undefined {
  const directory = /^packages\/([^/]+)\//.exec(path)?.[1];
  return PACKAGES.find((each) => each.directory === directory);
}

/** True for files that must do no I/O. Tests may: they run under Node. */
export function isPure(path: string): boolean {
  if (path.endsWith(".test.ts")) return false;
  const home = packageOf(path);
  if (home === undefined || home.purity === "shell") return false;
  const pureRoot = home.purity === "pure" ? "src" : "src/core";
  return path.startsWith(`packages/${home.directory}/${pureRoot}/`);
}
