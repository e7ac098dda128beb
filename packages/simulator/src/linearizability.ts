import { assert } from "@cubby/base";

/**
 * Whether a history of concurrent operations can be put into one order that a sequential object
 * could have gone through, no operation before one that had returned when it was called (Herlihy and
 * Wing 1990). The search is that of Wing and Gong with the set of visited configurations of Lowe; it
 * knows nothing of how Cubby comes to its answers.
 */

/** One operation as its caller saw it. Times are of one clock, whatever its unit. */
export type Operation<Input, Output> = {
  /** Who called: for reports only. */
  readonly process: number;
  readonly input: Input;
  readonly call: number;
  /** `not-applied` is out of the history; `unknown` may have taken effect, later, or never. */
  readonly outcome: "ok" | "unknown" | "not-applied";
  /** When it had taken effect for sure. Without it an unknown one is open for ever. */
  readonly returned?: number;
  /** What it said; an unknown outcome has none. */
  readonly output?: Output;
};

/** A sequential object. All its functions are pure; states are never changed in place. */
export type Model<State, Input, Output> = {
  readonly init: State;
  /**
   * The states to which `input` with the answer `output` may lead, none if it may not say that
   * here. Without an answer anything may have been said. Several must come in a fixed order.
   */
  step(state: State, input: Input, output: Output | undefined): readonly State[];
  /** Equal for states that are equal. */
  key(state: State): string;
  /**
   * True when neither here nor later `input` can say `output` or, without one, change anything. It
   * may be left out; it spares the search ways that lead nowhere.
   */
  isPast?(state: State, input: Input, output: Output | undefined): boolean;
};

export type SearchLimits = {
  readonly stepsMax?: number;
  /** Visited configurations that are kept. */
  readonly visitedMax?: number;
};

export type LinearizabilityVerdict<State, Input, Output> =
  | {
      readonly kind: "linearizable";
      /** One order that explains the history. */
      readonly order: readonly Operation<Input, Output>[];
    }
  | {
      readonly kind: "violation";
      /** The longest order found for what came before, and the state it leads to. */
      readonly order: readonly Operation<Input, Output>[];
      readonly state: State;
      /** The history was linearizable until this one returned. */
      readonly culprit: Operation<Input, Output>;
      readonly explanation: string;
    }
  /** The limits were reached first. It is not a pass. */
  | { readonly kind: "unknown"; readonly why: string };

const STEPS_MAX_DEFAULT = 4_000_000;
const VISITED_MAX_DEFAULT = 1_000_000;
/** Of an explanation: what was put in order last, and what was open then. */
const SHOWN_MAX = 16;

export function checkLinearizable<State, Input, Output>(
  model: Model<State, Input, Output>,
  history: readonly Operation<Input, Output>[],
  limits: SearchLimits = {},
): LinearizabilityVerdict<State, Input, Output> {
  const search = new Search(model, history, limits);
  const result = search.run();
  if (result === "linearizable") return { kind: "linearizable", order: search.deepest.order };
  if (result === "limit") {
    return { kind: "unknown", why: `no answer after ${search.steps} steps` };
  }
  const returns = returnsOf(history);
  const failing = firstFailing(model, history, returns, limits);
  const { order, state } = failing.search.deepest;
  const { culprit } = failing;
  const explanation = explain(history, culprit, order, model.key(state));
  return { kind: "violation", order, state, culprit, explanation };
}

/** Linearizability is local: a history is linearizable if what concerns each object is. */
export function partitionHistory<Input, Output>(
  history: readonly Operation<Input, Output>[],
  keyOf: (operation: Operation<Input, Output>) => string,
): Map<string, Operation<Input, Output>[]> {
  const parts = new Map<string, Operation<Input, Output>[]>();
  for (const operation of history) {
    const key = keyOf(operation);
    const part = parts.get(key);
    if (part === undefined) parts.set(key, [operation]);
    else part.push(operation);
  }
  return parts;
}

/** The top of a stack that shares what is below with every other that was built on it. */
type Frame<State> = {
  readonly below: Frame<State> | undefined;
  readonly operation: number;
  /** Which of the states that the model offered was taken. */
  readonly alternative: number;
  readonly before: State;
  /** Where the search stood: the event, and the number of the open operation. */
  readonly event: number;
  readonly open: number;
  /** It changes nothing and may come now, so any order may as well have it here. */
  readonly isForced: boolean;
};

