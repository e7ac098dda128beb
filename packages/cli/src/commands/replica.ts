import { setTimeout as sleep } from "node:timers/promises";
import { CubbyError, ERROR_CODES } from "@cubby/protocol";
import {
  addressText,
  configFlags,
  createLog,
  effectiveConfig,
  formatDirectory,
  type LoadedConfig,
  loadConfig,
  readConfigFile,
  SETTINGS,
  type ServedReplica,
  serve,
} from "@cubby/server";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import { parseCount, parseDirectory, printJson, withExamples } from "../options.ts";
import { endProcess, endProcessNow } from "../process/end-process.ts";
import { aborted, whenToldToEnd } from "../process/told-to-end.ts";

const REPLICA_MAX = 1_023;
/** How long a replica that is told to end may still take to start. */
const START_MS = 5_000;
const SEGMENT_MIB_MAX = 1_024;
const MIB = 1024 * 1024;
const CELL_ID = /^[0-9a-f]{32}$/;

/** `init` and `serve`: one replica's directory, and one replica. */
export function addReplicaCommands(program: Command, context: Context): void {
  addInit(program, context);
  addServe(program, context);
}

type InitOptions = {
  readonly data: string;
  readonly cell: string;
  readonly cellId?: string;
  readonly replica: string;
  readonly segmentMib: string;
  readonly json?: boolean;
};

function addInit(program: Command, context: Context): void {
  const command = program
    .command("init")
    .description("format a directory for one replica of a cell")
    .requiredOption("--data <dir>", "the directory; made when missing, refused when in use")
    .option("--cell <name>", "the cell's bare name, no URL", "local")
    .option("--cell-id <hex>", "the cell's id, the same for all its replicas (default: a new one)")
    .option("--replica <n>", "this replica's number, never used again for another", "1")
    .option(
      "--segment-mib <n>",
      "size of the first journal segment; later ones have what `serve` is told",
      "64",
    )
    .option("--json", "print JSON")
    .action(async (options: InitOptions) => {
      if (options.cellId !== undefined && !CELL_ID.test(options.cellId)) {
        throw new CubbyError("invalid_argument", "A cell id is 32 hexadecimal digits.");
      }
      const segmentMib = parseCount(options.segmentMib, "--segment-mib", 1, SEGMENT_MIB_MAX);
      const replicaId = parseCount(options.replica, "--replica", 1, REPLICA_MAX);
      const identity = await formatDirectory({
        dataDir: parseDirectory(options.data, "--data"),
        cellName: options.cell,
        replicaId,
        segmentBytes: segmentMib * MIB,
        ...(options.cellId === undefined ? {} : { cellId: options.cellId }),
      });
      if (options.json === true) return printJson(context, { data: options.data, ...identity });
      context.writeOut(
        `${options.data} is formatted: cell ${identity.cellName}, cell id ${identity.cellId}, ` +
          `replica ${identity.replica}, incarnation ${identity.incarnation}.\n`,
      );
    });
  withExamples(
    command,
    "cubby init --data /var/lib/cubby --cell prod --replica 1",
    "cubby init --data /var/lib/cubby --cell prod --replica 2 --cell-id 00112233445566778899aabbccddeeff",
  );
}

type ServeOptions = Readonly<Record<string, string | boolean | undefined>> & {
  readonly config?: string;
  readonly printConfig?: boolean;
  readonly json?: boolean;
};

