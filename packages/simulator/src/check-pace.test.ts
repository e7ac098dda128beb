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
    const request = requestOf("setContents", 7);
    for (let ms = 0; ms < 60_000; ms += 50) pace.onSend("c1", request, ms);
    expect(() => {
      for (let ms = 60_000; ms < 60_100; ms += 1) pace.onSend("c1", request, ms);
    }).toThrow(/3.7 was sent 61 times/);
  });

  it("finds a client that chases a master, and replicas that answer each other (23)", () => {
    const pace = new PaceChecker();
    expect(() => {
      for (let ms = 0; ms < 900; ms += 1) pace.onSend("c1", requestOf("locate", 0), ms);
    }).toThrow(/c1 locate 3 was sent 251 times/);
    for (let ms = 0; ms < 900; ms += 1) pace.onSend("c2", requestOf("getStat", 0), ms);
    expect(() => {
      for (let ms = 0; ms < 900; ms += 0.25) pace.onPacket(1, 2, "nack", ms);
    }).toThrow(/r1 to r2 nack was sent 2001 times/);
    for (let ms = 0; ms < 900; ms += 0.25) pace.onPacket(1, 2, "accept", ms);
  });

  it("finds replicas that tell each other more than happens, while all is calm (23)", () => {
    const tell = (times: number, happened: number): void => {
      const pace = new PaceChecker();
      pace.beginCalm();
      for (let i = 0; i < times; i += 1) pace.onPacket(1, 2, "accept", i);
      pace.endCalm(happened);
    };
    tell(600, 100);
    expect(() => tell(601, 100)).toThrow(/r1 to r2 accept was sent 601 times in a calm/);
  });
});

function requestOf($case: string, requestNumber: number): Request {
  return { sessionId: 3, requestNumber, call: { $case } } as unknown as Request;
}
