import { MATCH_BYTES, MatchIndex } from "./match-index.ts";

/**
 * A stretch of the new file. Copied: its bytes stand `offset` (below 0) from those they are coded
 * from in the history, which is the old file and then the new one; some may differ. The first
 * never does, save in a copy that starts at the start of both. Otherwise (0): given as it is.
 */
export type Segment = {
  readonly start: number;
  readonly end: number;
  readonly offset: number;
};

/** What things are thought to take, in 256ths of a bit. */
export type PlanCosts = {
  /** A byte given as it is. */
  readonly literal: number;
  /** A copied byte that is the same. */
  readonly hit: number;
  /** One that differs; one right after another that differed. */
  readonly miss: number;
  readonly missAgain: number;
  /** Leaving a copy. */
  readonly leave: number;
  /** Entering one, to which the bits of the distance are added. */
  readonly enter: number;
};

/** A source chosen at `start`, what was chosen before, and where copies were left until then. */
type Choice = {
  readonly start: number;
  readonly offset: number;
  readonly before: Choice | undefined;
  readonly left1: number;
  readonly left2: number;
  readonly left3: number;
};

/** One way to have come here: its last choice, its cost, and the bytes since the last difference. */
type Path = { choice: Choice; cost: number; run: number };

type Candidate = { offset: number; cost: number; score: number; back: number };

const BIT = 256;
const PATHS_MAX = 12;
const CANDIDATES_MAX = 4;
/** A path this much worse than the best is given up: coming to it anew would cost less. */
const LAG_MAX = 34 * BIT;
/** In a copy that has gone well for so long nobody looks for a better one. */
const GOOD_RUN = 8;
/** And after this one the others are forgotten: in repetitive files they would all go equally well. */
const LONG_RUN = 128;
/** How much earlier than where it was found a copy may begin, and how long a match need be looked at. */
const BACK_MAX = 32;
const LENGTH_MAX = 64;
/** After so many literals only every eighth place is looked up: what is missed is found from behind. */
const BARREN_LITERALS = 1024;
/** How far from where the last copy was left every place is tried, and the bytes that must agree. */
const NEAR_MAX = 32;
const NEAR_BYTES = 4;

/**
 * The segments by which `history` goes on from `oldSize`, at the least cost that can be found: the
 * ways worth it are followed side by side, byte by byte, and the cheapest at the end is taken.
 */
export function planSegments(history: Uint8Array, oldSize: number, costs: PlanCosts): Segment[] {
  return new Planner(history, oldSize, costs).run();
}

class Planner {
  readonly #history: Uint8Array;
  readonly #oldSize: number;
  readonly #costs: PlanCosts;
  readonly #index: MatchIndex;
  readonly #depth: number;
  /** The first one is the cheapest. */
  readonly #paths: Path[];
  /** The cheapest way to have come to each of the last places. */
  readonly #ringCosts = new Float64Array(BACK_MAX);
  readonly #ringChoices: Choice[] = [];
  #candidates: Candidate[] = [];

  constructor(history: Uint8Array, oldSize: number, costs: PlanCosts) {
    this.#history = history;
    this.#oldSize = oldSize;
    this.#costs = costs;
    this.#index = new MatchIndex(history);
    this.#depth = history.length > 1 << 24 ? 6 : history.length > 1 << 22 ? 12 : 24;
    const offset = oldSize > 0 ? -oldSize : 0;
    const choice = { start: oldSize, offset, before: undefined, left1: 0, left2: 0, left3: 0 };
    this.#paths = [{ choice, cost: 0, run: 0 }];
  }

  run(): Segment[] {
    const history = this.#history;
    for (let at = this.#oldSize; at < history.length; at += 1) {
      if (this.#paths.length === 1) at = this.#skipRun(at);
      if (at === history.length) break;
      const best = this.#paths[0] as Path;
      this.#ringCosts[at % BACK_MAX] = best.cost;
      this.#ringChoices[at % BACK_MAX] = best.choice;
      const { offset } = best.choice;
      const isHit = offset !== 0 && history[at] === history[at + offset];
      if (!isHit || best.run < GOOD_RUN) {
        this.#index.addUpTo(at);
        this.#look(at, best);
        if (offset !== 0 && !isHit) this.#enterLiteral(at, best);
      }
      this.#advance(at);
    }
    return segmentsOf((this.#paths[0] as Path).choice, history.length);
  }

  /** Follows the only path while it goes well, and gives where it no longer does. */
  #skipRun(at: number): number {
    const history = this.#history;
    const path = this.#paths[0] as Path;
    const { offset } = path.choice;
    if (offset === 0 || path.run < GOOD_RUN) return at;
    let end = at;
    while (end < history.length && history[end] === history[end + offset]) end += 1;
    for (let place = Math.max(at, end - BACK_MAX); place < end; place += 1) {
      this.#ringCosts[place % BACK_MAX] = path.cost + (place - at) * this.#costs.hit;
      this.#ringChoices[place % BACK_MAX] = path.choice;
    }
    path.cost += (end - at) * this.#costs.hit;
    path.run += end - at;
    return end;
  }

  #enterLiteral(at: number, best: Path): void {
    const lefts = leftsAt(best.choice, at);
    const cost = best.cost + this.#costs.leave;
    this.#offer({ start: at, offset: 0, before: best.choice, ...lefts }, cost, 0);
  }

  /** Finds sources for the bytes at `at`, and follows those that promise most. */
  #look(at: number, best: Path): void {
    const history = this.#history;
    const { choice } = best;
    const literals = choice.offset === 0 ? at - choice.start : 0;
    if (literals > BARREN_LITERALS && at % 8 !== 0) return;
    this.#candidates.length = 0;
    let found = this.#index.first(at);
    for (let count = 0; found >= 0 && count < this.#depth; count += 1) {
      this.#weigh(at, found, MATCH_BYTES);
      found = this.#index.next(found);
    }
    if (literals < BACK_MAX) {
      const { left1 } = leftsAt(choice, at);
      const from = Math.max(left1 - NEAR_MAX, 0);
      const to = Math.min(left1 + NEAR_MAX, at - 1);
      for (let near = from; near <= to; near += 1) {
        if (history[near] === history[at] && history[near + 1] === history[at + 1]) {
          this.#weigh(at, near, NEAR_BYTES);
        }
      }
    }
    for (const { offset, cost, back } of this.#candidates) {
      const start = at - back;
      const before = this.#ringChoices[start % BACK_MAX] as Choice;
      this.#offer({ start, offset, before, ...leftsAt(before, start) }, cost, back);
    }
  }

