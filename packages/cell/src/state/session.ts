import { IN_FLIGHT_MAX } from "@cubby/protocol";
import type { HandleRecord } from "./handle-record.ts";
import { type Result, StoredResult } from "./result.ts";

/** About what all results that are kept take in a snapshot. */
export type ResultTally = { bytes: number };

/** What of a session survives its master (DESIGN §4). Idle sessions are many: keep it small. */
export class Session {
  /** P17: index of the log entry that created it, so no late packet can create it again. */
  readonly id: number;
  /** What the client asked for (SES-5). */
  readonly leaseMs: number;
  readonly caches: boolean;
  readonly clientName: string;
  /** Every request below this number has been answered. Never goes down. */
  lowestUnanswered = 1;
  /** Only handles that hold locks or keep ephemeral nodes alive. */
  handles: Map<number, HandleRecord> | undefined;
  /** GAP-11: results by request number, none below `lowestUnanswered`. */
  results: Map<number, StoredResult> | undefined;
  /** Of these results. */
  resultBytes = 0;
  /** How many of `handles` keep an ephemeral node alive. */
  openerCount = 0;
  readonly #tally: ResultTally;

  constructor(
    id: number,
    terms: { leaseMs: number; caches: boolean; clientName: string },
    tally: ResultTally,
  ) {
    this.#tally = tally;
    this.id = id;
    this.leaseMs = terms.leaseMs;
    this.caches = terms.caches;
    this.clientName = terms.clientName;
  }

  /** The client has these answers: their results need no keeping. */
  raiseLowestUnanswered(lowest: number): void {
    const before = this.lowestUnanswered;
    if (lowest <= before) return;
    this.lowestUnanswered = lowest;
    const results = this.results;
    if (results === undefined) return;
    if (lowest - before <= results.size) {
      for (let number = before; number < lowest; number += 1) this.#forget(results, number);
    } else {
      for (const number of results.keys()) if (number < lowest) this.#forget(results, number);
    }
  }

  /** Of the results that stay once all below `lowest` are forgotten. */
  resultBytesFrom(lowest: number): number {
    if (lowest <= this.lowestUnanswered) return this.resultBytes;
    let bytes = 0;
    for (const [number, { sizeBytes }] of this.results ?? []) {
      if (number >= lowest) bytes += sizeBytes;
    }
    return bytes;
  }

  #forget(results: Map<number, StoredResult>, number: number): void {
    this.#count(-(results.get(number)?.sizeBytes ?? 0));
    results.delete(number);
  }

  /** The session is over. */
  forgetResults(): void {
    this.#count(-this.resultBytes);
    this.results = undefined;
  }

  #count(grownBy: number): void {
    this.resultBytes += grownBy;
    this.#tally.bytes += grownBy;
  }

  resultOf(number: number): Result | undefined {
    return this.results?.get(number)?.result;
  }

  storeResult(number: number, result: Result): void {
    this.results ??= new Map();
    const stored = new StoredResult(result);
    this.#count(stored.sizeBytes - (this.results.get(number)?.sizeBytes ?? 0));
    this.results.set(number, stored);
  }

  /** Beyond this number a request is more than the result table may hold. */
  get requestNumberEnd(): number {
    return this.lowestUnanswered + IN_FLIGHT_MAX;
  }

  /** In order of handle id, since the order decides in which order nodes are deleted. */
  sortedHandles(): HandleRecord[] {
    if (this.handles === undefined) return [];
    return [...this.handles.values()].sort((a, b) => a.handleId - b.handleId);
  }
}
