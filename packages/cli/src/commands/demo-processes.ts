import type { Command } from "commander";
import type { Context } from "../context.ts";
import { JobStore } from "../demo/job-store.ts";
import { serveJobStore } from "../demo/job-store-server.ts";
import { parseCount } from "../options.ts";
import { aborted, whenToldToEnd } from "../process/told-to-end.ts";

/** The processes that the demo starts beside its replicas; not shown in the help. */
export function addDemoProcesses(program: Command, context: Context): void {
  addJobStore(program, context);
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
      const server = await serveJobStore(store, parseCount(options.port, "--port", 0, 65_535));
      context.writeOut(`${server.url}\n`);
      await aborted(end.signal);
      await server.close();
      store.close();
      end.stopListening();
    });
}
