import { describe, expect, test } from "vitest";
import { readArguments } from "./arguments.ts";
import { bugNamed } from "./planted-bugs.ts";

function read(text: string): ReturnType<typeof readArguments> {
  return readArguments(text === "" ? [] : text.split(" "), bugNamed);
}

describe("arguments of the simulator", () => {
  test("by default a minute of fresh seeds", () => {
    const expected = { task: undefined, from: undefined, seeds: undefined, minutes: 1 };
    expect(read("")).toMatchObject(expected);
  });

  test("the command that a failure prints gives its run again", () => {
    const text =
      "--seed 7 --without N1-loss,C1-crash --replicas 3 --clients 2 --safety-ms 900 --trace";
    expect(read(text)).toMatchObject({
      task: {
        ...{ kind: "seed", seed: "7", without: ["N1-loss", "C1-crash"] },
        ...{ replicas: 3, clients: 2, safetyMs: 900, isCharted: true, isTwice: false },
      },
    });
  });

  test("what makes no sense is said, and nothing runs", () => {
    expect(read("--seeds many")).toMatch("--seeds is a whole number");
    expect(read("--minutes 0")).toMatch("--minutes");
    expect(read("--months -1")).toMatch("--months");
    expect(read("--bug nobody-made-it")).toBe('There is no bug "nobody-made-it".');
    expect(read("--sedes 3")).toMatch("--sedes");
  });
});
