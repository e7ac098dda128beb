import { assert } from "@cubby/base";
import type { Slot } from "./ballot.ts";
import { entrySize, type LogEntry } from "./log-entry.ts";

/**
 * The acceptor's one gapless log. Slots up to `dropped` live on in a snapshot only; the rest are
 * here, with running totals of their sizes so that a range is weighed without being walked.
 */
export class EntryLog {
  #dropped: Slot;
  #entries: LogEntry[];
  /** `#ends[i]` is the number of bytes up to and including entry i, over the life of this object. */
  #ends: number[];
  #bytesBefore = 0;

  constructor(dropped: Slot, entries: readonly LogEntry[]) {
    this.#dropped = dropped;
    this.#entries = [];
    this.#ends = [];
    this.append(entries);
  }

  /** The last slot held, or `dropped` when there is none. */
  get length(): Slot {
    return this.#dropped + this.#entries.length;
  }

  /** Slots up to this one are gone from here. */
  get dropped(): Slot {
    return this.#dropped;
  }

  get bytes(): number {
    return this.#endOf(this.length) - this.#bytesBefore;
  }

  at(slot: Slot): LogEntry {
    const entry = this.#entries[slot - this.#dropped - 1];
    assert(entry !== undefined, "the slot asked for is held");
    return entry;
  }

  /** The entries from `first` to `last`, both included. */
  slice(first: Slot, last: Slot): readonly LogEntry[] {
    assert(first > this.#dropped && last <= this.length, "the slots asked for are held");
    return this.#entries.slice(first - this.#dropped - 1, last - this.#dropped);
  }

  /** The greatest slot such that `first` to it is within both bounds; never less than one entry. */
  lastWithin(first: Slot, last: Slot, entriesMax: number, bytesMax: number): Slot {
    assert(first > this.#dropped && first <= last, "there is something to bound");
    const bound = this.#endOf(first - 1) + bytesMax;
    let low = first;
    let high = Math.min(last, first + entriesMax - 1);
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.#endOf(middle) <= bound) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  bytesBetween(first: Slot, last: Slot): number {
    return last < first ? 0 : this.#endOf(last) - this.#endOf(first - 1);
  }

  /** The smallest slot such that what follows it, through `last`, is within `bytesMax`. */
  dropFor(from: Slot, last: Slot, bytesMax: number): Slot {
    let low = from;
    let high = last;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.bytesBetween(middle + 1, last) <= bytesMax) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  append(entries: readonly LogEntry[]): void {
    let end = this.#endOf(this.length);
    for (const entry of entries) {
      end += entrySize(entry);
      this.#entries.push(entry);
      this.#ends.push(end);
    }
  }

  /** Removes `first` and all after it. */
  truncateFrom(first: Slot): void {
    assert(first > this.#dropped, "what a snapshot covers is not truncated");
    const kept = Math.min(this.#entries.length, first - this.#dropped - 1);
    this.#entries.length = kept;
    this.#ends.length = kept;
  }

  /** Puts `entries` at `first` and after; what lies beyond them stays as it is. */
  overwrite(first: Slot, entries: readonly LogEntry[]): void {
    assert(first > this.#dropped && first <= this.length + 1, "the log stays gapless");
    const last = first + entries.length - 1;
    const beyond = last < this.length ? this.slice(last + 1, this.length) : [];
    this.truncateFrom(first);
    this.append(entries);
    this.append(beyond);
  }

  /** Forgets the slots up to `slot`, which a snapshot holds; beyond the end, the log starts there. */
  dropThrough(slot: Slot): void {
    if (slot <= this.#dropped) return;
    if (slot >= this.length) {
      this.#entries = [];
      this.#ends = [];
      this.#bytesBefore = 0;
    } else {
      const count = slot - this.#dropped;
      this.#bytesBefore = this.#endOf(slot);
      this.#entries = this.#entries.slice(count);
      this.#ends = this.#ends.slice(count);
    }
    this.#dropped = slot;
  }

  #endOf(slot: Slot): number {
    return this.#ends[slot - this.#dropped - 1] ?? this.#bytesBefore;
  }
}
