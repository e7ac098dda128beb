import { afterEach, describe, expect, test, vi } from "vitest";
import { describeSelf, judge } from "./lock-holder.ts";

const SOCKET = "lock.0123456789abcdef.sock";
const NOBODY = 999_999_999;

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("a holder's judgement where there is no /proc", () => {
  test.each([
    // Somebody has the number, the holder or a stranger: that a socket refuses does not tell which.
    [process.ppid, "listens", { kind: "held", pid: process.ppid, where: "here" }],
    [process.ppid, "refuses", { kind: "held", pid: process.ppid, where: "numbered" }],
    [process.ppid, "missing", { kind: "held", pid: process.ppid, where: "numbered" }],
    [process.ppid, "unknown", { kind: "held", pid: process.ppid, where: "numbered" }],
    [NOBODY, "listens", { kind: "held", pid: NOBODY, where: "here" }],
    [NOBODY, "refuses", { kind: "gone" }],
    [NOBODY, "missing", { kind: "gone" }],
    [NOBODY, "unknown", { kind: "gone" }],
  ] as const)("of process %d, whose socket %s, is %o", (pid, answer, judgement) => {
    vi.stubGlobal("process", { ...process, pid: process.pid, platform: "darwin" });
    const holder = { pid, startedAt: "-", boot: "-", namespace: "-", socket: SOCKET };
    expect(judge(holder, answer)).toEqual(judgement);
  });
});

// Elsewhere the number is all that a system tells.
test.runIf(process.platform === "linux")(
  "a process knows itself for a holder, whatever its socket answers",
  () => {
    for (const answer of ["listens", "refuses", "missing", "unknown"] as const) {
      const held = { kind: "held", pid: process.pid, where: "here" };
      expect(judge(describeSelf(undefined), answer)).toEqual(held);
    }
  },
);
