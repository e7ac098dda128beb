import { CubbyError, quoted } from "@cubby/protocol";

/** Milliseconds as a number, or text such as "500ms", "10s", "2m". */
export type Duration = number | string;

const UNITS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
]);

/** Whole milliseconds. Throws `CubbyError` invalid_argument, which names `what`. */
export function durationMs(duration: Duration, what: string): number {
  const ms = typeof duration === "string" ? parse(duration) : duration;
  if (typeof ms === "number" && Number.isSafeInteger(ms) && ms >= 0) return ms;
  throw new CubbyError(
    "invalid_argument",
    `${what} is ${quoted(String(duration))}. Give whole milliseconds, or text such as "10s".`,
  );
}

/** Like `durationMs`; undefined for Infinity: no limit. */
export function timeoutMsOf(timeoutMs: number, what = "timeoutMs"): number | undefined {
  return timeoutMs === Number.POSITIVE_INFINITY ? undefined : durationMs(timeoutMs, what);
}

function parse(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text.trim());
  const unit = UNITS.get(match?.[2] ?? "");
  return unit === undefined ? undefined : Math.round(Number(match?.[1]) * unit);
}
