import { WAITING_BYTES_MAX, WAITING_ENTRIES_MAX } from "./limits.ts";
import type { LogEntry } from "./log-entry.ts";
import { entrySize } from "./log-entry.ts";

/** Proposals that wait for the leader's disk, first come first served. */
export class Proposals {
  #entries: LogEntry[] = [];
  #head = 0;
  #bytes = 0;

  get count(): number {
    return this.#entries.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.count >= WAITING_ENTRIES_MAX || this.#bytes >= WAITING_BYTES_MAX;
  }

  add(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      this.#entries.push(entry);
      this.#bytes += entrySize(entry);
    }
  }

  /** The next batch, within both bounds but never less than one entry. */
  takeBatch(entriesMax: number, bytesMax: number): readonly LogEntry[] {
    if (this.#head === 0 && this.count <= entriesMax && this.#bytes <= bytesMax) {
      const all = this.#entries;
      this.#entries = [];
      this.#bytes = 0;
      return all;
    }
    let end = this.#head;
    let bytes = 0;
    while (end < this.#entries.length && end - this.#head < entriesMax) {
      const entry = this.#entries[end];
      const size = entry === undefined ? 0 : entrySize(entry);
      if (end > this.#head && bytes + size > bytesMax) break;
      bytes += size;
      end += 1;
    }
    const batch = this.#entries.slice(this.#head, end);
    this.#head = end;
    this.#bytes -= bytes;
    if (this.#head === this.#entries.length) {
      this.#entries = [];
      this.#head = 0;
    }
    return batch;
  }

  clear(): number {
    const dropped = this.count;
    this.#entries = [];
    this.#head = 0;
    this.#bytes = 0;
    return dropped;
  }
}
