/** What a lock's holder does to what the lock protects. */
export type GuardedWrite = {
  readonly lock: string;
  readonly holder: string;
  readonly generation: number;
};

/**
 * Things that locks protect, as an application would have them: a write with an older sequencer than
 * one seen before is refused. What a resource that does not look would have let through is counted.
 */
export class FencedResource {
  readonly #newest = new Map<string, GuardedWrite>();
  readonly violations: string[] = [];
  /** Whose write was taken last. */
  lastHolder: string | undefined;
  accepted = 0;
  /** Each would have been a write by two at once at a careless resource. */
  refused = 0;

  write(write: GuardedWrite): void {
    const newest = this.#newest.get(write.lock);
    if (newest !== undefined && write.generation < newest.generation) {
      this.refused += 1;
      return;
    }
    if (newest?.generation === write.generation && newest.holder !== write.holder) {
      this.violations.push(
        `${write.lock}: ${newest.holder} and ${write.holder} both have generation ${write.generation}.`,
      );
    }
    this.#newest.set(write.lock, write);
    this.lastHolder = write.holder;
    this.accepted += 1;
  }
}
