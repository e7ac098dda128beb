/** What a web server says about itself, one JSON object per line on its standard output. */
export type WorkerReport = {
  readonly worker: string;
  readonly pid: number;
  /** Monotonic, the same clock for all processes. */
  readonly atMs: number;
} & WorkerNews;

export type WorkerNews =
  | { readonly kind: "started"; readonly url: string }
  | { readonly kind: "waiting" }
  /** It has checked, right before it said so, that it holds the lock; so too with `working`. */
  | { readonly kind: "leading"; readonly generation: number; readonly sequencer: string }
  | { readonly kind: "working"; readonly job: number; readonly generation: number }
  | { readonly kind: "stored"; readonly job: number; readonly generation: number }
  | {
      readonly kind: "refused";
      readonly job: number;
      readonly generation: number;
      readonly reason: string;
    }
  | { readonly kind: "steppedDown"; readonly generation: number; readonly why: string }
  | { readonly kind: "jeopardy" }
  | { readonly kind: "safe" }
  | { readonly kind: "expired"; readonly why: string };

export function formatReport(report: WorkerReport): string {
  return `${JSON.stringify(report)}\n`;
}

/** Undefined for a line that is no report. */
export function parseReport(line: string): WorkerReport | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const report = JSON.parse(line) as Partial<WorkerReport>;
    return typeof report.kind === "string" && typeof report.atMs === "number"
      ? (report as WorkerReport)
      : undefined;
  } catch {
    return undefined;
  }
}