  /** Keeps `found` as a source for `at` if at least `least` bytes agree and it is among the best. */
  #weigh(at: number, found: number, least: number): void {
    const history = this.#history;
    const most = Math.min(LENGTH_MAX, history.length - at);
    let length = 0;
    while (length < most && history[found + length] === history[at + length]) length += 1;
    if (length < least) return;
    const backMost = Math.min(BACK_MAX - 1, found, at - this.#oldSize);
    let back = 0;
    while (back < backMost && history[found - back - 1] === history[at - back - 1]) back += 1;
    const start = at - back;
    const choice = this.#ringChoices[start % BACK_MAX] as Choice;
    const offset = found - at;
    if (choice.offset === offset) return;
    const lefts = leftsAt(choice, start);
    const to = start + offset;
    const distance = Math.min(
      Math.abs(to - lefts.left1),
      Math.abs(to - lefts.left2),
      Math.abs(to - lefts.left3),
    );
    const { leave, enter, hit, literal } = this.#costs;
    const cost =
      (this.#ringCosts[start % BACK_MAX] as number) +
      (choice.offset === 0 ? 0 : leave) +
      enter +
      BIT * (32 - Math.clz32(distance)) +
      back * hit;
    const score = cost - length * literal;
    const list = this.#candidates;
    let place = list.length;
    while (place > 0 && (list[place - 1] as Candidate).score > score) place -= 1;
    if (place === CANDIDATES_MAX) return;
    list.splice(place, 0, { offset, cost, score, back });
    if (list.length > CANDIDATES_MAX) list.pop();
  }

  /** Follows `choice`, unless its source is followed already at no more cost. */
  #offer(choice: Choice, cost: number, run: number): void {
    const paths = this.#paths;
    let worst = 0;
    for (let index = 0; index < paths.length; index += 1) {
      const path = paths[index] as Path;
      if (path.choice.offset === choice.offset) {
        if (path.cost > cost) paths[index] = { choice, cost, run };
        return;
      }
      if (path.cost > (paths[worst] as Path).cost) worst = index;
    }
    if (paths.length < PATHS_MAX) paths.push({ choice, cost, run });
    else if ((paths[worst] as Path).cost > cost) paths[worst] = { choice, cost, run };
  }

  /** Lets every path take the byte at `at`, and drops those that fell too far behind. */
  #advance(at: number): void {
    const history = this.#history;
    const byte = history[at];
    const { literal, hit, miss, missAgain } = this.#costs;
    const paths = this.#paths;
    let best = 0;
    for (let index = 0; index < paths.length; index += 1) {
      const path = paths[index] as Path;
      const { offset } = path.choice;
      if (offset === 0) {
        path.cost += literal;
      } else if (history[at + offset] === byte) {
        path.cost += hit;
        path.run += 1;
      } else {
        path.cost += path.run === 0 ? missAgain : miss;
        path.run = 0;
      }
      if (path.cost < (paths[best] as Path).cost) best = index;
    }
    const first = paths[best] as Path;
    paths[best] = paths[0] as Path;
    paths[0] = first;
    if (first.run >= LONG_RUN) {
      paths.length = 1;
      return;
    }
    let count = 0;
    for (const path of paths) {
      if (path.cost <= first.cost + LAG_MAX) paths[count++] = path;
    }
    paths.length = count;
  }
}

/** Where copies were left, the last first, if `choice` ends at `at`. */
function leftsAt(choice: Choice, at: number): { left1: number; left2: number; left3: number } {
  const { offset, left1, left2, left3 } = choice;
  if (offset === 0) return { left1, left2, left3 };
  return { left1: at + offset, left2: left1, left3: left2 };
}

function segmentsOf(last: Choice, size: number): Segment[] {
  const segments: Segment[] = [];
  let end = size;
  for (let choice: Choice | undefined = last; choice !== undefined; choice = choice.before) {
    const { start, offset } = choice;
    if (end > start) segments.push({ start, end, offset });
    end = start;
  }
  return segments.reverse();
}
