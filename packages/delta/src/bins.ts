/**
 * A partition of the residuals into intervals. A residual is coded as its bin, by rANS, and its
 * offset above the bin's low end, in `bits` plain bits. A frequent residual gets a bin of its own.
 */
export type Bins = {
  /** The lowest residual of each bin, ascending. */
  readonly lows: Float64Array;
  /** Bits of the offset; 2^bits reaches the bin's highest residual, and may reach further. */
  readonly bits: Uint8Array;
};

/** About what a bin costs in the header: its ends and its frequency. */
const HEADER_BITS = 20;
/** With so many bins out of COARSE candidates, many values are frequent: worth a finer look. */
const MANY = 96;
const ROUGH = 64;
const COARSE = 256;
const FINE = 2048;

/** Twice as many, since each may need another for what the sample lacked. */
export const BINS_MAX = 2 * FINE;

/** The partition that costs least for residuals like `sorted` (ascending), which stand for `count`. */
export function chooseBins(sorted: Float64Array, count: number): Bins {
  const { bins } = partition(sorted, count, COARSE);
  if (bins.lows.length < MANY || sorted.length < 4 * FINE) return bins;
  return partition(sorted, count, FINE).bins;
}

/** Bits a value that `count` residuals like `sorted` will cost, headers included, about. */
export function estimateBins(sorted: Float64Array, count: number): number {
  return partition(sorted, count, ROUGH).bits / sorted.length;
}

type Partition = { readonly bins: Bins; readonly bits: number };

function partition(sorted: Float64Array, count: number, groupsMax: number): Partition {
  const starts = groupStarts(sorted, groupsMax);
  const groups = starts.length - 1;
  // A bin in the header counts against the values that the sample stands for.
  const headerBits = HEADER_BITS * Math.min(1, sorted.length / count);
  const best = new Float64Array(groups + 1).fill(Number.POSITIVE_INFINITY);
  const from = new Int32Array(groups + 1);
  best[0] = 0;
  const logs = logTable(sorted.length);
  const logAll = Math.log2(sorted.length);
  for (let end = 1; end <= groups; end += 1) {
    const high = sorted[(starts[end] as number) - 1] as number;
    const endAt = starts[end] as number;
    let least = Number.POSITIVE_INFINITY;
    for (let start = end - 1; start >= 0; start -= 1) {
      const startAt = starts[start] as number;
      const members = endAt - startAt;
      const bits = bitsOf(high - (sorted[startAt] as number));
      const cost =
        (best[start] as number) +
        members * (logAll - (logs[members] as number) + bits) +
        headerBits;
      if (cost < least) {
        least = cost;
        from[end] = start;
      }
    }
    best[end] = least;
  }
  return { bins: binsOf(sorted, starts, from), bits: best[groups] as number };
}

function binsOf(sorted: Float64Array, starts: Int32Array, from: Int32Array): Bins {
  const lows: number[] = [];
  const bits: number[] = [];
  for (let end = starts.length - 1; end > 0; end = from[end] as number) {
    const low = sorted[starts[from[end] as number] as number] as number;
    lows.push(low);
    bits.push(bitsOf((sorted[(starts[end] as number) - 1] as number) - low));
  }
  return { lows: Float64Array.from(lows.reverse()), bits: Uint8Array.from(bits.reverse()) };
}

/**
 * Where groups of about equal size begin, and the end. Equal residuals stay together, and one that
 * fills a good part of a group stands alone.
 */
function groupStarts(sorted: Float64Array, groupsMax: number): Int32Array {
  const count = sorted.length;
  const size = count / groupsMax;
  const starts: number[] = [];
  let at = 0;
  while (at < count) {
    starts.push(at);
    let end = Math.min(count, Math.max(at + 1, Math.round((Math.floor(at / size) + 1) * size)));
    const value = sorted[end - 1] as number;
    const first = lowerBound(sorted, value, at, end);
    while (end < count && sorted[end] === value) end += 1;
    if (first > at && end - first > size * 0.7) starts.push(first);
    at = end;
  }
  starts.push(count);
  return Int32Array.from(starts);
}

/** The first index in [start, end) whose element is not below `value`. */
function lowerBound(sorted: Float64Array, value: number, start: number, end: number): number {
  let low = start;
  let high = end;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Sorts in place, as the other functions here want their residuals. */
export function ascending(values: Float64Array): Float64Array {
  // biome-ignore lint/plugin: a typed array sorts its numbers as numbers.
  return values.sort();
}

/** Bits that hold 0 … `range`, below 2^53. */
export function bitsOf(range: number): number {
  if (range <= 0x7fffffff) return 32 - Math.clz32(range);
  return Math.min(64, 64 - Math.clz32(Math.floor(range / 2 ** 32)));
}

let logs = new Float64Array(0);

function logTable(max: number): Float64Array {
  if (logs.length <= max) {
    logs = new Float64Array(max + 1);
    for (let i = 1; i <= max; i += 1) logs[i] = Math.log2(i);
  }
  return logs;
}
