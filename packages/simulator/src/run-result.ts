/** What one seed showed: the same seed and build give the same result, byte for byte. */

export type Verdict =
  | "passed"
  /** Too little happened for the run to count: neither green nor red. */
  | "void"
  /** Production code threw, an assertion in it failed, or it never came to rest. */
  | "crash"
  /** An invariant of reliability §3, 1 to 21, was broken. */
  | "safety"
  /** 22 to 24: after the faults ended, the cell did not come back. */
  | "liveness";

export type Finding = {
  /** The number of the invariant in reliability §3; 0 for a crash. */
  readonly invariant: number;
  /** The checker's name for it, kebab-case. */
  readonly rule: string;
  readonly detail: string;
  readonly atMs: number;
};

/** Kinds of fault by their ids in reliability §2; a seed draws a subset of them. */
export const FAULT_KINDS = [
  "N1-loss",
  "N1-duplicates",
  "N1-reordering",
  "N1-old-packets",
  "N2-partition",
  "N3-one-way",
  "N3-flapping",
  "N4-partial",
  "N5-clog",
  "N5-slow-link",
  "N5-reset",
  "N6-bad-frames",
  "C1-crash",
  "C1-crash-in-recovery",
  "C2-pause",
  "C2-client-pause",
  "C2-client-crash",
  "C3-blocked-loop",
  "D1-power-loss",
  "D2-torn-write",
  "D3-bit-rot",
  "D4-stale-sector",
  "D5-io-error",
  "D5-slow-disk",
  "D6-lost-directory",
  "T1-wall-step",
  "T1-drift",
  "T2-suspend",
  "T3-late-timers",
  "M1-hand-over",
  "M2-snapshot-races",
  "U1-session-churn",
  "U3-convoy",
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export type RunOptions = {
  readonly seed: string;
  /** To shrink a failure: what the seed drew, less these. */
  readonly without?: readonly FaultKind[];
  readonly replicas?: number;
  readonly clients?: number;
  /** In place of the seed's own: the safety phase lasts at least so long, and until the run counts. */
  readonly safetyMs?: number;
  /** Takes the lines of the message chart; without it none are made. */
  readonly chart?: (line: string) => void;
};

export type RunResult = {
  readonly seed: string;
  readonly verdict: Verdict;
  readonly finding: Finding | undefined;
  /** What the seed drew, in words. */
  readonly drawn: string;
  readonly replicas: number;
  readonly clients: number;
  readonly faultKinds: readonly FaultKind[];
  /** Inputs that production cores took. */
  readonly coreEvents: number;
  readonly simulatedMs: number;
  /** Calls of clients that ended in a reply of the cell. */
  readonly acknowledged: number;
  /**
   * Faults that were injected. Of some kinds not each is felt: the disk that is to fail or to be slow may
   * have nothing to do, and a replica that is asked to hand over may not lead.
   */
  readonly faults: number;
  /** How often each class of behavior was seen. */
  readonly coverage: Readonly<Record<string, number>>;
  /** Folded over every event, 16 hexadecimal digits. */
  readonly traceHash: string;
};
