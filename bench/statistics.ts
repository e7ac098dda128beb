/** The smallest sample that `part` of all samples do not exceed; NaN of none. */
export function quantile(samples: readonly number[], part: number): number {
  const sorted = Float64Array.from(samples).sort();
  const index = Math.min(sorted.length - 1, Math.max(0, Math.ceil(part * sorted.length) - 1));
  return sorted[index] ?? Number.NaN;
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

export function greatest(samples: readonly number[]): number {
  return quantile(samples, 1);
}

/** To `digits` significant digits: what a run of a few seconds cannot tell is not printed. */
export function rounded(value: number, digits = 3): number {
  return Number.isFinite(value) ? Number(value.toPrecision(digits)) : value;
}
