import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CellAccess } from "../cell-access.ts";
import { isPortFree } from "../process/free-ports.ts";
import { isAlive } from "../process/is-alive.ts";
import { monotonicMs } from "../process/monotonic.ts";
import { type Check, Checks } from "./checks.ts";
import { Ledger } from "./ledger.ts";
import { LockWatch } from "./lock-watch.ts";
import { ReportLog, type Scene } from "./scene.ts";
import { SessionKeeper } from "./session-keeper.ts";
import { type Sabotage, Stage } from "./stage.ts";
import { playStory } from "./story.ts";

export type ScriptOptions = {
  readonly cells: CellAccess;
  readonly sabotage: Sabotage | undefined;
  readonly sessionLeaseMs: number;
  readonly lockDelayMs: number;
  readonly signal: AbortSignal;
  readonly onCheck: (check: Check) => void;
  readonly tell: (atMs: number, what: string, why: string) => void;
};

/**
 * Plays the story unattended in a directory of its own, and leaves nothing behind: no process, no
 * port, no file. What cannot be played to the end is a broken check too.
 */
export async function runScript(options: ScriptOptions): Promise<Checks> {
  const { sessionLeaseMs, lockDelayMs, sabotage, signal } = options;
  const checks = new Checks(options.onCheck);
  const begunAtMs = monotonicMs();
  const directory = mkdtempSync(join(tmpdir(), "cubby-demo-"));
  const reports = new ReportLog();
  const onReport = (report: Parameters<ReportLog["add"]>[0]): void => reports.add(report);
  try {
    const stage = await Stage.open({ directory, sessionLeaseMs, lockDelayMs, sabotage, onReport });
    const keeper = new SessionKeeper(options.cells, stage.cell.url, sessionLeaseMs);
    const scene: Scene = {
      stage,
      checks,
      reports,
      watch: new LockWatch(),
      ledger: new Ledger("/ls/local/demo"),
      cells: options.cells,
      session: () => keeper.get(),
      sessionLeaseMs,
      lockDelayMs,
      sabotage,
      signal,
      tell: (what, why) => options.tell(monotonicMs() - begunAtMs, what, why),
    };
    const pids = await playAndClose(scene, keeper);
    await checkNothingLeft(scene, pids);
  } catch (error) {
    // An abort is the user's own wish; the rest is a finding.
    if (!signal.aborted) {
      const value = error instanceof Error ? error.message : String(error);
      checks.add("story-played-to-the-end", false, value, "no act gets stuck");
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  return checks;
}

/** Every process id that was alive at the end of the story. */
async function playAndClose(scene: Scene, keeper: SessionKeeper): Promise<readonly number[]> {
  const { stage } = scene;
  try {
    await playStory(scene);
    return Object.values(stage.processIds);
  } finally {
    await keeper.close();
    await stage.close();
  }
}

async function checkNothingLeft({ stage, checks }: Scene, pids: readonly number[]): Promise<void> {
  const alive = pids.filter(isAlive);
  const taken: number[] = [];
  for (const port of stage.ports) {
    if (!(await isPortFree(port))) taken.push(port);
  }
  const left = { processes: alive, ports: taken };
  const none = alive.length === 0 && taken.length === 0;
  checks.add("nothing-left-behind", none, left, "no process and no port", { ended: pids.length });
}
