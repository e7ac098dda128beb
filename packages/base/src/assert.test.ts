import { describe, expect, it } from "vitest";
import { AssertionError, assert, unreachable } from "./assert.ts";

describe("assert", () => {
  it("lets what holds pass", () => {
    expect(() => assert(true, "one is one")).not.toThrow();
    expect(() => assert("text", "a truthy value holds")).not.toThrow();
  });

  it("names the property that does not hold", () => {
    const violated = () => assert(false, "a ballot never falls");
    expect(violated).toThrow(AssertionError);
    expect(violated).toThrow("violated: a ballot never falls");
  });
});

describe("unreachable", () => {
  it("names the kind that has no case", () => {
    const stranger = { kind: "stranger" } as unknown as never;
    expect(() => unreachable(stranger)).toThrow(new AssertionError("unreachable: kind stranger"));
  });

  it("takes a value without a kind", () => {
    expect(() => unreachable(7 as unknown as never)).toThrow("unreachable: 7");
  });
});
