import type { Request } from "@cubby/protocol";
import { Violation } from "./violation.ts";

/** A healthy process is woken some thirty times a second, a client with forty sessions some sixty. */
const WAKES_PER_SECOND_MAX = 500;
/** A request that is refused or lost is repeated after growing pauses. */
const REPEATS_PER_SECOND_MAX = 60;
const SECOND_MS = 1_000;

const SENDS_REMEMBERED_MAX = 4_096;

type Count = { since: number; count: number };

/** 23: no process spins, asking again and again for what it cannot have yet. */
export class PaceChecker {
  readonly #wakes = new Map<string, Count>();
  readonly #sends = new Map<string, Count>();

  onWake(process: string, now: number): void {
    const count = countIn(this.#wakes, process, now);
    if (count <= WAKES_PER_SECOND_MAX) return;
    throw new Violation(23, "no-spin", `${process} was woken ${count} times in a second`);
  }

  onSend({ sessionId, requestNumber, call }: Request, now: number): void {
    if (requestNumber === 0) return;
    if (this.#sends.size >= SENDS_REMEMBERED_MAX) this.#sends.clear();
    const name = `${call?.$case} ${sessionId}/${requestNumber}`;
    const count = countIn(this.#sends, name, now);
    if (count <= REPEATS_PER_SECOND_MAX) return;
    throw new Violation(23, "no-storm", `${name} was sent ${count} times in a second`);
  }
}

/** Of this one, in the second that it is in. */
function countIn(counts: Map<string, Count>, name: string, now: number): number {
  const known = counts.get(name);
  if (known === undefined || now >= known.since + SECOND_MS) {
    counts.set(name, { since: now, count: 1 });
    return 1;
  }
  known.count += 1;
  return known.count;
}
