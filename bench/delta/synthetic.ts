import type { Columns } from "./real-series.ts";
export const SYNTHETIC_SERIES: readonly string[] = [];
export const SYNTHETIC_GZIP6 = new Map<string, number>();
export function syntheticSeries(): Columns {
  return {};
}