/**
 * Operations that returned are numbered by their calls, and their events form a list in order of
 * time; one that is put into the order leaves the list. Those that are open for ever follow, and are
 * tried only where nothing else fits: most of them never need a place.
 */
class Search<State, Input, Output> {
  readonly #model: Model<State, Input, Output>;
  readonly #operations: Operation<Input, Output>[];
  readonly #closedCount: number;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #head: number;
  readonly #placed: Uint8Array;
  /** All below it are placed. */
  #watermark = 0;
  #closedPlaced = 0;
  readonly #openPlaced: number[] = [];
  /** Of an open operation: the one before it with the same input, or itself. */
  readonly #twins: Int32Array;
  readonly #visited = new Set<string>();
  #top: Frame<State> | undefined;
  readonly #stepsMax: number;
  readonly #visitedMax: number;
  #deepestPlaced = -1;
  #deepest: { readonly top: Frame<State> | undefined; readonly state: State };
  steps = 0;

  constructor(
    model: Model<State, Input, Output>,
    history: readonly Operation<Input, Output>[],
    limits: SearchLimits,
  ) {
    this.#model = model;
    const known = history.filter(({ outcome }) => outcome !== "not-applied");
    const byCall = known.toSorted((a, b) => a.call - b.call);
    const closed = byCall.filter(({ returned }) => returned !== undefined);
    const open = byCall.filter(({ returned }) => returned === undefined);
    for (const { outcome, call, returned = call } of known) {
      assert(outcome === "unknown" || returned !== undefined, "what succeeded has returned");
      assert(returned >= call, "an operation returns after its call");
    }
    this.#operations = [...closed, ...open];
    this.#closedCount = closed.length;
    this.#placed = new Uint8Array(this.#operations.length);
    this.#head = 2 * closed.length;
    this.#next = new Int32Array(this.#head + 1);
    this.#previous = new Int32Array(this.#head + 1);
    this.#linkEvents(closed);
    this.#twins = twinsOf(this.#operations, closed.length);
    this.#deepest = { top: undefined, state: model.init };
    this.#stepsMax = limits.stepsMax ?? STEPS_MAX_DEFAULT;
    this.#visitedMax = limits.visitedMax ?? VISITED_MAX_DEFAULT;
  }

