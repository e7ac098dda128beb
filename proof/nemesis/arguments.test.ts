import { describe, expect, it } from "vitest";
import { readArguments } from "./arguments.ts";

function read(text: string): ReturnType<typeof readArguments> {
  return readArguments(text === "" ? [] : text.split(" "));
}

describe("arguments of the nemesis", () => {
  it("are a minute on the best network there is, by default", () => {
    expect(read("")).toMatchObject({ seconds: 60, network: "auto", json: false, isHelp: false });
    expect(read("--minutes 0.5 --seed a --json")).toMatchObject({
      seconds: 30,
      seed: "a",
      json: true,
    });
    expect(read("--help")).toMatchObject({ isHelp: true });
  });

  it("that make no sense are told, and nothing runs", () => {
    for (const seconds of ["0", "9", "3601", "many"]) {
      expect(read(`--seconds ${seconds}`)).toBe("A run takes 10 seconds to 60 minutes.");
    }
    expect(read("--minutes 10 --seconds 30")).toMatch("one of them");
    expect(read("--network tunnels")).toMatch("--network is");
    expect(read("--minuets 10")).toMatch("--minuets");
  });
});
