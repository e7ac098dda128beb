import { Rng } from "@cubby/base";
import fc from "fast-check";
import { expect, it } from "vitest";
import { checkLinearizable, type Model, type Operation } from "./linearizability.ts";
import {
  type FileInput,
  type FileOutput,
  type FileState,
  fileModel,
  narrowUnknownWrites,
} from "./models.ts";
import { concurrentFileHistory } from "./test-support/concurrent-history.ts";

type FileOperation = Operation<FileInput, FileOutput>;

const MODEL = fileModel({ value: "", generation: 1 });

function check(history: readonly FileOperation[]) {
  return checkLinearizable(MODEL, narrowUnknownWrites(history));
}

/** Tries every order of the history, with and without what is open. */
function bruteForce(
  model: Model<FileState, FileInput, FileOutput>,
  state: FileState,
  left: readonly FileOperation[],
): boolean {
  if (left.every(({ returned }) => returned === undefined)) return true;
  const firstReturn = Math.min(...left.map(({ returned }) => returned ?? Number.POSITIVE_INFINITY));
  return left.some((each) => {
    if (each.call > firstReturn) return false;
    const rest = left.filter((other) => other !== each);
    return model
      .step(state, each.input, each.output)
      .some((after) => bruteForce(model, after, rest));
  });
}

/** One answer says something else: another generation, or that of another read. */
function mutate(rng: Rng, history: readonly FileOperation[]): FileOperation[] {
  const answered = history.flatMap(({ output }, index) => (output === undefined ? [] : [index]));
  const victim = answered[rng.below(Math.max(answered.length, 1))];
  const donor = history[answered[rng.below(Math.max(answered.length, 1))] ?? 0]?.output;
  return history.map((each, index) => {
    if (index !== victim || each.output === undefined || donor === undefined) return each;
    return { ...each, output: donor };
  });
}

const shapes = fc.record({
  seed: fc.integer({ min: 0 }),
  operations: fc.integer({ min: 1, max: 9 }),
  clients: fc.integer({ min: 1, max: 4 }),
  lost: fc.constantFrom(0, 0.2, 0.5),
});

it("finds an order for every history that a working file has gone through", () => {
  fc.assert(
    fc.property(shapes, fc.integer({ min: 1, max: 30 }), ({ seed, ...shape }, factor) => {
      const operations = shape.operations * factor;
      const history = concurrentFileHistory(new Rng(`${seed}`), { ...shape, operations });
      expect(check(history).kind).toBe("linearizable");
    }),
    { numRuns: 150 },
  );
});

it("says of histories with one wrong answer what trying every order says", () => {
  const counts = { linearizable: 0, violation: 0 };
  fc.assert(
    fc.property(shapes, ({ seed, ...shape }) => {
      const rng = new Rng(`${seed}`);
      const history = mutate(rng, concurrentFileHistory(rng.fork("history"), shape));
      const expected = bruteForce(MODEL, MODEL.init, history) ? "linearizable" : "violation";
      expect(checkLinearizable(MODEL, history).kind).toBe(expected);
      expect(check(history).kind).toBe(expected);
      counts[expected] += 1;
    }),
    { numRuns: 500 },
  );
  // A wrong answer is mostly noticed; where it is not, the clients overlapped.
  expect(counts.violation).toBeGreaterThan(100);
  expect(counts.linearizable).toBeGreaterThan(20);
});

it("gives back an order that respects time and that the model goes through", () => {
  fc.assert(
    fc.property(shapes, ({ seed, ...shape }) => {
      const verdict = checkLinearizable(MODEL, concurrentFileHistory(new Rng(`${seed}`), shape));
      if (verdict.kind !== "linearizable") throw new Error("A good history was refused.");
      let state = MODEL.init;
      for (const [index, { call, input, output }] of verdict.order.entries()) {
        const later = verdict.order.slice(index + 1);
        expect(later.every(({ returned }) => returned === undefined || returned >= call)).toBe(
          true,
        );
        const after = MODEL.step(state, input, output)[0];
        if (after === undefined) throw new Error("The order does not explain an answer.");
        state = after;
      }
    }),
    { numRuns: 150 },
  );
});
