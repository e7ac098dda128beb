import {
  type FileInput,
  type FileOutput,
  type FileState,
  type LockInput,
  type LockOutput,
  type LockState,
  narrowUnknownWrites,
  type Operation,
} from "@cubby/simulator";

/** Milliseconds of the clock that all processes of a machine share. */
type Instant = number;

/**
 * One line of a client's history. A call is on disk before it is made, so that the end of the
 * process leaves it open and never unheard of.
 */
export type HistoryLine =
  | {
      readonly event: "call";
      readonly id: string;
      readonly at: Instant;
      readonly session: string;
      readonly node: string;
      readonly input: FileInput | LockInput;
    }
  | {
      readonly event: "return";
      readonly id: string;
      readonly at: Instant;
      readonly outcome: "ok" | "unknown" | "not-applied";
      readonly output?: FileOutput | LockOutput;
      readonly code?: string;
    }
  /** The lock said so at `at`, having been granted before `from`. */
  | {
      readonly event: "held";
      readonly holder: string;
      readonly node: string;
      readonly from: Instant;
      readonly at: Instant;
    }
  /** From here on the holder may give its lock back at any time. */
  | {
      readonly event: "gone";
      readonly holder: string;
      readonly node: string;
      readonly at: Instant;
    };

/** What the nodes held before the clients came. */
export type Beginning = {
  readonly files: Readonly<Record<string, FileState>>;
  readonly locks: Readonly<Record<string, LockState>>;
};

export type Belief = { readonly holder: string; readonly from: Instant; readonly until: Instant };

export type Tally = Record<"ok" | "unknown" | "not-applied", number>;

export type History = {
  readonly files: ReadonlyMap<string, readonly Operation<FileInput, FileOutput>[]>;
  readonly locks: ReadonlyMap<string, readonly Operation<LockInput, LockOutput>[]>;
  /** For each lock, when who was told by the client library that it held it. */
  readonly beliefs: ReadonlyMap<string, readonly Belief[]>;
  /** By kind of operation. */
  readonly tallies: ReadonlyMap<string, Tally>;
  /** By error code. */
  readonly errors: ReadonlyMap<string, number>;
  /** Tries that were refused while others waited, or may have: a free lock explains them too. */
  readonly behindWaiters: number;
  /** When something took effect or was read, in order; an answer that refuses is none of these. */
  readonly successes: readonly Instant[];
};

type Wait = { readonly from: Instant; readonly until: Instant };

type Call = Extract<HistoryLine, { readonly event: "call" }>;
type Return = Extract<HistoryLine, { readonly event: "return" }>;

/**
 * How long a claim may keep its place when nobody waits for it any more: until its Cancel, or the end of
 * its session, is applied. After the longest outage that is no violation (20 s, `report.ts`) that takes
 * as long as a lease, and the grace of its client.
 */
const CLAIM_STANDS_MS = 30_000;

const SUCCESSES: ReadonlySet<string> = new Set(["granted", "written", "contents"]);

/** What is told apart in a report. */
function kindOf(input: FileInput | LockInput): string {
  if (input.kind === "write" && input.ifGeneration !== undefined) return "compare-and-swap";
  if (input.kind === "acquire" && !input.wait) return "tryAcquire";
  return input.kind;
}

/** `lockDelayMs` says how long the lock of a failed holder stays closed, at the least. */
export function readHistory(
  lines: Iterable<HistoryLine>,
  lockDelayMs: (node: string) => number,
): History {
  const reader = new HistoryReader();
  for (const line of lines) reader.read(line);
  return reader.finish(lockDelayMs);
}

class HistoryReader {
  readonly #calls: Call[] = [];
  readonly #returns = new Map<string, Return>();
  readonly #beliefs = new Map<string, Map<string, Belief>>();
  /** Of each holder: when it began to give back. */
  readonly #gone = new Map<string, Instant>();

  read(line: HistoryLine): void {
    switch (line.event) {
      case "call":
        this.#calls.push(line);
        return;
      case "return":
        this.#returns.set(line.id, line);
        return;
      case "held": {
        const { node, holder, from, at } = line;
        const beliefs = this.#beliefs.get(node) ?? new Map<string, Belief>();
        this.#beliefs.set(node, beliefs);
        // A handle may hold the lock again and again: each grant is a belief of its own.
        beliefs.set(`${holder} ${from}`, { holder, from, until: at });
        return;
      }
      case "gone":
        this.#gone.set(line.holder, line.at);
        return;
    }
  }

