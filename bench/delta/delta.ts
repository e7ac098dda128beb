/**
 * Cubby's delta encoding on real and made series: sizes, speeds, npm peers in the same run,
 * differences between versions of files, and sorted keys.
 */

import { cpus } from "node:os";
import { prepareData } from "./data.ts";
import { type KeysFigures, keysReport, measureKeys } from "./keys.ts";
import { measurePeerSizes, type PeerSizeRow, peerSizeReport } from "./peer-sizes.ts";
import { loadPeers, type PeerEffort } from "./peers.ts";
import { measureSizes, type SizeFigures, sizeReport } from "./sizes.ts";
import { measureSpeed, type SpeedFigures, type SpeedPlan, speedReport } from "./speed.ts";
import { targetReport } from "./target.ts";
import { type DiffFigures, diffReport, measureDiffs } from "./version-diff.ts";

const PARTS = ["sizes", "speed", "peers", "diff", "strings"] as const;
export type DeltaPart = (typeof PARTS)[number];

export type DeltaBenchOptions = {
  readonly json: boolean;
  readonly quick: boolean;
  /** The parts to run; all when empty. */
  readonly only: readonly string[];
};

type DeltaFigures = {
  readonly machine: { readonly cpus: number; readonly model: string; readonly node: string };
  readonly quick: boolean;
  readonly missing: readonly string[];
  sizes?: SizeFigures;
  speed?: SpeedFigures;
  peers?: readonly PeerSizeRow[];
  diff?: DiffFigures;
  strings?: KeysFigures;
};

type Plan = { readonly speed: SpeedPlan; readonly effort: PeerEffort };
const FULL: Plan = {
  speed: { rounds: 15, jobMsMax: 3_000, withReal: true },
  effort: { gzip: 9, brotli: 11 },
};
const QUICK: Plan = {
  speed: { rounds: 5, jobMsMax: 600, withReal: false },
  effort: { gzip: 6, brotli: 5 },
};
/** At their highest efforts general compressors are too slow for their speed to mean anything. */
const SPEED_EFFORT: PeerEffort = { gzip: 6, brotli: 5 };

/** False for a part that does not exist. */
export function isDeltaPart(text: string): boolean {
  return PARTS.some((part) => part === text);
}

export async function benchDelta({ json, quick, only }: DeltaBenchOptions): Promise<void> {
  const plan = quick ? QUICK : FULL;
  const wants = (part: DeltaPart): boolean => only.length === 0 || only.includes(part);
  const missing = prepareData();
  for (const why of missing) console.error(`MISSING ${why}`);
  const [cpu] = cpus();
  const machine = { cpus: cpus().length, model: cpu?.model ?? "", node: process.version };
  const figures: DeltaFigures = { machine, quick, missing };
  const say = (report: string): void => {
    if (!json) console.log(`${report}\n`);
  };
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
  if (wants("speed")) {
    figures.speed = await measureSpeed(await loadPeers(SPEED_EFFORT), plan.speed);
    say(speedReport(figures.speed));
  }
  if (wants("peers")) {
    console.error("measuring: sizes of peers");
    figures.peers = await measurePeerSizes(await loadPeers(plan.effort));
    say(peerSizeReport(figures.peers));
  }
  const parts = [figures.sizes, figures.speed, figures.diff, figures.strings];
  const targets = parts.flatMap((part) => part?.targets ?? []);
  if (json) console.log(JSON.stringify(figures));
  else if (targets.length > 0) console.log(targetReport(targets));
}
