import { ascending } from "./bins.ts";
import { BLOCK, carry } from "./packed-directory.ts";

/** What all blocks of a chunk share: it saves them bytes, and is correct whatever it is. */
export type ChunkFrame = {
  /** What residuals lie around. */
  readonly centerLow: number;
  readonly centerHigh: number;
  /** How far a block's first latent is from that of the block before, on average. */
  readonly stepLow: number;
  readonly stepHigh: number;
};

const SAMPLES = 128;

// A sampled latent with the ones before it that its residual needs.
const lows = new Int32Array(4);
const highs = new Int32Array(4);

export function chunkFrame32(latents: Int32Array, order: number): ChunkFrame {
  const center = medianResidual(latents.length, order, (at) => {
    for (let i = 0; i <= order; i += 1) lows[i] = latents[at - order + i] as number;
    for (let d = 0; d < order; d += 1) {
      for (let i = order; i > d; i -= 1) lows[i] = (lows[i] as number) - (lows[i - 1] as number);
    }
    return lows[order] as number;
  });
  const steps = order === 0 ? 0 : Math.floor((latents.length - 1) / BLOCK);
  const whole = steps < 1 ? 0 : (latents[steps * BLOCK] as number) - (latents[0] as number);
  const step = steps < 1 ? 0 : Math.round(whole / steps) | 0;
  return { centerLow: center | 0, centerHigh: center >> 31, stepLow: step, stepHigh: step >> 31 };
}

export function chunkFrame64(words: Uint32Array, order: number): ChunkFrame {
  const count = words.length / 2;
  const put = (place: number, at: number): void => {
    lows[place] = words[2 * at] as number;
    highs[place] = words[2 * at + 1] as number;
  };
  const difference = (places: number): number => {
    for (let d = 0; d < places; d += 1) differencePairs(lows, highs, places + 1, d);
    return (highs[places] as number) * 2 ** 32 + ((lows[places] as number) >>> 0);
  };
  const center = medianResidual(count, order, (at) => {
    for (let i = 0; i <= order; i += 1) put(i, at - order + i);
    return difference(order);
  });
  const steps = order === 0 ? 0 : Math.floor((count - 1) / BLOCK);
  let step = 0;
  if (steps > 0) {
    put(0, 0);
    put(1, steps * BLOCK);
    step = Math.round(difference(1) / steps);
  }
  const [centerLow, centerHigh] = pairOf(center);
  const [stepLow, stepHigh] = pairOf(step);
  return { centerLow, centerHigh, stepLow, stepHigh };
}

function medianResidual(count: number, order: number, residualAt: (at: number) => number): number {
  const gap = Math.max(1, Math.floor(count / SAMPLES));
  const residuals: number[] = [];
  // Begins beside the blocks' first latents, which have no residual.
  for (let at = Math.max(order, gap >> 1); at < count; at += gap) residuals.push(residualAt(at));
  if (residuals.length === 0) return 0;
  const sorted = ascending(Float64Array.from(residuals));
  return sorted[sorted.length >> 1] as number;
}

function pairOf(value: number): [low: number, high: number] {
  return Number.isSafeInteger(value) ? [value | 0, Math.floor(value / 2 ** 32) | 0] : [0, 0];
}

/** Each pair from `d` + 1 on less the one before it. */
export function differencePairs(
  lows: Int32Array,
  highs: Int32Array,
  values: number,
  d: number,
): void {
  for (let i = values - 1; i > d; i -= 1) {
    const low = lows[i] as number;
    const before = lows[i - 1] as number;
    highs[i] = (highs[i] as number) - (highs[i - 1] as number) - carry(low, before);
    lows[i] = low - before;
  }
}
