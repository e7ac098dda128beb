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
    for (const seeds of ["many", "0", "-1", "1.5"]) {
      expect(read(`--seeds=${seeds}`)).toMatch("--seeds is a whole number from 1");
    }
    expect(read("--minutes 0")).toMatch("--minutes");
    expect(read("--months 0")).toMatch("--months");
    expect(read("--seed=")).toMatch("--seed");
    for (const replicas of ["0", "2", "9"]) {
      expect(read(`--seed 7 --replicas ${replicas}`)).toMatch("--replicas is one of 1, 3, 5, 7");
    }
    expect(read("--seed 7 --clients 0")).toMatch("--clients");
    expect(read("--seed 7 --without N1-loss,N1-lost")).toMatch('no kind of fault "N1-lost"');
    expect(read("--bug nobody-made-it")).toMatch('There is no bug "nobody-made-it"');
    expect(read("--sedes 3")).toMatch("--sedes");
  });

  test("what would do nothing is refused", () => {
    const bug = "--bug promise-before-durable";
    for (const text of [
      ...["--trace", "--replicas 3", "--without C1-crash", "--seed 7 --seeds 9", "--seed 7 --bugs"],
      ...[`--bugs ${bug}`, `--availability ${bug}`, "--months 2 --minutes 5", "--quick"],
    ]) {
      expect(read(text)).toMatch(/^--\S+ does nothing/);
    }
    expect(read("--seeds 5 --minutes 1")).toMatch("one of them");
    expect(read("--seed 7 --trace --json --help")).toMatchObject({ isHelp: true });
  });
});
