/** Log odds are whole numbers in 256ths; beyond 11 (one in 59,874) they are cut off. */
export const LOG_ODDS_MAX = 2816;

/** How many observations each of the twelve counts stands for: the rate of learning is 1 / (n + 0.4). */
const RATES = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16].map((count) =>
  Math.floor(655360 / (count * 10 + 4)),
);
const COUNT_MAX = RATES.length - 1;

export type ModelTables = {
  /** `one[x + LOG_ODDS_MAX]`: the probability of a 1, in 65,536ths, whose log odds are `x` / 256. */
  readonly one: Uint16Array;
  /** `logOdds[p + 2048]`: the log odds of the probability (`p` + 2048) / 4096. */
  readonly logOdds: Int16Array;
  /**
   * `next[65536 * bit + 32768 + state]`: the state of a counter after it saw `bit`. A state is
   * 16 × p + count, p being the probability of a 1 in 4,096ths, less 2,048: a counter of 0 knows
   * nothing, so that a fresh table is one of zeros.
   */
  readonly next: Int16Array;
};

let tables: ModelTables | undefined;

/** Built at the first call, so that who has no bytes to code does not pay for them. */
export function modelTables(): ModelTables {
  if (tables === undefined) {
    const one = buildOne();
    tables = { one, logOdds: buildLogOdds(one), next: buildNext() };
  }
  return tables;
}

function buildOne(): Uint16Array {
  const table = new Uint16Array(2 * LOG_ODDS_MAX + 1);
  // e^(-x/256) in 2^30ths, by whole numbers alone: every platform must build the same table.
  let power = 0x40000000;
  for (let x = 0; x <= LOG_ODDS_MAX; x += 1) {
    const small = Math.floor((65536 * power) / (0x40000000 + power));
    table[LOG_ODDS_MAX - x] = small;
    table[LOG_ODDS_MAX + x] = 65536 - small;
    // 4177952 / 2^22 is e^(-1/256). All products stay below 2^53.
    power = Math.floor((power * 4177952) / 0x400000);
  }
  return table;
}

function buildLogOdds(one: Uint16Array): Int16Array {
  const table = new Int16Array(4096);
  let x = -LOG_ODDS_MAX;
  for (let p = 0; p < 4096; p += 1) {
    while (x < LOG_ODDS_MAX && (one[x + LOG_ODDS_MAX] as number) < p * 16 + 8) x += 1;
    table[p] = x;
  }
  return table;
}

function buildNext(): Int16Array {
  const table = new Int16Array(2 * 65536);
  for (let state = -32768; state < 32768; state += 1) {
    const count = Math.min(state & 15, COUNT_MAX);
    const p = state >> 4;
    const next = Math.min(count + 1, COUNT_MAX);
    for (let bit = 0; bit < 2; bit += 1) {
      const change = ((bit * 4095 - 2048 - p) * (RATES[count] as number) + 32768) >> 16;
      const moved = Math.min(Math.max(p + change, -2047), 2046);
      table[bit * 65536 + 32768 + state] = moved * 16 + next;
    }
  }
  return table;
}
