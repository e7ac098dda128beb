import type { CellFigures } from "./cell.ts";
import type { MachineFigures } from "./machine.ts";
import { count, fixed, textTable } from "./text-table.ts";

/** What is printed for people. */
export function cellReport(figures: CellFigures): string {
  const { replicas, operations, failOver, idleSessions } = figures;
  const parts = [machineReport(figures.machine)];
  if (operations.length > 0) {
    const rows = operations.map((each) => [
      each.operation,
      `${each.inFlight}`,
      count(each.perSecond),
      fixed(each.p50Ms, 2),
      fixed(each.p99Ms, 2),
    ]);
    const rounds = operations[0]?.rounds ?? 0;
    parts.push(
      `${replicas} replicas, durable writes; medians of ${rounds} interleaved rounds`,
      textTable(["operation", "in flight", "per second", "p50 ms", "p99 ms"], rows),
    );
  }
  if (failOver !== undefined) {
    parts.push(
      `fail-over, kill -9 of the master to the next successful write: ${failOver.trials} trials, ` +
        `p50 ${count(failOver.p50Ms)} ms, max ${count(failOver.maxMs)} ms`,
    );
  }
  if (idleSessions.length > 0) {
    const rows = idleSessions.map((each) => [
      count(each.sessions),
      count(each.bytesPerSession),
      fixed(each.cpuPercent, 2),
      fixed(each.cpuMicrosPerSessionSecond, 2),
    ]);
    parts.push(
      "idle sessions, at the master: growth of its resident memory, and CPU beyond the empty " +
        `cell's ${fixed(idleSessions[0]?.emptyCpuPercent ?? Number.NaN, 2)} % of a core`,
      textTable(["sessions", "bytes each", "% of a core", "µs per session and second"], rows),
    );
  }
  if (figures.quick) parts.push("A quick run: too short for figures to be quoted.");
  return parts.join("\n\n");
}

function machineReport(machine: MachineFigures): string {
  const { fdatasyncMs, echoPerSecond } = machine;
  const rows = [
    ["CPUs, memory, Node.js", `${machine.cpus}, ${machine.memoryGiB} GiB, ${machine.node}`],
    ["fdatasync of 4 KiB, p50 / p99 ms", `${fdatasyncMs.p50} / ${fdatasyncMs.p99}`],
    ["TCP echo of 64 B a second, 1 in flight", count(echoPerSecond.depth1)],
    ["TCP echo of 64 B a second, 128 in flight", count(echoPerSecond.depth128)],
    ["rounds of an integer loop, millions a second", count(machine.loopMillionsPerSecond)],
  ];
  return textTable(["this machine", ""], rows);
}
