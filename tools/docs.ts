/**
 * Writes those parts of the docs that are tables in the code: `npm run docs`. With `--check` it
 * writes nothing and fails when a committed page is not what the code gives.
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ERROR_CODES, type ErrorCode, type ErrorRow, Status } from "@cubby/protocol";
import { configReference } from "@cubby/server";
import { createLaneCounters } from "../packages/server/src/lane.ts";
import { Metrics } from "../packages/server/src/metrics.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

type Page = {
  /** From the root. */
  readonly path: string;
  /** The page as it must be, given the page as it is. */
  readonly write: (present: string) => string;
};

export const PAGES: readonly Page[] = [
  { path: "docs/reference/errors.md", write: errorsPage },
  { path: "docs/reference/config.md", write: configPage },
  { path: "docs/reference/metrics.md", write: metricsPage },
  {
    path: "docs/operations.md",
    write: (present) => withSection(present, "exit statuses", exitStatusTable()),
  },
];

/** The pages that are not what the code gives, by path. */
export function stalePages(): Map<string, string> {
  const stale = new Map<string, string>();
  for (const { path, write } of PAGES) {
    const present = readIfThere(join(ROOT, path));
    const wanted = write(present);
    if (wanted !== present) stale.set(path, wanted);
  }
  return stale;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

function heading(title: string, source: string): string {
  return `# ${title}\n\nGenerated from \`${source}\` by \`npm run docs\`: do not edit.\n`;
}

/** Of the error table's wire ids. */
const REPLICA_ERRORS_FROM = 200;
/**
 * A wrong command line; a journal of a newer version; a failed assertion; at the start, no file
 * descriptor, and no name server.
 */
const ENDS_A_REPLICA_TOO: readonly ErrorCode[] = [
  "invalid_argument",
  "unsupported",
  "internal",
  "overloaded",
  "unreachable",
];

const GROUPS: readonly { readonly title: string; readonly from: number; readonly to: number }[] = [
  { title: "Calls", from: 1, to: 99 },
  { title: "The connection", from: 100, to: 119 },
  { title: "The client", from: 120, to: 139 },
  { title: "Files that a command reads or writes", from: 140, to: 199 },
  { title: "A replica that cannot start or go on", from: REPLICA_ERRORS_FROM, to: 999 },
];

function errorsPage(): string {
  const parts = [
    heading("Errors", "packages/protocol/src/errors.ts"),
    `One class, \`CubbyError\`: \`code\`, \`retryable\`, \`outcome\`, and a message that says what happened, to
what, and what to do. A **not-applied** operation has not taken effect and will not; after
**unknown**, read the state back. **Retry** means that the same call may succeed later, unchanged.
The outcome below is that of a refusal by the cell. An error may know better and say not-applied, and a
change that its caller gave up once it was sent says unknown (\`cancelled\`, \`handle_poisoned\`,
\`client_closed\`): go by the error's own. A \`deadline_exceeded\` that says not-applied is
\`retryable\`. **Exit** is the exit code of \`cubby\`.
`,
  ];
  const rows: (ErrorRow & { code: string })[] = Object.entries(ERROR_CODES).map(([code, row]) => ({
    code,
    ...row,
  }));
  for (const { title, from, to } of GROUPS) {
    const lines = rows
      .filter(({ id }) => id >= from && id <= to)
      .map(
        ({ code, id, outcome, retry, httpStatus, exitCode, help }) =>
          `| \`${code}\` | ${id} | ${outcome} | ${retry ? "yes" : "no"} | ${httpStatus} | ${exitCode} | ${help} |`,
      );
    parts.push(
      `## ${title}\n`,
      "| code | id | outcome | retry | HTTP | exit | what to do |",
      "| --- | --- | --- | --- | --- | --- | --- |",
      ...lines,
      "",
    );
  }
  return parts.join("\n");
}

function configPage(): string {
  return `${heading("Configuration", "packages/server/src/config.ts")}
The settings of one replica, for \`cubby serve\`. A flag goes before an environment variable, which
goes before the file (\`--config FILE\`, one JSON object), which goes before the default. A key that
is no setting is refused, with the nearest one named; \`cubby serve --print-config\` shows what is in
effect and where each value comes from.

${configReference()}
Some hold only together, and are refused otherwise:

- \`masterLeaseRenewMs\` is at most a quarter of what a master holds of \`masterLeaseMs\`, which is nine tenths of it: 135 ms
  for a lease of 600 ms. So a lease survives two lost renewals.
- \`heartbeatMs\` is at most a third of \`electionTimeoutMs\`: so does a leader two lost heartbeats.
- \`segmentBytes\` is a multiple of 4,096.
- \`peers\`, where it is given, names this replica too, and \`sessionAddresses\` the same replicas.

\`sessionsMax\`, \`nodesMax\`, \`childrenMax\`, \`reads\`, \`masterLeaseMs\` and \`masterLeaseRenewMs\` hold for the
cell as the present master has them: give all replicas the same, or they change with the master.
`;
}

function metricsPage(): string {
  const metrics = new Metrics({
    status: () => Status.create(),
    proposed: () => 0,
    lanes: { session: createLaneCounters(), http: createLaneCounters() },
    peers: {
      counters: {
        bytesIn: 0,
        bytesOut: 0,
        framesIn: 0,
        framesOut: 0,
        droppedTotal: 0,
        dialsTotal: 0,
        refusedTotal: 0,
      },
      peers: () => [],
    },
  });
  return `${heading("Metrics", "packages/server/src/metrics.ts")}
What \`GET /metrics\` of each replica gives, in Prometheus' text format.

${metrics.reference()}`;
}

/** What ends a replica, by exit status: one status may have more than one reason. */
function exitStatusTable(): string {
  const codes = (Object.keys(ERROR_CODES) as ErrorCode[]).filter(
    (code) => ERROR_CODES[code].id >= REPLICA_ERRORS_FROM || ENDS_A_REPLICA_TOO.includes(code),
  );
  codes.sort((a, b) => ERROR_CODES[a].exitCode - ERROR_CODES[b].exitCode);
  const rows = codes.map((code) => {
    const { exitCode, help } = ERROR_CODES[code];
    return `| ${exitCode} | \`${code}\` | ${help} |`;
  });
  return ["| status | reason | what to do |", "| --- | --- | --- |", ...rows].join("\n");
}

/** Replaces what stands between the marks of a section. */
function withSection(present: string, name: string, text: string): string {
  const begin = `<!-- generated: ${name} -->`;
  const end = "<!-- end -->";
  const from = present.indexOf(begin);
  const to = present.indexOf(end, from);
  if (from === -1 || to === -1) throw new Error(`There is no ${begin} … ${end} to fill.`);
  return `${present.slice(0, from + begin.length)}\n${text}\n${present.slice(to)}`;
}

function main(): void {
  const stale = stalePages();
  const checks = process.argv.includes("--check");
  for (const [path, wanted] of stale) {
    if (checks) {
      console.error(`${path} is not what the code gives: run \`npm run docs\`.`);
      process.exitCode = 1;
      continue;
    }
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), wanted);
    console.log(`wrote ${path}`);
  }
  if (stale.size === 0) console.log(`${PAGES.length} pages are current`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) main();
