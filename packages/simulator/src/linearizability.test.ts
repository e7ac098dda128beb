import { Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import {
  checkLinearizable,
  type LinearizabilityVerdict,
  type Model,
  type Operation,
  partitionHistory,
} from "./linearizability.ts";
import {
  type FileInput,
  type FileOutput,
  fileModel,
  type LockInput,
  lockModel,
  narrowUnknownWrites,
} from "./models.ts";
import { concurrentFileHistory } from "./test-support/concurrent-history.ts";

type RegisterInput =
  | { readonly kind: "read" }
  | { readonly kind: "write"; readonly value: number }
  | { readonly kind: "cas"; readonly from: number; readonly to: number };

/** Knossos' cas-register: a read says its value, a compare-and-swap whether it swapped. */
const REGISTER: Model<number, RegisterInput, number | boolean> = {
  init: 0,
  step(state, input, output) {
    if (input.kind === "write") return [input.value];
    if (input.kind === "read") return output === undefined || output === state ? [state] : [];
    const swaps = state === input.from;
    if (output !== undefined && output !== swaps) return [];
    return [swaps ? input.to : state];
  },
  key: String,
};

type QueueInput =
  | { readonly kind: "enqueue"; readonly item: string }
  | { readonly kind: "dequeue" };

const QUEUE: Model<readonly string[], QueueInput, string> = {
  init: [],
  step(state, input, output) {
    if (input.kind === "enqueue") return [[...state, input.item]];
    const [first, ...rest] = state;
    if (first === undefined || (output !== undefined && output !== first)) return [];
    return [rest];
  },
  key: (state) => state.join(),
};

/** `[process, call, return, input, output]`; a return of undefined is an open end. */
type Row<I, O> = readonly [number, number, number | undefined, I, (O | undefined)?];

function history<I, O>(rows: readonly Row<I, O>[]): Operation<I, O>[] {
  return rows.map(([process, call, returned, input, output]) => ({
    process,
    call,
    input,
    outcome: returned === undefined ? "unknown" : "ok",
    ...(returned === undefined ? {} : { returned }),
    ...(output === undefined ? {} : { output }),
  }));
}

function verdictOf<S, I, O>(
  model: Model<S, I, O>,
  rows: readonly Row<I, O>[],
): LinearizabilityVerdict<S, I, O>["kind"] {
  return checkLinearizable(model, history(rows)).kind;
}

const read: RegisterInput = { kind: "read" };
const write = (value: number): RegisterInput => ({ kind: "write", value });
const cas = (from: number, to: number): RegisterInput => ({ kind: "cas", from, to });
const enqueue = (item: string): QueueInput => ({ kind: "enqueue", item });
const dequeue: QueueInput = { kind: "dequeue" };

describe("histories of the literature", () => {
  it("accepts H1 of Herlihy and Wing: overlapping enqueues may take either order", () => {
    const rows: Row<QueueInput, string>[] = [
      [0, 0, 3, enqueue("x")],
      [1, 1, 2, enqueue("y")],
      [1, 4, 5, dequeue, "x"],
      [0, 6, 7, dequeue, "y"],
      [0, 8, 9, enqueue("z")],
    ];
    expect(verdictOf(QUEUE, rows)).toBe("linearizable");
  });

  it("refuses H2: what was enqueued first must come out first", () => {
    const rows: Row<QueueInput, string>[] = [
      [0, 0, 1, enqueue("x")],
      [1, 2, 3, enqueue("y")],
      [0, 4, 5, dequeue, "y"],
    ];
    expect(verdictOf(QUEUE, rows)).toBe("violation");
  });

  it("accepts H3: a pending enqueue may have taken effect", () => {
    const rows: Row<QueueInput, string>[] = [
      [0, 0, undefined, enqueue("x")],
      [1, 1, 2, dequeue, "x"],
    ];
    expect(verdictOf(QUEUE, rows)).toBe("linearizable");
  });

  it("refuses H4: an item comes out once", () => {
    const rows: Row<QueueInput, string>[] = [
      [0, 0, 3, enqueue("x")],
      [1, 1, 2, enqueue("y")],
      [0, 4, 6, dequeue, "y"],
      [1, 5, 7, dequeue, "y"],
    ];
    expect(verdictOf(QUEUE, rows)).toBe("violation");
  });

  it("refuses the register that Lamport calls regular: a new value, then the old one", () => {
    const rows: Row<RegisterInput, number | boolean>[] = [
      [0, 0, 9, write(1)],
      [1, 1, 2, read, 1],
      [1, 3, 4, read, 0],
    ];
    expect(verdictOf(REGISTER, rows)).toBe("violation");
  });
});

describe("registers with compare-and-swap", () => {
  it("refuses a read that is older than a write which had returned", () => {
    const rows: Row<RegisterInput, number | boolean>[] = [
      [0, 0, 1, write(1)],
      [0, 2, 3, write(2)],
      [1, 4, 5, read, 1],
    ];
    expect(verdictOf(REGISTER, rows)).toBe("violation");
  });

  it("refuses a lost update: two swaps from one value", () => {
    const rows: Row<RegisterInput, number | boolean>[] = [
      [0, 0, 5, cas(0, 1), true],
      [1, 1, 6, cas(0, 2), true],
    ];
    expect(verdictOf(REGISTER, rows)).toBe("violation");
  });

  it("accepts a swap that fails beside the one that won", () => {
    const rows: Row<RegisterInput, number | boolean>[] = [
      [0, 0, 5, cas(0, 1), true],
      [1, 1, 6, cas(0, 2), false],
      [2, 7, 8, read, 1],
    ];
    expect(verdictOf(REGISTER, rows)).toBe("linearizable");
  });

  it("lets a write of unknown outcome take effect long after its call, but once", () => {
    const late: Row<RegisterInput, number | boolean>[] = [
      [0, 0, undefined, write(1)],
      [1, 1, 2, read, 0],
      [1, 3, 4, write(2)],
      [1, 5, 6, read, 2],
      [1, 7, 8, read, 1],
    ];
    expect(verdictOf(REGISTER, late)).toBe("linearizable");
    const twice: Row<RegisterInput, number | boolean>[] = [
      ...late,
      [1, 9, 10, write(3)],
      [1, 11, 12, read, 1],
    ];
    expect(verdictOf(REGISTER, twice)).toBe("violation");
  });

  it("lets an unknown write not take effect before its call", () => {
    const rows: Row<RegisterInput, number | boolean>[] = [
      [0, 0, 1, read, 1],
      [1, 2, undefined, write(1)],
    ];
    expect(verdictOf(REGISTER, rows)).toBe("violation");
  });

  it("leaves out what was not applied", () => {
    const refused: Operation<RegisterInput, number | boolean> = {
      process: 0,
      call: 0,
      returned: 1,
      input: write(1),
      outcome: "not-applied",
    };
    const seen = history<RegisterInput, number | boolean>([[1, 2, 3, read, 1]]);
    expect(checkLinearizable(REGISTER, [refused, ...seen]).kind).toBe("violation");
  });

  it("holds an unknown write that was seen to its bound", () => {
    const bound = {
      process: 0,
      call: 0,
      returned: 5,
      input: write(1),
      outcome: "unknown",
    } as const;
    const seen = (output: number) =>
      history<RegisterInput, number | boolean>([[1, 6, 7, read, output]]);
    expect(checkLinearizable(REGISTER, [bound, ...seen(1)]).kind).toBe("linearizable");
    expect(checkLinearizable(REGISTER, [bound, ...seen(0)]).kind).toBe("violation");
  });

  it("names the first answer that no order explains, and what led there", () => {
    const rows: Row<RegisterInput, number | boolean>[] = [
      [0, 0, 1, write(1)],
      [1, 2, 3, read, 0],
      [0, 4, 5, write(2)],
      [3, 2.5, undefined, read],
      [2, 1.5, undefined, read],
    ];
    const verdict = checkLinearizable(REGISTER, history(rows));
    expect(verdict).toMatchObject({
      kind: "violation",
      culprit: { process: 1, call: 2 },
      order: [{ input: write(1) }],
      state: 1,
    });
    expect(verdict.kind === "violation" && verdict.explanation.split("\n")).toEqual([
      'No order explains this answer: process 1: {"kind":"read"} -> 0 [2, 3]',
      "1 operations can be put in order, and lead to 1. The last of them:",
      '  process 0: {"kind":"write","value":1} -> ? [0, 1]',
      "2 were under way meanwhile, the latest of them:",
      '  process 2: {"kind":"read"} -> ? [1.5, open]',
      '  process 3: {"kind":"read"} -> ? [2.5, open]',
    ]);
  });

  it("says unknown, which is no pass, when the limits are reached", () => {
    const rows: Row<RegisterInput, number | boolean>[] = [];
    for (let i = 0; i < 12; i += 1) rows.push([i, i, 100, write(i)]);
    rows.push([12, 101, 102, read, 99]);
    const verdict = checkLinearizable(REGISTER, history(rows), { stepsMax: 1_000 });
    expect(verdict).toEqual({ kind: "unknown", why: "no answer after 1001 steps" });
  });
});

describe("files of a cell", () => {
  const model = fileModel({ value: "", generation: 1 });
  const contents = (value: string, generation: number): FileOutput => ({
    kind: "contents",
    value,
    generation,
  });
  const written = (generation: number): FileOutput => ({ kind: "written", generation });
  const put = (value: string, ifGeneration?: number): FileInput =>
    ifGeneration === undefined ? { kind: "write", value } : { kind: "write", value, ifGeneration };
  const get: FileInput = { kind: "read" };

  it("accepts writes that count up, reads of them, and a swap that came too late", () => {
    const rows: Row<FileInput, FileOutput>[] = [
      [0, 0, 4, put("a"), written(2)],
      [1, 1, 3, put("b"), written(3)],
      [2, 2, 9, get, contents("a", 2)],
      [0, 5, 6, put("c", 2), { kind: "mismatch" }],
      [1, 7, 8, put("d", 3), written(4)],
    ];
    expect(verdictOf(model, rows)).toBe("linearizable");
  });

  it("refuses a generation that was given twice", () => {
    const rows: Row<FileInput, FileOutput>[] = [
      [0, 0, 4, put("a"), written(2)],
      [1, 1, 3, put("b"), written(2)],
    ];
    expect(verdictOf(model, rows)).toBe("violation");
  });

  it("finds the place of a write of unknown outcome by the generation it took", () => {
    const rows = (generation: number): Row<FileInput, FileOutput>[] => [
      [0, 0, undefined, put("a")],
      [1, 1, 2, put("b"), written(2)],
      [1, 3, 4, put("c"), written(generation)],
    ];
    expect(verdictOf(model, rows(3))).toBe("linearizable");
    expect(verdictOf(model, rows(4))).toBe("linearizable");
    expect(verdictOf(model, rows(5))).toBe("violation");
  });

  it("finds one stale read among 5,000 operations of 8 clients with lost answers", () => {
    const operations = concurrentFileHistory(new Rng("stale"), {
      operations: 5_000,
      clients: 8,
      lost: 0.01,
    });
    expect(checkLinearizable(model, narrowUnknownWrites(operations)).kind).toBe("linearizable");
    const reads = operations.filter(
      ({ input, outcome }) => input.kind === "read" && outcome === "ok",
    );
    const last = reads.at(-20);
    const old = reads[10]?.output;
    const stale = operations.map((each) =>
      each === last && old !== undefined ? { ...each, output: old } : each,
    );
    expect(checkLinearizable(model, narrowUnknownWrites(stale))).toMatchObject({
      kind: "violation",
      culprit: { call: last?.call },
    });
  });

  it("checks each file by itself", () => {
    const operations = history<FileInput, FileOutput>([
      [0, 0, 1, put("a"), written(2)],
      [1, 2, 3, get, contents("a", 2)],
      [2, 4, 5, get, contents("a", 2)],
    ]);
    const parts = partitionHistory(operations, ({ process }) => (process < 2 ? "x" : "y"));
    expect([...parts].map(([key, part]) => [key, checkLinearizable(model, part).kind])).toEqual([
      ["x", "linearizable"],
      ["y", "violation"],
    ]);
  });
});

describe("locks of a cell", () => {
  const model = lockModel({ generation: 7, holder: "", phase: "free" });
  const acquire = (holder: string): LockInput => ({ kind: "acquire", holder, wait: true });
  const attempt = (holder: string): LockInput => ({ kind: "acquire", holder, wait: false });
  const release = (holder: string): LockInput => ({ kind: "release", holder });
  const check = (generation: number): LockInput => ({ kind: "check", generation });
  const granted = (generation: number) => ({ kind: "granted", generation }) as const;
  const busy = { kind: "busy" } as const;
  const released = { kind: "released" } as const;
  const verdict = (valid: boolean) => ({ kind: "verdict", valid }) as const;

  it("accepts a lock that goes from hand to hand, with its refusals and checks", () => {
    const rows = [
      [0, 0, 1, acquire("a"), granted(8)],
      [1, 2, 3, attempt("b"), busy],
      [2, 2, 3, check(8), verdict(true)],
      [1, 4, 9, acquire("b"), granted(9)],
      [0, 5, 6, release("a"), released],
      [2, 10, 11, check(8), verdict(false)],
    ] as const;
    expect(verdictOf(model, rows)).toBe("linearizable");
  });

  it("refuses two holders, a lock that was free and called held, and a repeated generation", () => {
    const two = [
      [0, 0, 1, acquire("a"), granted(8)],
      [1, 2, 3, acquire("b"), granted(9)],
    ] as const;
    expect(verdictOf(model, two)).toBe("violation");
    expect(verdictOf(model, [[0, 0, 1, attempt("a"), busy]])).toBe("violation");
    const again = [
      [0, 0, 1, acquire("a"), granted(8)],
      [0, 2, 3, release("a"), released],
      [1, 4, 5, acquire("b"), granted(8)],
    ] as const;
    expect(verdictOf(model, again)).toBe("violation");
  });

  it("accepts a free lock that is called busy only where others may have waited for it", () => {
    const behind = { kind: "busy", mayBeBehind: true } as const;
    const rows = [
      [0, 0, 1, attempt("a"), behind],
      [0, 2, 3, attempt("a"), granted(8)],
    ] as const;
    expect(verdictOf(model, rows)).toBe("linearizable");
    expect(verdictOf(model, [[0, 0, 1, acquire("a"), behind]])).toBe("violation");
  });

  it("refuses a valid verdict on a sequencer that has passed on", () => {
    const rows = [
      [0, 0, 1, acquire("a"), granted(8)],
      [0, 2, 3, release("a"), released],
      [2, 4, 5, check(8), verdict(true)],
    ] as const;
    expect(verdictOf(model, rows)).toBe("violation");
  });

  it("lets a failed session's lock go on, but not before its lock-delay is over", () => {
    const rows = (opens: number) =>
      [
        [0, 0, 1, acquire("a"), granted(8)],
        [0, 2, undefined, { kind: "failed", holder: "a" }],
        [0, opens, undefined, { kind: "delayOver", holder: "a" }],
        [2, 3, 4, check(8), verdict(false)],
        [1, 5, 6, attempt("b"), busy],
        [1, 7, 8, attempt("b"), granted(9)],
      ] as const;
    expect(verdictOf(model, rows(7))).toBe("linearizable");
    expect(verdictOf(model, rows(9))).toBe("violation");
  });
});
