import { equalBytes } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { encodeMessage } from "./encode.ts";
import { Reply, Request } from "./generated/cubby.ts";

const close = (handle: Uint8Array): Request =>
  Request.create({ tag: 7, sessionId: 1, call: { $case: "close", value: { handle } } });

describe("encodeMessage", () => {
  it("gives what the generated code gives, message after message", () => {
    for (const size of [0, 1, 127, 128, 300_000, 2_000_000, 5]) {
      const request = close(new Uint8Array(size).fill(size));
      const generated = Request.encode(request).finish();
      // Compared as bytes: a matcher takes seconds over millions of elements.
      expect(equalBytes(encodeMessage(Request, request), generated)).toBe(true);
    }
  });

  it("gives bytes that later messages leave alone", () => {
    const first = encodeMessage(Request, close(Uint8Array.of(1, 2, 3)));
    const copy = first.slice();
    encodeMessage(Request, close(new Uint8Array(50).fill(255)));
    expect(first).toEqual(copy);
  });

  it("leaves nothing behind of a message that cannot be encoded", () => {
    const bad = { ...close(Uint8Array.of(9)), requestNumber: -1 };
    expect(() => encodeMessage(Request, bad)).toThrow();
    const good = Reply.create({ tag: 3 });
    expect(encodeMessage(Reply, good)).toEqual(Reply.encode(good).finish());
  });
});
