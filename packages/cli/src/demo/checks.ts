/** What a check found, with what a reader needs to judge it. One of these is one line of JSON. */
export type Check = {
  readonly check: string;
  readonly ok: boolean;
  /** What was measured or seen. */
  readonly value: unknown;
  /** What it had to be. */
  readonly bound: string;
  readonly evidence: Evidence;
};

/** Whichever of these a check rests on. Times are monotonic and of one clock for all processes. */
export type Evidence = {
  readonly processIds?: Readonly<Record<string, number | undefined>>;
  readonly ballots?: Readonly<Record<string, string>>;
  readonly sequencers?: Readonly<Record<string, string | undefined>>;
  readonly monotonicMs?: Readonly<Record<string, number | undefined>>;
  readonly [detail: string]: unknown;
};

/** Collects the checks of one run, and says each as it is made. */
export class Checks {
  readonly #made: Check[] = [];
  readonly #say: (check: Check) => void;

  constructor(say: (check: Check) => void) {
    this.#say = say;
  }

  add(name: string, ok: boolean, value: unknown, bound: string, evidence: Evidence = {}): void {
    const check = { check: name, ok, value, bound, evidence };
    this.#made.push(check);
    this.#say(check);
  }

  get made(): readonly Check[] {
    return this.#made;
  }

  get broken(): readonly Check[] {
    return this.#made.filter(({ ok }) => !ok);
  }

  /** True only if something was checked and all of it held. */
  get allHeld(): boolean {
    return this.#made.length > 0 && this.broken.length === 0;
  }
}

/** One line of JSON, the evidence beside the rest. */
export function checkAsJson({ check, ok, value, bound, evidence }: Check): string {
  return JSON.stringify({ check, ok, value, bound, ...evidence }, roundTimes);
}

/** One line for a reader. */
export function checkAsText({ check, ok, value, bound }: Check): string {
  const mark = ok ? "ok    " : "BROKEN";
  const seen = typeof value === "string" ? value : JSON.stringify(value, roundTimes);
  return `${mark}  ${check}: ${seen}  [bound: ${bound}]`;
}

/** Microseconds are plenty. */
function roundTimes(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isInteger(value)
    ? Math.round(value * 1_000) / 1_000
    : value;
}
