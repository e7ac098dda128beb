import { performance } from "node:perf_hooks";
import type { DiskRequest } from "./core/disk.ts";
import { segmentIdOf } from "./core/segment-header.ts";
import { isZero, PAGE_BYTES, SECTOR_BYTES } from "./core/segment-sector.ts";

type UnderWay = { readonly since: number; readonly isAppend: boolean };

/** How long the disk takes for what it was asked, and for what it has not answered yet. */
export class DiskTimes {
  readonly #onAppend: (tookMs: number) => void;
  readonly #now: () => number;
  /** By request id, oldest first. What is under way is bounded by who asks: the journal. */
  readonly #underWay = new Map<number, UnderWay>();

  constructor(onAppend: (tookMs: number) => void, now: () => number = () => performance.now()) {
    this.#onAppend = onAppend;
    this.#now = now;
  }

  onRequest(request: DiskRequest): void {
    this.#underWay.set(request.id, { since: this.#now(), isAppend: isAppend(request) });
  }

  onCompletion(id: number): void {
    const request = this.#underWay.get(id);
    if (request === undefined) return;
    this.#underWay.delete(id);
    if (request.isAppend) this.#onAppend(this.#now() - request.since);
  }

  /** Of the oldest request without an answer; 0 when there is none. */
  oldestMs(): number {
    for (const { since } of this.#underWay.values()) return Math.round(this.#now() - since);
    return 0;
  }
}

/** A write that commits records, and not one that prepares a segment or gives it back. */
function isAppend(request: DiskRequest): boolean {
  if (request.kind !== "write" || segmentIdOf(request.file) === undefined) return false;
  // The first page is the header's; a stamped sector is never zero, one that is being prepared is.
  return request.offset >= PAGE_BYTES && !isZero(request.bytes, 0, SECTOR_BYTES);
}
