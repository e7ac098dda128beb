/**
 * A lock alone does not keep a slow holder out: its last write may arrive after the lock has passed
 * on. So each write carries the lock's generation, which only rises, and the resource refuses one
 * that is older than it has seen. Needs a cell: `npx cubby dev`, or CUBBY_CELL.
 */

import { connect } from "@cubby/client";

const CELL =
  process.env["CUBBY_CELL"] ?? "cubby://127.0.0.1:7070,127.0.0.1:7080,127.0.0.1:7090/local";

/** What the lock protects. It needs no connection to the cell, only one number that it keeps. */
class Ledger {
  readonly entries: string[] = [];
  #newestFence = 0;

  write(entry: string, fence: number): void {
    if (fence < this.#newestFence) {
      console.log(`refused: "${entry}", the lock has passed on since`);
      return;
    }
    // A real resource stores this together with the entry, in one transaction.
    this.#newestFence = fence;
    this.entries.push(entry);
    console.log(`written: "${entry}"`);
  }
}

const ledger = new Ledger();
await using alice = await connect(CELL, { clientName: "alice" });
await using bob = await connect(CELL, { clientName: "bob" });
const path = `${alice.root}/ledger-lock`;
await using aliceFile = await alice.open(path, { create: true });
await using bobFile = await bob.open(path, { create: true });

const aliceLock = await aliceFile.acquire();
ledger.write("alice pays 10", aliceLock.lockGeneration);
// This one is on its way through a slow network when alice's lock ends.
const late = (): void => ledger.write("alice pays 20", aliceLock.lockGeneration);
await aliceLock.release();

await using bobLock = await bobFile.acquire();
ledger.write("bob pays 5", bobLock.lockGeneration);
late();

// A resource that can reach the cell may ask it instead.
for (const [name, lock] of Object.entries({ alice: aliceLock, bob: bobLock })) {
  const { valid } = await bob.checkSequencer(path, lock.sequencer);
  console.log(`${name}'s sequencer is ${valid ? "valid" : "stale"}`);
}