  finish(lockDelayMs: (node: string) => number): History {
    const lastAlive = this.#lastAlive();
    const waits = this.#waits(lastAlive);
    const files = new Map<string, Operation<FileInput, FileOutput>[]>();
    const locks = new Map<string, Operation<LockInput, LockOutput>[]>();
    for (const call of this.#calls) {
      const { input } = call;
      if (input.kind === "read" || input.kind === "write") {
        pushTo(files, call.node, this.#operation(call, input));
      } else {
        const operation = this.#operation<LockInput, LockOutput>(call, input);
        pushTo(locks, call.node, behindWaiters(operation, waits.get(call.node) ?? []));
      }
    }
    this.#addEndings(locks, lastAlive, lockDelayMs);
    const { tallies, errors } = this.#count();
    const narrowed = [...files].map(([node, part]) => [node, narrowUnknownWrites(part)] as const);
    return {
      files: new Map(narrowed),
      locks,
      beliefs: new Map([...this.#beliefs].map(([node, part]) => [node, [...part.values()]])),
      tallies,
      errors,
      behindWaiters: [...locks.values()].flat().filter(isBehindWaiters).length,
      successes: [...this.#returns.values()]
        .filter(({ output }) => output !== undefined && SUCCESSES.has(output.kind))
        .map(({ at }) => at)
        .sort((a, b) => a - b),
    };
  }

  #operation<Input, Output>(call: Call, input: Input): Operation<Input, Output> {
    const answer = this.#returns.get(call.id);
    const process = Number.parseInt(call.id, 10);
    const outcome = answer?.outcome ?? "unknown";
    if (outcome !== "ok") return { process, input, call: call.at, outcome };
    // What a client wrote into its history is of the kind that belongs to the input.
    const output = answer?.output as Output;
    return { process, input, call: call.at, outcome, returned: answer?.at ?? call.at, output };
  }

  /**
   * When each session was certainly alive: as it last called and was answered. That a sequencer was
   * checked says nothing: anybody may ask that, also when the session is over.
   */
  #lastAlive(): ReadonlyMap<string, Instant> {
    const lastAlive = new Map<string, Instant>();
    for (const { id, session, at, input } of this.#calls) {
      if (input.kind === "check" || this.#returns.get(id)?.outcome !== "ok") continue;
      lastAlive.set(session, Math.max(at, lastAlive.get(session) ?? 0));
    }
    return lastAlive;
  }

  /** By lock: when somebody may have stood in its queue. */
  #waits(lastAlive: ReadonlyMap<string, Instant>): ReadonlyMap<string, readonly Wait[]> {
    const waits = new Map<string, Wait[]>();
    for (const { id, node, session, at, input } of this.#calls) {
      if (input.kind !== "acquire" || !input.wait) continue;
      const answer = this.#returns.get(id);
      const left = answer?.at ?? Math.max(at, lastAlive.get(session) ?? 0);
      const mayStand = (answer?.outcome ?? "unknown") === "unknown";
      const until = mayStand ? left + CLAIM_STANDS_MS : left;
      pushTo(waits, node, { from: at, until });
    }
    return waits;
  }

  /**
   * Every holder may lose its lock by the end of its session. Reported early, these events allow more
   * than can have happened.
   */
  #addEndings(
    locks: Map<string, Operation<LockInput, LockOutput>[]>,
    lastAlive: ReadonlyMap<string, Instant>,
    lockDelayMs: (node: string) => number,
  ): void {
    const seen = new Set<string>();
    for (const { id, node, session, at, input } of this.#calls) {
      if (input.kind !== "acquire" || seen.has(input.holder)) continue;
      const answer = this.#returns.get(id);
      const mayHold =
        answer === undefined || answer.outcome === "unknown" || answer.output?.kind === "granted";
      if (!mayHold) continue;
      const { holder } = input;
      seen.add(holder);
      const process = Number.parseInt(id, 10);
      const failed = Math.max(at, lastAlive.get(session) ?? 0);
      const open = (what: LockInput, call: Instant): void =>
        pushTo(locks, node, { process, input: what, call, outcome: "unknown" });
      open({ kind: "failed", holder }, failed);
      open({ kind: "delayOver", holder }, failed + lockDelayMs(node));
      const gone = this.#gone.get(holder);
      if (gone !== undefined) open({ kind: "release", holder }, gone);
    }
  }

  #count(): { tallies: Map<string, Tally>; errors: Map<string, number> } {
    const tallies = new Map<string, Tally>();
    const errors = new Map<string, number>();
    for (const { id, input } of this.#calls) {
      const answer = this.#returns.get(id);
      const kind = kindOf(input);
      const tally = tallies.get(kind) ?? { ok: 0, unknown: 0, "not-applied": 0 };
      tallies.set(kind, tally);
      tally[answer?.outcome ?? "unknown"] += 1;
      const code = answer === undefined ? "client killed" : answer.code;
      if (code !== undefined) errors.set(code, (errors.get(code) ?? 0) + 1);
    }
    return { tallies, errors };
  }
}

/** GAP-7: nothing passes those who wait, so a try is refused as long as any does. */
function behindWaiters(
  operation: Operation<LockInput, LockOutput>,
  waits: readonly Wait[],
): Operation<LockInput, LockOutput> {
  const { call, returned = call, output } = operation;
  if (output?.kind !== "busy") return operation;
  const isBehind = waits.some(({ from, until }) => from <= returned && until >= call);
  return isBehind ? { ...operation, output: { kind: "busy", mayBeBehind: true } } : operation;
}

function isBehindWaiters({ output }: Operation<LockInput, LockOutput>): boolean {
  return output?.kind === "busy" && output.mayBeBehind === true;
}

function pushTo<T>(parts: Map<string, T[]>, key: string, item: T): void {
  const part = parts.get(key);
  if (part === undefined) parts.set(key, [item]);
  else part.push(item);
}