function addServe(program: Command, context: Context): void {
  const command = program
    .command("serve")
    .description("run one replica; without --peers it is a cell of its own")
    .option("--config <file>", "settings as JSON; flags and CUBBY_… variables go before it")
    .option("--print-config", "print the settings in effect and where each comes from, and exit")
    .option("--json", "print JSON: a line when it serves, or the settings");
  for (const { flag, argument, help } of configFlags()) {
    command.option(argument === undefined ? `--${flag}` : `--${flag} <${argument}>`, help);
  }
  command.action(async (options: ServeOptions) => {
    const loaded = configOf(options, context);
    if (options.printConfig !== true) {
      await runReplica(loaded, context, options.json === true);
      return;
    }
    for (const warning of loaded.warnings) context.writeError(`cubby: ${warning}\n`);
    if (options.json === true) printJson(context, configAsJson(loaded));
    else context.writeOut(effectiveConfig(loaded));
  });
  withExamples(
    command,
    "cubby serve --data ./data",
    "cubby serve --config replica-1.json",
    "cubby serve --data /var/lib/cubby --replica 1 --peers 1@10.0.0.1:7071,2@10.0.0.2:7071,3@10.0.0.3:7071 …",
  );
}

function configOf(options: ServeOptions, context: Context): LoadedConfig {
  const flags: Record<string, string | boolean | undefined> = {};
  for (const { name, flag } of configFlags()) flags[name] = options[camelCase(flag)];
  const { config } = options;
  return loadConfig({
    flags,
    environment: context.env,
    file: config === undefined ? undefined : readConfigFile(config),
  });
}

/** Each setting as the file of --config may have it, and where it comes from. */
function configAsJson({ config, sources }: LoadedConfig): Record<string, unknown> {
  return Object.fromEntries(
    configFlags().map(({ name }) => {
      const value = config[name];
      const { kind } = SETTINGS[name] as { kind: { print(value: unknown): string } };
      const isPlain = typeof value === "number" || typeof value === "boolean";
      return [name, { value: isPlain ? value : kind.print(value), source: sources[name] }];
    }),
  );
}

/** As commander names what `--session-address` sets. */
function camelCase(flag: string): string {
  return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

async function runReplica(
  { config, warnings }: LoadedConfig,
  context: Context,
  json: boolean,
): Promise<void> {
  const log = createLog(config.logLevel, { cell: config.cellName, replica: config.replicaId });
  // However it ends; what has been written by then is not written again.
  process.once("exit", () => log.flushSync());
  // A failed assertion: the replica must not go on, and its journal is as good as after a kill.
  let served: ServedReplica | undefined;
  let hasFailed = false;
  process.on("uncaughtException", (error) => {
    log.flushSync();
    context.writeError(`${error.stack ?? error.message}\n`);
    // The disk of a busy replica is at work nearly always: its turns go on without it until that is done.
    if (served === undefined || hasFailed) endProcessNow(ERROR_CODES.internal.exitCode);
    hasFailed = true;
    served.halt();
    void endProcess(ERROR_CODES.internal.exitCode);
  });
  for (const warning of warnings) log.warn({ warning }, "configuration");
  const end = whenToldToEnd();
  try {
    const starting = serve(config, log);
    served = await Promise.race([starting, startGivenUp(end.signal)]);
    if (served === undefined) {
      // As after a kill: its disk, or a name server, does not answer.
      log.warn({ signal: end.by }, "told to end, and not started yet");
      return;
    }
    if (json) printJson(context, { ready: true, ...addressesOf(served) });
    const ended = await Promise.race([served.ended, aborted(end.signal)]);
    if (ended !== undefined) {
      // Why it ended says more than that its disk does not answer any more.
      await served.stop().catch((error) => log.warn({ error }, "its directory stays locked"));
      throw new CubbyError(ended.code, ended.detail);
    }
    log.info({ signal: end.by }, "told to end");
    await served.stop();
  } finally {
    end.stopListening();
    log.flushSync();
  }
}

/** Once it was told to end, and had a while to start and to end in order. */
async function startGivenUp(signal: AbortSignal): Promise<undefined> {
  await aborted(signal);
  await sleep(START_MS, undefined, { ref: false });
}

function addressesOf(served: ServedReplica): Record<string, string | null> {
  const { sessionAddress, peerAddress, httpAddress } = served;
  return {
    session: addressText(sessionAddress),
    peer: addressText(peerAddress),
    http: httpAddress === undefined ? null : addressText(httpAddress),
  };
}
