import { instant } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { SessionLease } from "./session-lease.ts";

const at = instant;

describe("the client's lease (SES-11)", () => {
  it("is counted from the sending, with what the master held, less the clock-rate bound", () => {
    const lease = new SessionLease();
    lease.extend(at(8_000), at(1_000), 12_000, 7_000);
    expect(lease.deadline).toBe(1_000 + Math.floor(19_000 * 0.9) - 1);
  });

  it("ends before the master's under any drift within the bound", () => {
    const leaseMs = 12_000;
    const rates = [0.9, 0.95, 1, 1.05, 1.1];
    const flights = [0, 3, 900, 5_000];
    for (const heldTrueMs of [0, 1, 500, 7_000]) {
      // One true millisecond is `rate` on the client's clock, and `masterRate` on the master's.
      for (const [rate, masterRate] of rates.flatMap((a) => rates.map((b) => [a, b] as const))) {
        for (const [outMs, backMs] of flights.flatMap((a) => flights.map((b) => [a, b] as const))) {
          const lease = new SessionLease();
          const elapsed = Math.ceil((outMs + heldTrueMs + backMs) * rate);
          const heldMs = Math.floor(heldTrueMs * masterRate);
          lease.extend(at(10_000 + elapsed), at(10_000), leaseMs, heldMs);
          const spanTrueMs = (lease.deadline - 10_000) / rate;
          // From its reply, the master keeps it for the lease, and ε of that and of the held time. Its
          // clock shows whole milliseconds: it may have begun to count almost one too early.
          const keptMs = leaseMs + (leaseMs + heldMs) * 0.1 - 0.999;
          const masterTrueMs = outMs + heldTrueMs + keptMs / masterRate;
          expect(spanTrueMs).toBeLessThanOrEqual(masterTrueMs + 1e-6);
        }
      }
    }
  });

  it("is never shortened by a later answer", () => {
    const lease = new SessionLease();
    lease.extend(at(2_000), at(1_000), 12_000, 0);
    const before = lease.deadline;
    lease.extend(at(2_500), at(1_100), 2_000, 0);
    expect(lease.deadline).toBe(before);
  });

  it("begins with the session when nothing was granted, and is not live", () => {
    const lease = new SessionLease();
    lease.voidAt(at(1_000_000));
    lease.extend(at(1_000_100), at(999_000), 12_000, 0);
    lease.beginAt(at(1_000_100));
    expect(lease.deadline).toBe(1_000_100);
    expect(lease.isLiveAt(at(1_000_100))).toBe(false);
    lease.extend(at(1_000_200), at(1_000_100), 12_000, 0);
    const granted = lease.deadline;
    lease.beginAt(at(1_000_200));
    expect(lease.deadline).toBe(granted);
  });

  it("takes no word of the master beyond what can be true here", () => {
    const lease = new SessionLease();
    lease.extend(at(1_100), at(1_000), 10_000_000, 10_000_000);
    expect(lease.deadline).toBe(1_000 + Math.floor((60_000 + 100) * 0.9) - 1);
  });

  it("is over at once when the clock is in doubt, until something new is granted", () => {
    const lease = new SessionLease();
    lease.extend(at(2_000), at(1_000), 12_000, 0);
    lease.voidAt(at(3_000));
    expect(lease.isLiveAt(at(3_000))).toBe(false);
    // The answer to what was sent before may have lain there while the clock stood still.
    lease.extend(at(3_050), at(2_999), 12_000, 0);
    expect(lease.isLiveAt(at(3_050))).toBe(false);
    lease.extend(at(3_200), at(3_100), 12_000, 0);
    expect(lease.isLiveAt(at(3_200))).toBe(true);
  });
});
