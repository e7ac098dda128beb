import type { Command } from "commander";
import type { Context } from "../context.ts";
import { JobStore } from "../demo/job-store.ts";
import { serveJobStore } from "../demo/job-store-server.ts";
import { runUsurper } from "../demo/usurper.ts";
import { runWebServer, type WebServerOptions } from "../demo/web-server.ts";
import { formatReport } from "../demo/worker-report.ts";
import { parseCount } from "../options.ts";
import { monotonicMs } from "../process/monotonic.ts";
import { aborted, whenToldToEnd } from "../process/told-to-end.ts";

const PORT_MAX = 65_535;
const MINUTE_MS = 60_000;

/** The processes that the demo starts beside its replicas; not shown in the help. */
export function addDemoProcesses(program: Command, context: Context): void {
  addJobStore(program, context);
  addWebServer(program, context);
}

function addJobStore(program: Command, context: Context): void {
  program
    .command("demo-job-store", { hidden: true })
    .description("stores job results, and refuses stale sequencers")
    .requiredOption("--data <dir>", "where it keeps jobs and the greatest sequencer")
    .requiredOption("--lock <path>", "the lock whose sequencers it takes")
    .option("--port <n>", "on loopback; 0 takes a free one", "0")
    .option("--no-check", "sabotage: do not look at sequencers")
    .action(async (options: { data: string; lock: string; port: string; check: boolean }) => {
      const end = whenToldToEnd();
      const store = new JobStore({
        directory: options.data,
        lockPath: options.lock,
        checksSequencers: options.check,
      });
      const server = await serveJobStore(store, parseCount(options.port, "--port", 0, PORT_MAX));
      context.writeOut(`${server.url}\n`);
      await aborted(end.signal);
      await server.close();
      store.close();
      end.stopListening();
    });
}

type WebServerFlags = {
  readonly name: string;
  readonly cell: string;
  readonly lock: string;
  readonly store: string;
  readonly leaseMs: string;
  readonly lockDelayMs: string;
  readonly usurp?: boolean;
};

function addWebServer(program: Command, context: Context): void {
  program
    .command("demo-web-server", { hidden: true })
    .description("a web server that does background jobs while it leads")
    .requiredOption("--name <name>", "what it is called")
    .requiredOption("--cell <url>", "the cell")
    .requiredOption("--lock <path>", "the lock whose holder leads")
    .requiredOption("--store <url>", "the job store")
    .requiredOption("--lease-ms <n>", "its session lease")
    .requiredOption("--lock-delay-ms <n>", "how long the lock stays closed if it fails")
    .option("--usurp", "sabotage: lead without the lock")
    .action(async (flags: WebServerFlags) => {
      const end = whenToldToEnd();
      const options: WebServerOptions = {
        name: flags.name,
        cell: flags.cell,
        lockPath: flags.lock,
        storeUrl: flags.store,
        leaseMs: parseCount(flags.leaseMs, "--lease-ms", 0, MINUTE_MS),
        lockDelayMs: parseCount(flags.lockDelayMs, "--lock-delay-ms", 0, MINUTE_MS),
        signal: end.signal,
        report: (news) => {
          const about = { worker: flags.name, pid: process.pid, atMs: monotonicMs() };
          context.writeOut(formatReport({ ...about, ...news }));
        },
      };
      await (flags.usurp === true ? runUsurper(options) : runWebServer(options));
      end.stopListening();
    });
}
