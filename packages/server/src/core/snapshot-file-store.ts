/** The snapshot files of one directory: writes the next, keeps two, removes the rest. */

import { assert } from "@cubby/base";
import type { DiskTask } from "./disk.ts";
import type { TaskRunner } from "./journal-runner.ts";
import type { JournalState } from "./journal-state.ts";
import { perform } from "./journal-task.ts";
import { SNAPSHOTS_KEPT, type Snapshot, snapshotFile, writeSnapshotFile } from "./snapshot-file.ts";

export class SnapshotStore {
  readonly #state: JournalState;
  readonly #tasks: TaskRunner;
  readonly #onDurable: () => void;
  /** Slots of good files, oldest first. */
  readonly #slots: number[];
  #stale: string[];
  #isWriting = false;
  #newestBytes = 0;
  /** Of two that wait, only the later one is worth writing (P13: never two at once). */
  #waiting: Snapshot | undefined;

  constructor(tasks: TaskRunner, state: JournalState, onDurable: () => void) {
    this.#tasks = tasks;
    this.#state = state;
    this.#onDurable = onDurable;
    this.#slots = [...state.snapshots];
    this.#stale = [...state.staleSnapshots];
  }

  /** The newest durable one; 0 if there is none. */
  get newestSlot(): number {
    return this.#slots.at(-1) ?? 0;
  }

  /** The one to fall back to; 0 means the journal from its beginning. */
  get fallbackSlot(): number {
    return this.#slots.at(-SNAPSHOTS_KEPT) ?? 0;
  }

  /** The size of the last one written in this run; 0 if none was. */
  get newestBytes(): number {
    return this.#newestBytes;
  }

  get isBusy(): boolean {
    return this.#isWriting;
  }

  /** False if one at that slot, or a later one, is there or under way. */
  write(snapshot: Snapshot): boolean {
    assert(snapshot.slot > 0, "a snapshot covers at least one slot");
    if (snapshot.slot <= this.newestSlot) return false;
    if (this.#isWriting) {
      if (snapshot.slot <= (this.#waiting?.slot ?? 0)) return false;
      this.#waiting = snapshot;
      return true;
    }
    this.#isWriting = true;
    this.#tasks.start(this.#write(snapshot));
    return true;
  }

  *#write(snapshot: Snapshot): DiskTask<void> {
    const { ids, identity } = this.#state;
    const file = snapshotFile(snapshot.slot);
    const { sizeBytes } = yield* writeSnapshotFile(ids, snapshot, identity);
    this.#newestBytes = sizeBytes;
    // A damaged one of the same slot has just been replaced.
    this.#stale = this.#stale.filter((name) => name !== file);
    this.#slots.push(snapshot.slot);
    while (this.#slots.length > SNAPSHOTS_KEPT) {
      const slot = this.#slots.shift();
      assert(slot !== undefined, "there is an oldest one");
      this.#stale.push(snapshotFile(slot));
    }
    this.#onDurable();
    yield* this.#removeStale();
    this.#isWriting = false;
    const next = this.#waiting;
    this.#waiting = undefined;
    if (next !== undefined) this.write(next);
  }

  *#removeStale(): DiskTask<void> {
    const { ids } = this.#state;
    if (this.#stale.length === 0) return;
    const stale = this.#stale;
    this.#stale = [];
    for (const file of stale) yield* perform(ids, { kind: "remove", file });
    yield* perform(ids, { kind: "syncDirectory" });
  }
}
