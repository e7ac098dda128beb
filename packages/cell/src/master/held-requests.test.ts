import { instant } from "@cubby/base";
import { Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import type { ConnectionId } from "../options.ts";
import { HELD_BYTES_MAX, HeldRequests } from "./held-requests.ts";

const at = (id: number): ConnectionId => id as ConnectionId;

function write(sizeBytes: number): Request {
  const value = {
    handle: new Uint8Array(0),
    contents: new Uint8Array(sizeBytes),
    hasIfGeneration: false,
    ifGeneration: 0,
  };
  return Request.create({ call: { $case: "setContents", value } });
}

describe("held requests", () => {
  it("are bounded in bytes, and have room again once they are taken", () => {
    const held = new HeldRequests();
    const big = write(HELD_BYTES_MAX);
    expect([held.add(at(1), big), held.add(at(2), write(1))]).toEqual([true, false]);
    expect(held.takeAll().map(({ from }) => from)).toEqual([1]);
    expect(held.add(at(2), big)).toBe(true);
    held.dropFrom(at(2));
    expect([held.size, held.add(at(3), big)]).toEqual([0, true]);
  });

  it("are given back when their time is over, the oldest first", () => {
    const held = new HeldRequests();
    held.add(at(1), write(1), instant(10));
    held.add(at(2), write(1), instant(20));
    expect(held.firstUntil).toBe(10);
    expect(held.takeDue(instant(9))).toBeUndefined();
    expect(held.takeDue(instant(15))?.from).toBe(1);
    expect(held.takeDue(instant(15))).toBeUndefined();
  });
});
