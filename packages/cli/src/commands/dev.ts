import type { Command } from "commander";
import type { Context } from "../context.ts";
import { LocalCell } from "../local-cell.ts";
import {
  CELL_NAME_DEFAULT,
  PORT_BASE_DEFAULT,
  parseCount,
  parseDirectory,
  printJson,
  withExamples,
} from "../options.ts";
import { type ChildExit, shellStatus } from "../process/child.ts";
import { aborted, whenToldToEnd } from "../process/told-to-end.ts";

const REPLICAS_MAX = 9;
const PORT_BASE_MAX = 65_000;

type DevOptions = {
  readonly replicas: string;
  readonly data: string;
  readonly name: string;
  readonly port: string;
  readonly logLevel: string;
  readonly json?: boolean;
};

/** `dev`: a cell on this machine, for as long as the command runs. Its data is kept. */
export function addDevCommand(
  program: Command,
  context: Context,
  onExitCode: (code: number) => void,
): void {
  const command = program
    .command("dev")
    .description("run a cell on this machine, for development")
    .option("--replicas <n>", "how many", "5")
    .option("--data <dir>", "where the cell keeps its data between runs", "./.cubby/dev")
    .option("--name <cell>", "the cell's name", CELL_NAME_DEFAULT)
    .option("--port <base>", "first port; 0 takes free ones", String(PORT_BASE_DEFAULT))
    .option("--log-level <level>", "what the replicas log, on standard error", "error")
    .option("--json", "print JSON lines")
    .action(async (options: DevOptions) => {
      const end = whenToldToEnd();
      try {
        const exitCode = await runDev(options, context, end.signal);
        onExitCode(end.exitCode ?? exitCode);
      } finally {
        end.stopListening();
      }
    });
  withExamples(command, "cubby dev", "cubby dev --replicas 3 --data /tmp/cell --port 9000");
}

/** Answers 0, or the status of the last replica if all have ended by themselves. */
async function runDev(options: DevOptions, context: Context, signal: AbortSignal): Promise<number> {
  const replicas = parseCount(options.replicas, "--replicas", 1, REPLICAS_MAX);
  const port = parseCount(options.port, "--port", 0, PORT_BASE_MAX);
  const json = options.json === true;
  let left = replicas;
  const noneLeft = new AbortController();
  await using cell = await LocalCell.create({
    directory: parseDirectory(options.data, "--data"),
    replicas,
    cellName: options.name,
    portBase: port === 0 ? undefined : port,
    settings: { logLevel: options.logLevel },
    onLine: (replica, line) => context.writeError(`[Replica${replica}] ${line}\n`),
    onExit: (replica, exit, asked) => {
      if (asked) return;
      const { code, signal: by } = exit;
      context.writeError(`[Replica${replica}] ended with ${by ?? `code ${code}`}\n`);
      left -= 1;
      if (left === 0) noneLeft.abort(exit);
    },
  });
  await cell.startAll();
  const master = await cell.waitReady({ signal }).catch((error: unknown) => {
    // Ctrl-C before it was ready.
    if (signal.aborted) return undefined;
    throw error;
  });
  if (master !== undefined) {
    const pids = cell.replicas.map((replica) => cell.pid(replica));
    if (json) printJson(context, { ready: true, url: cell.url, master, processIds: pids });
    else context.writeOut(readyText(cell.url, master, replicas));
  }
  // A replica that dies meanwhile stays dead, for looking at.
  await aborted(AbortSignal.any([signal, noneLeft.signal]));
  if (noneLeft.signal.aborted) {
    context.writeError("No replica is left. Its data is kept: start it again.\n");
    const { code, signal: by } = noneLeft.signal.reason as ChildExit;
    return shellStatus(code, by);
  }
  if (!json) context.writeError("Stopping.\n");
  return 0;
}

function readyText(url: string, master: number, replicas: number): string {
  return `
${replicas} replica${replicas === 1 ? "" : "s"}, replica ${master} is master. Ctrl-C stops all; the data is kept.

  export CUBBY_CELL=${url}

`;
}
