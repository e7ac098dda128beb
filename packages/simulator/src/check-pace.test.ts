import type { Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { PaceChecker } from "./check-pace.ts";

describe("the checker of pace", () => {
  it("finds a process that spins, and no other (23)", () => {
    const pace = new PaceChecker();
    for (let ms = 0; ms < 60_000; ms += 10) pace.onWake("r1", ms);
    expect(() => {
      for (let ms = 0; ms < 100; ms += 0.05) pace.onWake("r2", ms);
    }).toThrow(/r2 was woken 501 times/);
  });

  it("finds a request that is repeated without a pause (23)", () => {
    const pace = new PaceChecker();
    const request = { sessionId: 3, requestNumber: 7, call: undefined } as unknown as Request;
    for (let ms = 0; ms < 60_000; ms += 50) pace.onSend(request, ms);
    expect(() => {
      for (let ms = 60_000; ms < 60_100; ms += 1) pace.onSend(request, ms);
    }).toThrow(/3.7 was sent 61 times/);
  });
});
