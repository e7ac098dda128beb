/** Keeps both copies of the witness up to date, one write at a time. */

import type { DiskTask } from "./disk.ts";
import type { DirectoryIdentity } from "./identity.ts";
import type { TaskRunner } from "./journal-runner.ts";
import { type RequestIds, write } from "./journal-task.ts";
import { encodeWitness, type VitalMark, WITNESS_FILES, type Witness } from "./journal-witness.ts";

type Wish = { readonly witness: Witness; readonly done: () => void };

export class WitnessKeeper {
  readonly #ids: RequestIds;
  readonly #owner: DirectoryIdentity;
  readonly #tasks: TaskRunner;
  #latest: Witness;
  /** At most two: one new life, and the promises of one batch. */
  readonly #wishes: Wish[] = [];
  #isWriting = false;

  constructor(tasks: TaskRunner, ids: RequestIds, owner: DirectoryIdentity, witness: Witness) {
    this.#tasks = tasks;
    this.#ids = ids;
    this.#owner = owner;
    this.#latest = witness;
  }

  /** `done` is called once both copies hold it. */
  update(change: { life?: number; vital?: VitalMark }, done: () => void): void {
    this.#latest = { ...this.#latest, ...change, version: this.#latest.version + 1 };
    this.#wishes.push({ witness: this.#latest, done });
    this.#writeNext();
  }

  #writeNext(): void {
    if (this.#isWriting) return;
    const wish = this.#wishes.shift();
    if (wish === undefined) return;
    this.#isWriting = true;
    this.#tasks.start(this.#write(wish));
  }

  *#write({ witness, done }: Wish): DiskTask<void> {
    const page = encodeWitness(witness, this.#owner);
    for (const file of WITNESS_FILES) yield* write(this.#ids, file, 0, page);
    this.#isWriting = false;
    done();
    this.#writeNext();
  }
}
