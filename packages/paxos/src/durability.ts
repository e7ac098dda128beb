import { after, assert, earliest, type Instant, instant, msBetween } from "@cubby/base";
import type { RecordIndex } from "./record.ts";

/** Which of the records handed out are durable, and how long the oldest other one has waited. */
export class Durability {
  #issued: RecordIndex = 0;
  #persisted: RecordIndex = 0;
  /** One mark per instant at which records were issued, oldest first. */
  #marks: { through: RecordIndex; readonly at: Instant }[] = [];
  /** When the disk last did something of what waits, or might have without our hearing of it. */
  #progressAt = instant(0);

  issue(now: Instant): RecordIndex {
    this.#issued += 1;
    const last = this.#marks.at(-1);
    if (last !== undefined && last.at === now) last.through = this.#issued;
    else this.#marks.push({ through: this.#issued, at: now });
    return this.#issued;
  }

  /** No more than before, when a part of what waits was done: the disk is busy, and not stuck. */
  persistedThrough(now: Instant, index: RecordIndex): void {
    this.#progressAt = now;
    assert(index <= this.#issued, "only what was handed out becomes durable");
    assert(index >= this.#persisted, "what is durable stays durable");
    this.#persisted = index;
    let done = 0;
    while (done < this.#marks.length && (this.#marks[done]?.through ?? 0) <= index) done += 1;
    if (done > 0) this.#marks.splice(0, done);
  }

  /**
   * Liveness: a pause of ours is no silence of the disk. It is taken out of the wait, and what was waited
   * before counts, so that a disk that hangs is noticed however often we stand still.
   */
  excuse(now: Instant, stalledMs: number): void {
    if (this.writing) this.#progressAt = earliest(now, after(this.#waitsSince, stalledMs));
  }

  covers(index: RecordIndex): boolean {
    return index <= this.#persisted;
  }

  get writing(): boolean {
    return this.#persisted < this.#issued;
  }

  /** How long the oldest record that is not durable has waited, whatever the disk did meanwhile. */
  oldestMs(now: Instant): number {
    const oldest = this.#marks[0];
    return oldest === undefined ? 0 : msBetween(oldest.at, now);
  }

  /** How long what is not durable has waited since the disk last did something: not for those before it. */
  waitingMs(now: Instant): number {
    return this.writing ? msBetween(this.#waitsSince, now) : 0;
  }

  get #waitsSince(): Instant {
    const oldest = this.#marks[0];
    return oldest !== undefined && oldest.at > this.#progressAt ? oldest.at : this.#progressAt;
  }
}
