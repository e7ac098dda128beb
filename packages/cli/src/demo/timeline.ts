/** One stretch of time in which a web server believed, rightly or not, that it leads. */
export type Reign = {
  readonly worker: string;
  readonly pid: number;
  /** Lock generation of the sequencer under which it led. */
  readonly generation: number;
  readonly fromMs: number;
  /** Now, while it goes on. */
  readonly untilMs: number;
};

export type Overlap = { readonly first: Reign; readonly second: Reign; readonly forMs: number };

/** In the order in which they began. */
export function inOrder(reigns: readonly Reign[]): Reign[] {
  return reigns.toSorted((a, b) => a.fromMs - b.fromMs);
}

/** Every pair of reigns that were going on at once. */
export function overlaps(reigns: readonly Reign[]): Overlap[] {
  const found: Overlap[] = [];
  const ordered = inOrder(reigns);
  ordered.forEach((first, index) => {
    for (const second of ordered.slice(index + 1)) {
      const forMs = Math.min(first.untilMs, second.untilMs) - second.fromMs;
      if (forMs > 0) found.push({ first, second, forMs });
    }
  });
  return found;
}

/** True when each reign has a greater sequencer than the one before. */
export function generationsRise(reigns: readonly Reign[]): boolean {
  const ordered = inOrder(reigns);
  return ordered.every(({ generation }, i) => {
    const before = ordered[i - 1];
    return before === undefined || before.generation < generation;
  });
}

/** What the job store must show: each job once, in order, and no older holder after a newer one. */
export function jobsProblem(
  jobs: readonly { readonly job: number; readonly generation: number }[],
): string | undefined {
  for (const [index, { job, generation }] of jobs.entries()) {
    if (job !== index + 1) return `job ${job} stands in place ${index + 1}`;
    const before = jobs[index - 1];
    if (before !== undefined && generation < before.generation) {
      return `job ${job} was done under generation ${generation}, after ${before.generation}`;
    }
  }
  return undefined;
}

/** A lock as seen from outside, by asking again and again. */
export type LockSighting = {
  readonly askedAtMs: number;
  readonly answeredAtMs: number;
  readonly held: boolean;
  readonly generation: number;
};

/**
 * When the holder of `generation` lost the lock: no earlier than the question that still saw it
 * holding, no later than the answer that did not. Undefined while it holds.
 */
export function whenLost(
  sightings: readonly LockSighting[],
  generation: number,
): { readonly notBeforeMs: number; readonly notAfterMs: number } | undefined {
  const holds = (sighting: LockSighting): boolean =>
    sighting.held && sighting.generation === generation;
  const last = sightings.findLastIndex(holds);
  const seen = sightings[last];
  const gone = sightings[last + 1];
  if (seen === undefined || gone === undefined) return undefined;
  return { notBeforeMs: seen.askedAtMs, notAfterMs: gone.answeredAtMs };
}
