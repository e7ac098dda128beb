import { Violation } from "./violation.ts";

/** A healthy process is woken some thirty times a second, a client with forty sessions some sixty. */
const WAKES_PER_SECOND_MAX = 500;
const SECOND_MS = 1_000;

/** 23: no process spins, asking again and again to be woken for what it cannot do yet. */
export class PaceChecker {
  readonly #wakes = new Map<string, { since: number; count: number }>();

  onWake(process: string, now: number): void {
    const wakes = this.#wakes.get(process);
    if (wakes === undefined || now >= wakes.since + SECOND_MS) {
      this.#wakes.set(process, { since: now, count: 1 });
      return;
    }
    wakes.count += 1;
    if (wakes.count <= WAKES_PER_SECOND_MAX) return;
    throw new Violation(23, "no-spin", `${process} was woken ${wakes.count} times in a second`);
  }
}
