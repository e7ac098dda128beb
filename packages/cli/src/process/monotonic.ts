/**
 * Milliseconds on the machine's monotonic clock, with a fraction. All processes of one machine read
 * the same clock, so times that different processes report may be compared.
 */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}
