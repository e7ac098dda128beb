import { parseCellAddress } from "@cubby/client/core";
import { CubbyError, type Status } from "@cubby/protocol";
import type { Command } from "commander";
import type { ReplicaAnswer } from "../cell-access.ts";
import type { Context } from "../context.ts";
import {
  type CellOptions,
  cellUrl,
  printJson,
  timeoutMs,
  withCellOptions,
  withExamples,
} from "../options.ts";
import { formatTable } from "../table.ts";

/** Long enough for a busy replica; a dead one says so at once. */
const TIMEOUT_DEFAULT = "2s";

export function addStatusCommand(program: Command, context: Context): void {
  const command = program.command("status").description("ask every replica how it is");
  withCellOptions(command, TIMEOUT_DEFAULT).action(async (options: CellOptions) => {
    const url = cellUrl(context, options);
    const { cellName } = parseCellAddress(url);
    const all = await context.cells.statuses(url, { timeoutMs: timeoutMs(options) });
    const answers = all.map((answer) => refuseStranger(answer, cellName));
    if (options.json === true) printJson(context, answers);
    else context.writeOut(`${statusTable(answers)}\n`);
    if (answers.some(({ status }) => status !== undefined)) return;
    if (all.some(({ status }) => status !== undefined)) {
      throw new CubbyError("handshake_failed", `No replica that answers is of ${url}.`);
    }
    throw new CubbyError("unreachable", `No replica of ${url} answers.`);
  });
  withExamples(command, "cubby status", "cubby status --cell cubby://10.0.0.1:7070/prod --json");
}

/** Another cell's replica is none of those that were asked for, however well it is. */
function refuseStranger(answer: ReplicaAnswer, cellName: string): ReplicaAnswer {
  const { cellName: own = "" } = answer.status ?? {};
  if (own === "" || cellName === "" || own === cellName) return answer;
  const problem = `it serves the cell "${own}", not "${cellName}"`;
  return { ...answer, status: undefined, problem };
}

const HEADER = [
  "replica",
  "address",
  "role",
  "ballot",
  "chosen",
  "applied",
  "lease left",
  "sessions",
  "disk",
];

export function statusTable(answers: readonly ReplicaAnswer[]): string {
  const rows = answers.map(({ address, status, problem }) =>
    status === undefined ? ["?", address, `unreachable: ${problem}`] : statusRow(address, status),
  );
  // An unreachable replica's words may run past the columns; they are its whole row.
  return formatTable(HEADER, rows, { rightAligned: ["chosen", "applied", "lease left"] });
}

function statusRow(address: string, status: Status): string[] {
  const master = status.role === "master";
  return [
    String(status.replicaId),
    address,
    master ? "master *" : status.role,
    status.ballot,
    String(status.chosen),
    String(status.applied),
    master ? `${status.leaseLeftMs} ms` : "-",
    String(status.sessions),
    status.disk,
  ];
}
