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

/** As many symbols are enough to find the classes. */
const TRAINING_SYMBOLS = 65_536;
const ROUNDS = 4;
/** About what a frequency costs in the header. */
const FREQUENCY_BITS = 5;
/** By what a frequency fits the training better than the rest, in bits. */
const OVERFIT_BITS = 0.7;

/** A block has 32 or 128 symbols, whichever costs less. */
export const BLOCK_LOGS: readonly number[] = [7, 5];

/**
 * Sorts the blocks of symbols into classes whose blocks resemble each other: as many classes as pay
 * for their tables.
 */
export function chooseClasses(symbols: Uint16Array, binCount: number): Classes {
  let best: Trained | undefined;
  let bestLog = BLOCK_LOGS[0] as number;
  for (const blockLog of BLOCK_LOGS) {
    const trained = trainClasses(symbols, binCount, 1 << blockLog);
    if (best !== undefined && trained.bits > best.bits * 0.998) continue;
    best = trained;
    bestLog = blockLog;
  }
  if (best !== undefined && best.counts.length > 1) {
    return { blockLog: bestLog, ...assign(symbols, best.counts, binCount, 1 << bestLog) };
  }
  const blockLog = BLOCK_LOGS[0] as number;
  const counts = [countsOf(symbols, 0, symbols.length, binCount)];
  return { blockLog, counts, ofBlock: new Uint8Array(Math.ceil(symbols.length / (1 << blockLog))) };
}

type Trained = { readonly counts: Float64Array[]; readonly bits: number };

function trainClasses(symbols: Uint16Array, binCount: number, blockSize: number): Trained {
  const blocks = Math.ceil(symbols.length / blockSize);
  const training = sampleBlocks(blocks, TRAINING_SYMBOLS / blockSize);
  const share = training.length / blocks;
  const order = bySpread(symbols, training, blockSize);
  let best: Trained = { counts: [], bits: Number.POSITIVE_INFINITY };
  for (let classes = 1; classes <= CLASSES_MAX; classes *= 2) {
    if (classes > 1 && classes * 4 > blocks) break;
    const { counts, bits } = train(symbols, order, classes, binCount, blockSize);
    const overfit = share < 1 ? OVERFIT_BITS / share : 0;
    const header = classes * binCount * (FREQUENCY_BITS + overfit);
    const cost = bits / share + header + blocks * Math.log2(classes) * 0.8;
    if (cost > best.bits * 1.01) break;
    if (cost < best.bits) best = { counts, bits: cost };
  }
  return best;
}

function sampleBlocks(blocks: number, most: number): Uint32Array {
  const size = Math.min(blocks, most);
  return Uint32Array.from({ length: size }, (_, i) => Math.floor((i * blocks) / size));
}

function countsOf(symbols: Uint16Array, start: number, end: number, binCount: number): Float64Array {
  const counts = new Float64Array(binCount);
  for (let i = start; i < end; i += 1) {
    const symbol = symbols[i] as number;
    counts[symbol] = (counts[symbol] as number) + 1;
  }
  return counts;
}

/** Blocks from the narrowest to the widest: the first guess at classes cuts this order evenly. */
function bySpread(symbols: Uint16Array, blocks: Uint32Array, blockSize: number): Uint32Array {
  const spread = new Map<number, number>();
  for (const block of blocks) {
    const start = block * blockSize;
    const end = Math.min(symbols.length, start + blockSize);
    let sum = 0;
    for (let i = start; i < end; i += 1) sum += symbols[i] as number;
    const mean = sum / (end - start);
    let distance = 0;
    for (let i = start; i < end; i += 1) distance += Math.abs((symbols[i] as number) - mean);
    spread.set(block, distance / (end - start) + mean / 1024);
  }
  return blocks.slice().sort((a, b) => (spread.get(a) ?? 0) - (spread.get(b) ?? 0));
}

function train(
  symbols: Uint16Array,
  blocks: Uint32Array,
  classes: number,
  binCount: number,
  blockSize: number,
): Trained {
  let counts = Array.from({ length: classes }, () => new Float64Array(binCount));
  for (let i = 0; i < blocks.length; i += 1) {
    const row = counts[Math.floor((i * classes) / blocks.length)] as Float64Array;
    addBlock(row, symbols, (blocks[i] as number) * blockSize, blockSize);
  }
  let bits = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const costs = counts.map(costsOf);
    counts = counts.map(() => new Float64Array(binCount));
    bits = 0;
    for (const block of blocks) {
      const start = block * blockSize;
      const { best, cost } = cheapest(costs, symbols, start, blockSize);
      addBlock(counts[best] as Float64Array, symbols, start, blockSize);
      bits += cost;
    }
    if (classes === 1) break;
  }
  return { counts, bits };
}

function addBlock(row: Float64Array, symbols: Uint16Array, start: number, blockSize: number): void {
  const end = Math.min(symbols.length, start + blockSize);
  for (let i = start; i < end; i += 1) {
    const symbol = symbols[i] as number;
    row[symbol] = (row[symbol] as number) + 1;
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
  symbols: Uint16Array,
  start: number,
  blockSize: number,
): { best: number; cost: number } {
  const end = Math.min(symbols.length, start + blockSize);
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let k = 0; k < costs.length; k += 1) {
    const row = costs[k] as Float64Array;
    let cost = 0;
    for (let i = start; i < end; i += 1) cost += row[symbols[i] as number] as number;
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
  blockSize: number,
): Omit<Classes, "blockLog"> {
  const ofBlock = new Uint8Array(Math.ceil(symbols.length / blockSize));
  let rows = trained;
  for (let round = 0; round < 2; round += 1) {
    const costs = rows.map(costsOf);
    const next = rows.map(() => new Float64Array(binCount));
    for (let block = 0; block < ofBlock.length; block += 1) {
      const { best } = cheapest(costs, symbols, block * blockSize, blockSize);
      ofBlock[block] = best;
      addBlock(next[best] as Float64Array, symbols, block * blockSize, blockSize);
    }
    rows = next;
  }
  const used = rows.map((row) => row.some((count) => count > 0));
  const rank = used.map((_, k) => used.slice(0, k).filter(Boolean).length);
  for (let block = 0; block < ofBlock.length; block += 1) {
    ofBlock[block] = rank[ofBlock[block] as number] as number;
  }
  return { counts: rows.filter((_, k) => used[k]), ofBlock };
}
