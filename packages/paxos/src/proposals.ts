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

  /** Entries in memory, those included that were taken and are not let go yet. */
  get held(): number {
    return this.#entries.length;
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
    // A queue that is never empty would else keep all it ever held. Each entry moves once or so.
    if (this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
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
