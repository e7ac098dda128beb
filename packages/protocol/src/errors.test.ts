import { describe, expect, it } from "vitest";
import { CubbyError, ERROR_CODES, type ErrorCode, errorCodeOf, type Outcome } from "./errors.ts";

const codes = Object.keys(ERROR_CODES) as ErrorCode[];

describe("the error table", () => {
  it("finds every code by its wire id, and gives an unknown id an unknown outcome", () => {
    for (const code of codes) expect(errorCodeOf(ERROR_CODES[code].id)).toBe(code);
    expect(errorCodeOf(65_000)).toBe("internal");
    expect(ERROR_CODES.internal.outcome).toBe("unknown");
  });

  it("gives each way a replica can end, and busy, lost and unreachable, an exit code of its own", () => {
    const fatal = codes.filter(
      (code) => ERROR_CODES[code].id >= 201 && code !== "directory_denied",
    );
    const exits = [...fatal, "lock_held", "lock_lost", "no_quorum"] as ErrorCode[];
    expect(new Set(exits.map((code) => ERROR_CODES[code].exitCode)).size).toBe(exits.length);
  });

  it("stays clear of success and of the codes that shells give to signals", () => {
    for (const code of codes) {
      expect(ERROR_CODES[code].exitCode).toBeGreaterThanOrEqual(64);
      expect(ERROR_CODES[code].exitCode).toBeLessThan(126);
    }
  });

  it("puts the code first in the message and keeps the cause", () => {
    const cause = new Error("below");
    const error = new CubbyError("lock_held", "The lock is held.", { cause });
    expect(error.message).toBe("[lock_held] The lock is held.");
    expect(error.cause).toBe(cause);
    expect([error.outcome, error.retryable]).toEqual(["not-applied", true]);
  });

  it("advises to repeat what was late only where it is known not to have taken effect", () => {
    const late = (outcome?: Outcome): boolean =>
      new CubbyError("deadline_exceeded", "Late.", outcome && { outcome }).retryable;
    expect([late(), late("unknown"), late("not-applied")]).toEqual([false, false, true]);
  });
});
