import { Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { ExpiryChecker } from "./check-expiry.ts";
import { type Plan, QUIET_PLAN } from "./plan.ts";
import { ReferenceCell } from "./reference-cell.ts";
import { VirtualTime } from "./virtual-time.ts";

const WITHIN_MS = 2 * QUIET_PLAN.sessionLeaseMs + 3_000;

function keepAlive(): Request {
  return Request.fromPartial({ sessionId: 7 });
}

function setUp() {
  const time = new VirtualTime();
  const reference = new ReferenceCell();
  const checker = new ExpiryChecker(time, QUIET_PLAN);
  const expire = (isWell = true): void => {
    reference.expired = 7;
    checker.onCommand(reference, isWell);
  };
  const look = (until: number, master: number | undefined): void => {
    checker.onLook(master);
    time.runTo(until);
    checker.onLook(master);
  };
  checker.onKeepAlive(keepAlive());
  return { time, checker, expire, look };
}

describe("the checker of expiries", () => {
  it("finds a session that outlives the last that was heard of it (18)", () => {
    const early = setUp();
    early.time.runTo(WITHIN_MS);
    early.expire();
    const late = setUp();
    late.time.runTo(WITHIN_MS + 1);
    expect(() => late.expire()).toThrow(/27001 ms after it was last heard of/);
  });

  it("finds one that is over while nobody served, or not for long enough (FO-0)", () => {
    const { checker, expire, look } = setUp();
    look(100, 1);
    checker.onGranted(keepAlive(), 2_000, "lease");
    look(1_200, 1);
    look(2_500, undefined);
    expect(() => expire()).toThrow(/served for 1100 ms of its lease of 2000/);
    checker.onGranted(keepAlive(), 2_000, "lease");
    look(3_000, 1);
    look(4_000, 2);
    expire();
  });

  it("counts from the KeepAlive's arrival where its answer waits for a quorum", () => {
    const expireAt = (endMs: number, toldMs: number, reads: Plan["reads"]) => () => {
      const { checker, expire, look } = setUp();
      const request = keepAlive();
      look(100, 1);
      checker.onKeepAlive(request);
      look(toldMs, 1);
      checker.onGranted(request, 2_000, reads);
      look(endMs, 1);
      expire();
    };
    expect(expireAt(2_000, 1_000, "lease")).toThrow(/served for 1000 ms of its lease of 2000/);
    expect(expireAt(2_000, 1_000, "quorum")).not.toThrow();
    expect(expireAt(1_000, 600, "quorum")).toThrow(/served for 900 ms of its lease of 2000/);
  });

  it("counts from the last KeepAlive, the last new master, and the last fault", () => {
    const heard = setUp();
    heard.time.runTo(10);
    heard.checker.onKeepAlive(keepAlive());
    heard.time.runTo(WITHIN_MS + 10);
    heard.expire();
    const disturbed = setUp();
    disturbed.time.runTo(20);
    disturbed.checker.onDisturbed();
    disturbed.time.runTo(WITHIN_MS + 20);
    disturbed.expire();
    const ill = setUp();
    ill.time.runTo(WITHIN_MS + 1);
    ill.expire(false);
  });
});
