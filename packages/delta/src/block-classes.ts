/** Frequencies of bins for blocks of one class: counts at first, later scaled to a power of two. */
export type Classes = {
  /** Log of the number of symbols in a block. */
  readonly blockLog: number;
  /** One row of `binCount` counts for each class. */
  readonly counts: readonly Float64Array[];
  /** The class of each block. */
  readonly ofBlock: Uint8Array;
};

export const CLASSES_MAX = 16;

/** A block has 32 or 128 symbols, whichever costs less. */
export const BLOCK_LOGS: readonly number[] = [7, 5];

/** As many symbols are enough to find the classes. */
const TRAINING_SYMBOLS = 32_768;
const ROUNDS = 3;
/** About what a frequency costs in the header. */
const FREQUENCY_BITS = 5;
/** By what a frequency fits the training better than the rest, in bits. */
const OVERFIT_BITS = 0.7;

/**
 * Sorts the blocks of symbols into classes whose blocks resemble each other: as many classes as pay
 * for their tables.
 */
export function chooseClasses(symbols: Uint16Array, binCount: number): Classes {
  let best: Trained | undefined;
  for (const blockLog of BLOCK_LOGS) {
    // Smaller blocks want as many classes as large ones, or more.
    const least = best === undefined ? 1 : best.counts.length;
    const trained = trainClasses(symbols, binCount, blockLog, least);
    if (best === undefined || trained.bits < best.bits * 0.998) best = trained;
  }
  const { counts, blockLog } = best as Trained;
  return { blockLog, ...assign(symbols, counts, binCount, blockLog) };
}

type Trained = {
  readonly blockLog: number;
  readonly counts: readonly Float64Array[];
  readonly bits: number;
};

function trainClasses(
  symbols: Uint16Array,
  binCount: number,
  blockLog: number,
  least: number,
): Trained {
  const blocks = Math.ceil(symbols.length / 2 ** blockLog);
  const size = Math.min(blocks, TRAINING_SYMBOLS >> blockLog);
  const sample = Uint32Array.from({ length: size }, (_, i) => Math.floor((i * blocks) / size));
  const tallies = tally(symbols, sample, binCount, blockLog);
  const share = size / blocks;
  const order = bySpread(tallies);
  let best: Trained = { blockLog, counts: [], bits: Number.POSITIVE_INFINITY };
  for (let classes = least; classes <= CLASSES_MAX; classes *= 2) {
    if (classes > least && classes * 4 > blocks) break;
    const { counts, bits } = train(tallies, order, classes, binCount);
    const overfit = share < 1 ? OVERFIT_BITS / share : 0;
    const header = classes * binCount * (FREQUENCY_BITS + overfit);
    const cost = bits / share + header + blocks * Math.log2(classes) * 0.8;
    if (cost > best.bits * 1.01) break;
    if (cost < best.bits) best = { blockLog, counts, bits: cost };
  }
  return best;
}

/** What occurs in each block, and how often: most blocks hold few of the symbols. */
type Tallies = {
  /** Where each block's entries begin, and the end. */
  readonly starts: Uint32Array;
  readonly symbols: Uint16Array;
  readonly counts: Uint8Array;
};

function tally(
  symbols: Uint16Array,
  blocks: Uint32Array,
  binCount: number,
  blockLog: number,
): Tallies {
  const blockSize = 1 << blockLog;
  const entries: Tallies = {
    starts: new Uint32Array(blocks.length + 1),
    symbols: new Uint16Array(blocks.length * blockSize),
    counts: new Uint8Array(blocks.length * blockSize),
  };
  /** Place of a symbol's entry in the block at hand, if it lies behind the block's start. */
  const places = new Int32Array(binCount).fill(-1);
  let next = 0;
  for (let b = 0; b < blocks.length; b += 1) {
    const first = next;
    const start = (blocks[b] as number) * blockSize;
    const end = Math.min(symbols.length, start + blockSize);
    for (let i = start; i < end; i += 1) {
      const symbol = symbols[i] as number;
      let place = places[symbol] as number;
      if (place < first) {
        place = next;
        next += 1;
        places[symbol] = place;
        entries.symbols[place] = symbol;
      }
      entries.counts[place] = (entries.counts[place] as number) + 1;
    }
    entries.starts[b + 1] = next;
  }
  return entries;
}

