import type { RunResult, Verdict } from "@cubby/simulator";

/** From so many seeds on, a class of coverage at zero is a simulator that no longer gets there. */
export const COVERED_FROM_SEEDS = 2_000;
/** One in a hundred is void; from so many seeds on, this share is a cell that hardly works under faults. */
const VOID_FROM_SEEDS = 50;
const VOID_SHARE_MAX = 0.1;

/** What many seeds showed together. A void one showed nothing: it is counted as such, and adds nothing. */
export class Totals {
  readonly #verdicts = new Map<Verdict, number>();
  readonly #coverage = new Map<string, number>();
  readonly failures: RunResult[] = [];
  seeds = 0;
  coreEvents = 0;
  simulatedMs = 0;
  acknowledged = 0;
  faults = 0;

  add(result: RunResult): void {
    const { verdict } = result;
    this.#verdicts.set(verdict, this.of(verdict) + 1);
    if (verdict === "void") return;
    if (verdict !== "passed") this.failures.push(result);
    this.seeds += 1;
    this.coreEvents += result.coreEvents;
    this.simulatedMs += result.simulatedMs;
    this.acknowledged += result.acknowledged;
    this.faults += result.faults;
    for (const [name, count] of Object.entries(result.coverage)) {
      this.#coverage.set(name, (this.#coverage.get(name) ?? 0) + count);
    }
  }

  of(verdict: Verdict): number {
    return this.#verdicts.get(verdict) ?? 0;
  }

  /** In the order in which the simulator lists them. */
  get coverage(): ReadonlyMap<string, number> {
    return this.#coverage;
  }

  get uncovered(): string[] {
    return [...this.#coverage].filter(([, count]) => count === 0).map(([name]) => name);
  }

  get #played(): number {
    return this.seeds + this.of("void");
  }

  get hasManyVoid(): boolean {
    return this.#played >= VOID_FROM_SEEDS && this.of("void") > VOID_SHARE_MAX * this.#played;
  }

  /** Too few seeds may miss a class by chance. Void ones must not excuse the rest. */
  get mustCover(): boolean {
    return this.#played >= COVERED_FROM_SEEDS;
  }
}
