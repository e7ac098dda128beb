/**
 * Cubby's delta encoding on real and made series: sizes, speeds, npm peers in the same run,
 * differences between versions of files, and sorted keys.
 */

import { cpus, loadavg } from "node:os";
import type { PartOptions } from "../part-options.ts";
import { inScope } from "../scope.ts";
import { rounded } from "../statistics.ts";
import { type CodeFigures, codeReport, measureCode } from "./core-size.ts";
import { prepareData } from "./data.ts";
import { type KeysFigures, keysReport, measureKeys } from "./keys.ts";
import { measurePeerSizes, type PeerSizeRow, peerSizeReport } from "./peer-sizes.ts";
import { loadPeers, type PeerEffort } from "./peers.ts";
import { measureSizes, type SizeFigures, sizeReport } from "./sizes.ts";
import { measureSpeed, type SpeedFigures, type SpeedPlan, speedReport } from "./speed.ts";
import { type Target, targetReport } from "./target.ts";
import { type DiffFigures, diffReport, measureDiffs } from "./version-diff.ts";

export const DELTA_PARTS = ["sizes", "speed", "peers", "diff", "strings", "code"] as const;
export type DeltaPart = (typeof DELTA_PARTS)[number];

type Machine = {
  readonly cpus: number;
  readonly model: string;
  readonly node: string;
  /** Processes that wanted a core in the minute before: of others, since this one only began. */
  readonly loadBefore: number;
};

type DeltaFigures = {
  readonly machine: Machine;
  readonly quick: boolean;
  readonly missing: readonly string[];
  sizes?: SizeFigures;
  speed?: SpeedFigures;
  peers?: readonly PeerSizeRow[];
  diff?: DiffFigures;
  strings?: KeysFigures;
  code?: CodeFigures;
};

type Plan = { readonly secondsMax: number; readonly speed: SpeedPlan; readonly effort: PeerEffort };
const FULL: Plan = {
  secondsMax: 1_200,
  speed: { rounds: 31, jobMsMax: 3_000, withReal: true },
  effort: { gzip: 9, brotli: 11 },
};
const QUICK: Plan = {
  secondsMax: 400,
  speed: { rounds: 15, jobMsMax: 600, withReal: false },
  effort: { gzip: 6, brotli: 5 },
};

export async function benchDelta({ json, quick, parts }: PartOptions<DeltaPart>): Promise<void> {
  const plan = quick ? QUICK : FULL;
  const wants = (part: DeltaPart): boolean => parts.includes(part);
  const missing = prepareData();
  for (const why of missing) console.error(`MISSING ${why}`);
  const machine = machineNow();
  if (machine.loadBefore > 0.5) {
    console.error(`NOT QUIET: the load is ${machine.loadBefore}; speeds are lower bounds`);
  }
  const figures: DeltaFigures = { machine, quick, missing };
  const say = (report: string): void => {
    if (!json) console.log(`${report}\n`);
  };
  await inScope(plan.secondsMax, async (scope) => {
    // Whatever there is by then, also when the run is cut short.
    scope.onEnd(() =>
      console.log(json ? JSON.stringify(figures) : targetReport(targetsOf(figures))),
    );
    if (wants("sizes")) {
      console.error("measuring: sizes");
      figures.sizes = await measureSizes();
      say(sizeReport(figures.sizes));
    }
    if (wants("strings")) {
      console.error("measuring: strings");
      figures.strings = measureKeys();
      say(keysReport(figures.strings));
    }
    if (wants("diff")) {
      console.error("measuring: diff");
      figures.diff = measureDiffs();
      say(diffReport(figures.diff));
    }
    if (wants("code")) {
      console.error("measuring: code");
      figures.code = await measureCode();
      say(codeReport(figures.code));
    }
    if (wants("speed")) {
      figures.speed = await measureSpeed(scope, plan.speed);
      say(speedReport(figures.speed));
    }
    if (wants("peers")) {
      console.error("measuring: sizes of peers");
      figures.peers = await measurePeerSizes(await loadPeers(plan.effort));
      say(peerSizeReport(figures.peers));
    }
  });
}

function machineNow(): Machine {
  const [first] = cpus();
  const [load = 0] = loadavg();
  const { version: node } = process;
  return { cpus: cpus().length, model: first?.model ?? "", node, loadBefore: rounded(load) };
}

function targetsOf({ sizes, speed, diff, strings, code }: DeltaFigures): Target[] {
  return [sizes, speed, diff, strings, code].flatMap((part) => part?.targets ?? []);
}
