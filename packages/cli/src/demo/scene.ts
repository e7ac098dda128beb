import type { CellAccess, CellSession } from "../cell-access.ts";
import { monotonicMs } from "../process/monotonic.ts";
import { poll } from "../process/sleep.ts";
import type { Checks } from "./checks.ts";
import type { Ledger } from "./ledger.ts";
import type { LockWatch } from "./lock-watch.ts";
import { LOCK_PATH, type Sabotage, type Stage } from "./stage.ts";
import type { WorkerRecord } from "./worker-record.ts";
import type { WorkerReport } from "./worker-report.ts";

/** What each act of the story has at hand. */
export type Scene = {
  readonly stage: Stage;
  readonly checks: Checks;
  readonly watch: LockWatch;
  readonly ledger: Ledger;
  readonly reports: ReportLog;
  readonly cells: CellAccess;
  /** The demo's own session; opened anew if the last one is over. */
  readonly session: () => Promise<CellSession>;
  readonly sessionLeaseMs: number;
  readonly lockDelayMs: number;
  readonly sabotage: Sabotage | undefined;
  readonly signal: AbortSignal;
  /** Says in words what happens and why. */
  readonly tell: (what: string, why: string) => void;
};

/** What the web servers reported, so that an act can wait for a report that comes after a moment. */
export class ReportLog {
  readonly #reports: WorkerReport[] = [];

  add(report: WorkerReport): void {
    this.#reports.push(report);
  }

  find(wanted: (report: WorkerReport) => boolean): WorkerReport | undefined {
    return this.#reports.find(wanted);
  }

  filter(wanted: (report: WorkerReport) => boolean): readonly WorkerReport[] {
    return this.#reports.filter(wanted);
  }
}

/** Longest that an election may take beyond what leases and lock-delay make it wait. */
export const ELECTION_SLACK_MS = 8_000;

/** Waits until exactly one web server leads, of a later reign than `afterGeneration`. */
export async function waitForLeader(scene: Scene, afterGeneration = 0): Promise<WorkerRecord> {
  const timeoutMs = 2 * scene.sessionLeaseMs + scene.lockDelayMs + ELECTION_SLACK_MS;
  return waitFor(scene, timeoutMs, `no leader after generation ${afterGeneration}`, () => {
    const [leader] = scene.stage.leaders.filter(({ generation }) => generation > afterGeneration);
    return leader;
  });
}

/** Waits until the job store has more jobs than now, and tells how long that took. */
export async function waitForWork(scene: Scene, timeoutMs: number): Promise<number> {
  const fromMs = monotonicMs();
  const before = (await scene.stage.store.state()).nextJob;
  return waitFor(scene, timeoutMs, "no job is done", async () => {
    const { nextJob } = await scene.stage.store.state();
    return nextJob > before ? monotonicMs() - fromMs : undefined;
  });
}

export async function waitForReport(
  scene: Scene,
  timeoutMs: number,
  what: string,
  wanted: (report: WorkerReport) => boolean,
): Promise<WorkerReport> {
  return waitFor(scene, timeoutMs, what, () => scene.reports.find(wanted));
}

export async function waitFor<T>(
  scene: Scene,
  timeoutMs: number,
  what: string,
  ask: () => Promise<T | undefined> | T | undefined,
): Promise<T> {
  return poll(ask, { timeoutMs, everyMs: 5, describe: () => what, signal: scene.signal });
}

/** Ballot of each replica that answers, by name, and who is master. */
export async function ballots(scene: Scene): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { replica, status } of await scene.stage.cell.reports()) {
    if (status !== undefined) found[`replica${replica}`] = status.ballot;
  }
  return found;
}

/** The sole leader now; an act that needs one cannot go on without. */
export function soleLeader(scene: Scene): WorkerRecord {
  const [leader, ...others] = scene.stage.leaders;
  if (leader === undefined || others.length > 0) {
    throw new Error(`${scene.stage.leaders.length} web servers lead ${LOCK_PATH}, not one.`);
  }
  return leader;
}
