import { LockMode, Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import type { ConnectionId } from "../options.ts";
import { CellState } from "../state/cell-state.ts";
import { Call } from "./call.ts";
import { Waiters } from "./waiters.ts";

describe("waiters", () => {
  it("give their places back when what they wait for is deleted", () => {
    const waiters = new Waiters(
      () => undefined,
      () => false,
    );
    const node = new CellState("local").namespace.root;
    const call = new Call(undefined, 1 as ConnectionId, Request.create());
    const mode = LockMode.EXCLUSIVE;
    call.node = node;
    call.claim = { path: "", instance: 1, handleId: 1, mode, wait: true, lockDelayMs: 0 };
    for (let n = 0; n <= 131_072; n += 1) {
      waiters.add(node, call);
      waiters.takeAll(node);
    }
    expect(waiters.isFull(node)).toBe(false);
  });
});
