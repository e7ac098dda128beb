import { CubbyError } from "@cubby/protocol";

/** A timer that is set for longer goes off at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, "": 1_000 };
const FORM = /^(\d+(?:\.\d+)?)(ms|s|m|)$/;

/** "10s", "500ms", "1m"; a bare number is seconds, as `flock` and `timeout` have it. */
export function parseDurationMs(text: string, what: string): number {
  const [, amount, unit] = FORM.exec(text.trim()) ?? [];
  const unitMs = unit === undefined ? undefined : UNITS_MS[unit];
  if (amount === undefined || unitMs === undefined) {
    throw new CubbyError("invalid_argument", `${what} "${text}" is no duration: write 10s, 500ms.`);
  }
  return Math.round(Number(amount) * unitMs);
}
