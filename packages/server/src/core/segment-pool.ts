/**
 * The segments of one journal: which are in use, which are ready, which are free. It sees to it that
 * the next one is zeroed and has its header before it is needed, so that a commit never makes a file
 * longer (reliability §5 rule 7), and takes old ones back once nothing needs them.
 */

import { assert } from "@cubby/base";
import type { DiskTask } from "./disk.ts";
import type { DirectoryIdentity } from "./identity.ts";
import { fileOf, type JournalState } from "./journal-state.ts";
import { perform, type RequestIds, write, writeZeros } from "./journal-task.ts";
import { encodeSegmentHeader, type SegmentHeader, segmentFile } from "./segment-header.ts";
import { PAGE_BYTES } from "./segment-sector.ts";

export type SegmentPoolOptions = {
  readonly segmentBytes: number;
  /** Zeroed at a time: what a flush of the journal may have to wait for. */
  readonly zeroChunkBytes: number;
};

/** Kept for reuse; what is beyond is removed. */
const FREE_SEGMENTS_MAX = 1;

export class SegmentPool {
  readonly #options: SegmentPoolOptions;
  readonly #ids: RequestIds;
  readonly #identity: DirectoryIdentity;
  /** In order of life; the last one is written. Invariant: never empty. */
  readonly #used: SegmentHeader[];
  readonly #prepared: SegmentHeader[];
  /** Of the usual size; none is left from an earlier run. */
  readonly #free: number[] = [];
  #nextId: number;
  /** Segments of lower lives are needed no more. */
  #keepLife = 0;

  constructor(options: SegmentPoolOptions, state: JournalState) {
    assert(state.segments.length > 0, "a journal has a segment");
    this.#options = options;
    this.#ids = state.ids;
    this.#identity = state.identity;
    this.#used = [...state.segments];
    this.#prepared = [...state.prepared];
    this.#nextId = state.nextSegmentId;
  }

  /** The one that is written. */
  get active(): SegmentHeader {
    const active = this.#used[this.#used.length - 1];
    assert(active !== undefined, "a journal has a segment");
    return active;
  }

  get segmentCount(): number {
    return this.#used.length + this.#prepared.length + this.#free.length;
  }

  get diskBytes(): number {
    const headers = [...this.#used, ...this.#prepared];
    const bytes = headers.reduce((sum, segment) => sum + segment.sizeBytes, 0);
    return bytes + this.#free.length * this.#options.segmentBytes;
  }

  /** Bytes in the segments of this life and later ones. */
  bytesSince(life: number): number {
    const since = this.#used.filter((segment) => segment.life >= life);
    return since.reduce((sum, segment) => sum + segment.sizeBytes, 0);
  }

  hasPrepared(sizeBytes: number): boolean {
    return this.#prepared.some((segment) => segment.sizeBytes >= sizeBytes);
  }

  /** Goes on to the next prepared segment that is large enough; smaller ones stay empty. */
  advance(sizeBytes: number): void {
    assert(this.hasPrepared(sizeBytes), "a segment is prepared before it is entered");
    for (;;) {
      const next = this.#prepared.shift();
      assert(next !== undefined, "there is one that is large enough");
      this.#used.push(next);
      if (next.sizeBytes >= sizeBytes) return;
    }
  }

  /** Segments of lower lives may be taken back. */
  keepFrom(life: number): void {
    this.#keepLife = Math.max(this.#keepLife, Math.min(life, this.active.life));
  }

  get hasFree(): boolean {
    return this.#free.length > 0;
  }

  get hasDroppable(): boolean {
    const oldest = this.#used[0];
    return oldest !== undefined && oldest.life < this.#keepLife;
  }

  /** The header is written last, so a segment that has one is zero to its end. */
  *prepare(sizeBytes: number): DiskTask<SegmentHeader> {
    const { segmentBytes, zeroChunkBytes } = this.#options;
    const life = (this.#prepared.at(-1) ?? this.active).life + 1;
    const recycled = sizeBytes === segmentBytes ? this.#free.shift() : undefined;
    const header = { id: recycled ?? this.#nextId, life, sizeBytes };
    const file = segmentFile(header.id);
    if (recycled === undefined) {
      this.#nextId += 1;
      yield* perform(this.#ids, { kind: "create", file });
      yield* perform(this.#ids, { kind: "syncDirectory" });
    }
    const range = { from: 0, to: sizeBytes, chunkBytes: zeroChunkBytes };
    yield* writeZeros(this.#ids, file, range);
    yield* write(this.#ids, file, 0, encodeSegmentHeader(header, this.#identity));
    return header;
  }

  /** Only once the witness knows of it: from then on its loss would be noticed. */
  addPrepared(segment: SegmentHeader): void {
    this.#prepared.push(segment);
  }

  /** Oldest first, each durably without a header before the next: what is left has no gap. */
  *dropOldest(): DiskTask<void> {
    const oldest = this.#used[0];
    assert(oldest !== undefined && this.hasDroppable, "there is one to drop");
    const file = fileOf(oldest);
    yield* write(this.#ids, file, 0, new Uint8Array(PAGE_BYTES));
    this.#used.shift();
    const isSpare =
      this.#free.length < FREE_SEGMENTS_MAX && oldest.sizeBytes === this.#options.segmentBytes;
    if (isSpare) {
      this.#free.push(oldest.id);
      return;
    }
    yield* perform(this.#ids, { kind: "remove", file });
    yield* perform(this.#ids, { kind: "syncDirectory" });
  }
}