  get deepest(): { readonly order: readonly Operation<Input, Output>[]; readonly state: State } {
    const { top, state } = this.#deepest;
    const order: Operation<Input, Output>[] = [];
    for (let frame = top; frame !== undefined; frame = frame.below) {
      order.push(this.#operation(frame.operation));
    }
    return { order: order.reverse(), state };
  }

  run(): "linearizable" | "violation" | "limit" {
    let state = this.#model.init;
    let event = this.#follow(this.#head);
    let open = 0;
    let alternative = 0;
    while (this.#closedPlaced < this.#closedCount) {
      this.steps += 1;
      if (this.steps > this.#stepsMax || this.#visited.size > this.#visitedMax) return "limit";
      if (isReturn(event)) open = this.#openFrom(state, open, event);
      const operation = isReturn(event) ? this.#closedCount + open : event >> 1;
      if (operation === this.#operations.length) {
        // Nothing that may come next fits: take back what was placed last, and go on after it.
        this.#rememberDeepest(state);
        const frame = this.#takeBackChoice();
        if (frame === undefined) return "violation";
        state = frame.before;
        ({ event, open } = frame);
        alternative = frame.alternative + 1;
        continue;
      }
      const after = this.#stateAfter(state, operation, alternative);
      if (after === undefined) {
        alternative = 0;
        if (isReturn(event)) open += 1;
        else event = this.#follow(event);
        continue;
      }
      this.#place(operation);
      if (!this.#visit(after)) {
        this.#takeBack(operation);
        alternative += 1;
        continue;
      }
      const isForced = !isReturn(event) && this.#changesNothing(operation, state, after);
      const below = this.#top;
      this.#top = { below, operation, alternative, before: state, event, open, isForced };
      state = after;
      event = this.#follow(this.#head);
      open = 0;
      alternative = 0;
    }
    this.#rememberDeepest(state);
    return "linearizable";
  }

  #linkEvents(closed: readonly Operation<Input, Output>[]): void {
    const timeOf = (event: number): number => {
      const { call, returned = call } = this.#operation(event >> 1);
      return isReturn(event) ? returned : call;
    };
    const events = Array.from({ length: 2 * closed.length }, (_, event) => event);
    // A call at the time of another's return counts as concurrent with it.
    events.sort((a, b) => timeOf(a) - timeOf(b) || (a & 1) - (b & 1) || a - b);
    let last = this.#head;
    for (const event of events) {
      this.#link(last, event);
      last = event;
    }
    this.#link(last, this.#head);
  }

  #stateAfter(state: State, operation: number, alternative: number): State | undefined {
    const { input, output } = this.#operation(operation);
    const states = this.#model.step(state, input, output);
    if (operation < this.#closedCount) return states[alternative];
    // An operation that may never have happened need not happen where it changes nothing.
    const key = this.#model.key(state);
    return states.filter((each) => this.#model.key(each) !== key)[alternative];
  }

  /**
   * The next open operation that was called before `event`. Of several with the same input the
   * first will do: whatever order has a later one here can have the two exchanged.
   */
  #openFrom(state: State, open: number, event: number): number {
    const { returned = 0 } = this.#operation(event >> 1);
    const end = this.#operations.length - this.#closedCount;
    if (this.#isPast(state, event >> 1)) return end;
    for (let each = open; each < end; each += 1) {
      const index = this.#closedCount + each;
      if (this.#operation(index).call > returned) return end;
      const twin = this.#twins[index] ?? index;
      const isFirst = twin === index || this.#placed[twin] === 1;
      if (this.#placed[index] === 0 && isFirst) return each;
    }
    return end;
  }

  #isPast(state: State, operation: number): boolean {
    const { input, output } = this.#operation(operation);
    return this.#model.isPast?.(state, input, output) === true;
  }

  #place(operation: number): void {
    this.#placed[operation] = 1;
    if (operation >= this.#closedCount) {
      this.#openPlaced.push(operation);
      return;
    }
    this.#closedPlaced += 1;
    while (this.#watermark < this.#closedCount && this.#placed[this.#watermark] === 1) {
      this.#watermark += 1;
    }
    for (const event of [2 * operation, 2 * operation + 1]) {
      this.#link(this.#before(event), this.#follow(event));
    }
  }

  #takeBackChoice(): Frame<State> | undefined {
    for (;;) {
      const frame = this.#top;
      this.#top = frame?.below;
      if (frame !== undefined) this.#takeBack(frame.operation);
      if (frame?.isForced !== true) return frame;
    }
  }

  #changesNothing(operation: number, state: State, after: State): boolean {
    const isAnswered = this.#operation(operation).output !== undefined;
    return isAnswered && this.#model.key(state) === this.#model.key(after);
  }

  /** In the reverse order of placing, so that an event's neighbors are those it left. */
  #takeBack(operation: number): void {
    this.#placed[operation] = 0;
    if (operation >= this.#closedCount) {
      this.#openPlaced.pop();
      return;
    }
    this.#closedPlaced -= 1;
    this.#watermark = Math.min(this.#watermark, operation);
    for (const event of [2 * operation + 1, 2 * operation]) {
      this.#next[this.#before(event)] = event;
      this.#previous[this.#follow(event)] = event;
    }
  }

  /** False when the same operations have led to the same state before. */
  #visit(state: State): boolean {
    let key = `${this.#watermark}`;
    let beyond = this.#closedPlaced - this.#watermark;
    for (let each = this.#watermark + 1; beyond > 0; each += 1) {
      if (this.#placed[each] === 0) continue;
      key += `,${each - this.#watermark}`;
      beyond -= 1;
    }
    for (const each of this.#openPlaced.toSorted((a, b) => a - b)) {
      // Whether it took effect, or can do so no more, is the same from here on.
      if (!this.#isPast(state, each)) key += `;${each}`;
    }
    key += `|${this.#model.key(state)}`;
    if (this.#visited.has(key)) return false;
    this.#visited.add(key);
    return true;
  }

  #rememberDeepest(state: State): void {
    if (this.#closedPlaced <= this.#deepestPlaced) return;
    this.#deepestPlaced = this.#closedPlaced;
    this.#deepest = { top: this.#top, state };
  }

  #link(before: number, after: number): void {
    this.#next[before] = after;
    this.#previous[after] = before;
  }

  #follow(event: number): number {
    return this.#next[event] ?? this.#head;
  }

  #before(event: number): number {
    return this.#previous[event] ?? this.#head;
  }

  #operation(index: number): Operation<Input, Output> {
    const operation = this.#operations[index];
    assert(operation !== undefined, "the search stays within its history");
    return operation;
  }
}

