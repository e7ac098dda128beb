/**
 * Five replica processes on this machine, with durable writes, under one client process: operations,
 * fail-over, idle sessions, and the machine's own limits in the same run.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BarePipeline } from "./bare-pipeline.ts";
import { REPLICAS, startCell } from "./bench-cell.ts";
import { cellReport } from "./cell-report.ts";
import type { OperationFigures } from "./closed-loop.ts";
import { type FailOverFigures, measureFailOver } from "./fail-over.ts";
import {
  IDLE_SESSIONS_NODE_OPTIONS,
  type IdleSessionFigures,
  type IdleSessionsPlan,
  measureIdleSessions,
} from "./idle-sessions.ts";
import { type MachineFigures, measureMachine } from "./machine.ts";
import { measureOperations, type OperationsPlan } from "./operations.ts";
import type { PartOptions } from "./part-options.ts";
import { inScope } from "./scope.ts";

export type CellFigures = {
  readonly replicas: number;
  readonly quick: boolean;
  readonly machine: MachineFigures;
  readonly operations: readonly OperationFigures[];
  readonly failOver: FailOverFigures | undefined;
  readonly idleSessions: readonly IdleSessionFigures[];
};

type Plan = {
  readonly secondsMax: number;
  readonly operations: OperationsPlan;
  readonly failOverTrials: number;
  readonly idleSessions: IdleSessionsPlan;
};

const FULL: Plan = {
  secondsMax: 360,
  operations: { rounds: 7, roundMs: 1_000, warmUpMs: 6_000 },
  failOverTrials: 10,
  idleSessions: {
    counts: [1_000, 10_000],
    settleMs: 14_000,
    windowMs: 21_000,
    emptyAgain: true,
  },
};

const QUICK: Plan = {
  secondsMax: 60,
  operations: { rounds: 2, roundMs: 400, warmUpMs: 2_000 },
  failOverTrials: 2,
  idleSessions: { counts: [1_000], settleMs: 1_000, windowMs: 4_000, emptyAgain: false },
};

export const CELL_PARTS = ["operations", "fail-over", "sessions"] as const;
type CellPart = (typeof CELL_PARTS)[number];

export async function benchCell(options: PartOptions<CellPart>): Promise<void> {
  const plan = options.quick ? QUICK : FULL;
  const wants = (part: CellPart): boolean => options.parts.includes(part);
  await inScope(plan.secondsMax, async (scope) => {
    const directory = mkdtempSync(join(tmpdir(), "cubby-bench-"));
    say("machine");
    const figures: Measured = {
      replicas: REPLICAS,
      quick: options.quick,
      machine: await measureMachine(scope, directory, options.quick),
      operations: [],
      failOver: undefined,
      idleSessions: [],
    };
    // Whatever there is by then, also when the run is cut short.
    scope.onEnd(() => console.log(options.json ? JSON.stringify(figures) : cellReport(figures)));
    scope.onEnd(() => rmSync(directory, { recursive: true, force: true }));
    if (wants("operations") || wants("fail-over")) {
      const cell = await startCell(scope, join(directory, "cell"));
      if (wants("operations")) {
        say("operations");
        const pipeline = await BarePipeline.start(scope, directory);
        figures.operations = await measureOperations(scope, cell.url, pipeline, plan.operations);
      }
      if (wants("fail-over")) {
        say("fail-over");
        figures.failOver = await measureFailOver(scope, cell, plan.failOverTrials);
      }
      await cell.close();
    }
    if (wants("sessions")) {
      say("idle sessions");
      // A fresh cell: a heap that has carried a load grows less than it holds.
      const cell = await startCell(scope, join(directory, "idle"), IDLE_SESSIONS_NODE_OPTIONS);
      figures.idleSessions = await measureIdleSessions(scope, cell, plan.idleSessions);
    }
  });
}

/** The figures while they are being gathered. */
type Measured = { -readonly [Name in keyof CellFigures]: CellFigures[Name] };

function say(what: string): void {
  console.error(`measuring: ${what}`);
}
