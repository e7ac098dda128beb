import { CreateMode } from "@cubby/protocol";
import { describe, expect, test } from "vitest";
import { requestOfBody } from "./http-calls.ts";
import type { CallName } from "./lane.ts";

function read(name: CallName, body: object) {
  return requestOfBody(name, new TextEncoder().encode(JSON.stringify(body)), 1);
}

describe("a call's body", () => {
  test.each<[CallName, object, string]>([
    ["setContents", { ifGeneration: 7 }, "hasIfGeneration"],
    ["setContents", { setContents: { if_generation: "7" } }, "hasIfGeneration"],
    ["setContents", { ifGeneration: 7, hasIfGeneration: false }, "hasIfGeneration"],
    ["open", { lockDelayMs: 0 }, "hasLockDelay"],
  ])("of %s is refused when a field in it would not count: %j", (name, body, named) => {
    expect(() => read(name, body)).toThrow(
      expect.objectContaining({
        code: "invalid_argument",
        message: expect.stringContaining(named),
      }),
    );
  });

  test("may name fields as they are when unset", () => {
    const written = read("setContents", { ifGeneration: 0, hasIfGeneration: false });
    expect(written.call).toMatchObject({ value: { hasIfGeneration: false } });
    const opened = read("open", { create: "IF_ABSENT", lockDelayMs: 5, has_lock_delay: true });
    expect(opened.call).toMatchObject({
      value: { create: CreateMode.IF_ABSENT, lockDelayMs: 5, hasLockDelay: true },
    });
  });
});