/** Blocks from the narrowest to the widest: the first guess at classes cuts this order evenly. */
function bySpread({ starts, symbols, counts }: Tallies): Uint32Array {
  const blocks = starts.length - 1;
  const spread = new Float64Array(blocks);
  for (let b = 0; b < blocks; b += 1) {
    let sum = 0;
    let members = 0;
    for (let e = starts[b] as number; e < (starts[b + 1] as number); e += 1) {
      sum += (symbols[e] as number) * (counts[e] as number);
      members += counts[e] as number;
    }
    const mean = sum / members;
    let distance = 0;
    for (let e = starts[b] as number; e < (starts[b + 1] as number); e += 1) {
      distance += Math.abs((symbols[e] as number) - mean) * (counts[e] as number);
    }
    spread[b] = distance / members + mean / 1024;
  }
  const order = Uint32Array.from({ length: blocks }, (_, b) => b);
  return order.sort((a, b) => (spread[a] as number) - (spread[b] as number));
}

function train(
  tallies: Tallies,
  order: Uint32Array,
  classes: number,
  binCount: number,
): { counts: Float64Array[]; bits: number } {
  let counts = Array.from({ length: classes }, () => new Float64Array(binCount));
  order.forEach((block, i) => {
    addBlock(counts[Math.floor((i * classes) / order.length)] as Float64Array, tallies, block);
  });
  let bits = 0;
  for (let round = 0; round < (classes === 1 ? 1 : ROUNDS); round += 1) {
    const costs = counts.map(costsOf);
    counts = counts.map(() => new Float64Array(binCount));
    bits = 0;
    for (let block = 0; block < order.length; block += 1) {
      const { best, cost } = cheapest(costs, tallies, block);
      addBlock(counts[best] as Float64Array, tallies, block);
      bits += cost;
    }
  }
  return { counts, bits };
}

function addBlock(row: Float64Array, { starts, symbols, counts }: Tallies, block: number): void {
  for (let e = starts[block] as number; e < (starts[block + 1] as number); e += 1) {
    const symbol = symbols[e] as number;
    row[symbol] = (row[symbol] as number) + (counts[e] as number);
  }
}

/** Bits for each symbol. A symbol that a class has not seen is dear, not impossible. */
function costsOf(counts: Float64Array): Float64Array {
  let total = 0;
  for (const count of counts) total += count;
  const floor = 0.05;
  const all = total + floor * counts.length;
  return counts.map((count) => Math.log2(all / (count + floor)));
}

function cheapest(
  costs: readonly Float64Array[],
  { starts, symbols, counts }: Tallies,
  block: number,
): { best: number; cost: number } {
  const first = starts[block] as number;
  const end = starts[block + 1] as number;
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let k = 0; k < costs.length; k += 1) {
    const row = costs[k] as Float64Array;
    let cost = 0;
    for (let e = first; e < end; e += 1) {
      cost += (row[symbols[e] as number] as number) * (counts[e] as number);
    }
    if (cost < least) {
      least = cost;
      best = k;
    }
  }
  return { best, cost: least };
}

/** All blocks to their cheapest class, by `trained` and once more by what came of it. */
function assign(
  symbols: Uint16Array,
  trained: readonly Float64Array[],
  binCount: number,
  blockLog: number,
): Omit<Classes, "blockLog"> {
  const blocks = Uint32Array.from(
    { length: Math.ceil(symbols.length / 2 ** blockLog) },
    (_, b) => b,
  );
  const tallies = tally(symbols, blocks, binCount, blockLog);
  const ofBlock = new Uint8Array(blocks.length);
  let rows = trained;
  for (let round = 0; round < (trained.length === 1 ? 1 : 2); round += 1) {
    const costs = rows.map(costsOf);
    const next = rows.map(() => new Float64Array(binCount));
    for (const block of blocks) {
      const { best } = costs.length === 1 ? { best: 0 } : cheapest(costs, tallies, block);
      ofBlock[block] = best;
      addBlock(next[best] as Float64Array, tallies, block);
    }
    rows = next;
  }
  const used = rows.map((row) => row.some((count) => count > 0));
  const rank = used.map((_, k) => used.slice(0, k).filter(Boolean).length);
  for (const block of blocks) ofBlock[block] = rank[ofBlock[block] as number] as number;
  return { counts: rows.filter((_, k) => used[k]), ofBlock };
}