function twinsOf<Input, Output>(
  operations: readonly Operation<Input, Output>[],
  closedCount: number,
): Int32Array {
  const twins = new Int32Array(operations.length);
  const lastOf = new Map<string, number>();
  for (const [index, { input }] of operations.entries()) {
    if (index < closedCount) continue;
    const text = JSON.stringify(input);
    twins[index] = lastOf.get(text) ?? index;
    lastOf.set(text, index);
  }
  return twins;
}

/** Events of operation n are 2n, its call, and 2n + 1, its return. */
function isReturn(event: number): boolean {
  return (event & 1) === 1;
}

function returnsOf<Input, Output>(
  history: readonly Operation<Input, Output>[],
): Operation<Input, Output>[] {
  return history
    .filter(({ outcome, returned }) => outcome !== "not-applied" && returned !== undefined)
    .sort((a, b) => (a.returned ?? 0) - (b.returned ?? 0));
}

/** By bisection over time, since what has once gone wrong stays wrong. */
function firstFailing<State, Input, Output>(
  model: Model<State, Input, Output>,
  history: readonly Operation<Input, Output>[],
  returns: readonly Operation<Input, Output>[],
  limits: SearchLimits,
): { culprit: Operation<Input, Output>; search: Search<State, Input, Output> } {
  let good = -1;
  let bad = returns.length - 1;
  let failing: Search<State, Input, Output> | undefined;
  while (bad - good > 1 || failing === undefined) {
    const middle = failing === undefined ? bad : (good + bad) >> 1;
    const search = new Search(model, upTo(history, returns[middle]?.returned ?? 0), limits);
    if (search.run() === "violation" || middle === returns.length - 1) {
      failing = search;
      bad = middle;
    } else {
      good = middle;
    }
  }
  const culprit = returns[bad];
  assert(culprit !== undefined, "a history that cannot be ordered has something that returned");
  return { culprit, search: failing };
}

/** The history as it was known at `time`. */
function upTo<Input, Output>(
  history: readonly Operation<Input, Output>[],
  time: number,
): Operation<Input, Output>[] {
  const known: Operation<Input, Output>[] = [];
  for (const operation of history) {
    const { process, input, call, outcome, returned } = operation;
    if (call > time || outcome === "not-applied") continue;
    if (returned !== undefined && returned <= time) known.push(operation);
    else known.push({ process, input, call, outcome: "unknown" });
  }
  return known;
}

function explain<Input, Output>(
  history: readonly Operation<Input, Output>[],
  culprit: Operation<Input, Output>,
  order: readonly Operation<Input, Output>[],
  state: string,
): string {
  const end = culprit.returned ?? culprit.call;
  const concurrent = history
    .filter(
      (each) =>
        each !== culprit &&
        each.outcome !== "not-applied" &&
        each.call <= end &&
        (each.returned === undefined || each.returned >= culprit.call),
    )
    .sort((a, b) => a.call - b.call);
  return [
    `No order explains this answer: ${describeOperation(culprit)}`,
    `${order.length} operations can be put in order, and lead to ${state}. The last of them:`,
    ...order.slice(-SHOWN_MAX).map((each) => `  ${describeOperation(each)}`),
    `${concurrent.length} were under way meanwhile, the latest of them:`,
    ...concurrent.slice(-SHOWN_MAX).map((each) => `  ${describeOperation(each)}`),
  ].join("\n");
}

function describeOperation<Input, Output>(operation: Operation<Input, Output>): string {
  const { process, input, output, call, returned } = operation;
  const said = output === undefined ? "?" : JSON.stringify(output);
  return `process ${process}: ${JSON.stringify(input)} -> ${said} [${call}, ${returned ?? "open"}]`;
}
