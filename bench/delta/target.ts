/** A figure and what it should be. */

import { fixed, textTable } from "../text-table.ts";

export type Target = {
  readonly what: string;
  readonly value: number;
  readonly target: number;
  readonly wants: "at most" | "at least";
  readonly isMet: boolean;
};

export function atMost(what: string, value: number, target: number): Target {
  return { what, value, target, wants: "at most", isMet: value <= target };
}

export function atLeast(what: string, value: number, target: number): Target {
  return { what, value, target, wants: "at least", isMet: value >= target };
}

export function targetReport(targets: readonly Target[]): string {
  const digits = (value: number): string => fixed(value, Math.abs(value) < 20 ? 3 : 0);
  const lines = targets.map(({ what, value, target, wants, isMet }) => [
    what,
    digits(value),
    `${wants} ${digits(target)}`,
    isMet ? "met" : `MISSED by ${fixed(Math.abs(value / target - 1) * 100, 1)} %`,
  ]);
  return textTable(["target", "value", "wanted", ""], lines);
}
