import { unreachable } from "@cubby/base";
import { type Ballot, compareBallots, maxBallot, type Slot, ZERO_BALLOT } from "./ballot.ts";
import { EntryLog } from "./entry-log.ts";
import { isCommand, type LogEntry } from "./log-entry.ts";
import type { Member } from "./messages.ts";
import type { CheckpointRecord, PaxosRecord } from "./record.ts";

export type Genesis = { readonly members: readonly Member[]; readonly complete: boolean };

/** The snapshot file that a host found, or was given. */
export type RecoveredSnapshot = {
  readonly slot: Slot;
  readonly ballot: Ballot;
  readonly bytes: Uint8Array;
};

/** What a replica remembers of its earlier lives. */
export type RecoveredLog = {
  readonly promised: Ballot;
  readonly acceptedBallot: Ballot;
  readonly chosen: Slot;
  readonly grantMaxMs: number;
  readonly leaseMs: number;
  readonly genesis: Genesis | undefined;
  readonly snapshot: RecoveredSnapshot | undefined;
  /**
   * False if the records alone do not say what was chosen up to the snapshot's slot: the host's next
   * record is then a checkpoint, and must say that nothing can take the snapshot's place.
   */
  readonly reachesSnapshot: boolean;
  /** The slot of `entries[0]`: the one after the snapshot's. */
  readonly firstSlot: Slot;
  readonly entries: readonly LogEntry[];
};

/** What was read back does not fit together: this is damage, and no replica may start from it. */
export class RecoveryError extends Error {
  override readonly name = "RecoveryError";
}

/** A directory that was just formatted. */
export function emptyLog(): RecoveredLog {
  return {
    promised: ZERO_BALLOT,
    acceptedBallot: ZERO_BALLOT,
    chosen: 0,
    grantMaxMs: 0,
    leaseMs: 0,
    genesis: undefined,
    snapshot: undefined,
    reachesSnapshot: true,
    firstSlot: 1,
    entries: [],
  };
}

/** The state that these records, in order, on top of this snapshot, amount to. */
export function recoverLog(
  snapshot: RecoveredSnapshot | undefined,
  records: Iterable<PaxosRecord>,
): RecoveredLog {
  const fold = new Fold();
  for (const record of records) fold.apply(record);
  return fold.finish(snapshot);
}

class Fold {
  #promised: Ballot = ZERO_BALLOT;
  #acceptedBallot: Ballot = ZERO_BALLOT;
  #chosen: Slot = 0;
  #grantMaxMs = 0;
  #leaseMs = 0;
  #genesis: Genesis | undefined;
  #log = new EntryLog(0, []);

  apply(record: PaxosRecord): void {
    switch (record.kind) {
      case "promised":
        this.#promise(record.ballot);
        return;
      case "appended":
        expect(record.firstSlot === this.#log.length + 1, "an append starts where the log ends");
        expect(
          compareBallots(record.ballot, this.#acceptedBallot) === 0,
          "an append is in the ballot that the log was accepted in",
        );
        this.#log.append(record.entries);
        return;
      case "synchronised":
        this.#synchronise(record.ballot, record.firstSlot, record.entries);
        return;
      case "learned":
        this.#learn(record.firstSlot, record.entries);
        return;
      case "chosen":
        expect(record.slot <= this.#log.length, "what is chosen is in the log");
        this.#chosen = Math.max(this.#chosen, record.slot);
        return;
      case "grantMax":
        // The last one, which may be lower: by then no longer grant bound anybody.
        this.#grantMaxMs = record.leaseMs;
        return;
      case "genesis":
        this.#genesis = { members: record.members, complete: record.complete };
        return;
      case "restored":
        this.#log.dropThrough(record.slot);
        this.#chosen = Math.max(this.#chosen, record.slot);
        this.#leaseMs = record.leaseMs;
        return;
      case "checkpoint":
        this.#startOver(record);
        return;
      default:
        unreachable(record);
        return;
    }
  }

  finish(snapshot: RecoveredSnapshot | undefined): RecoveredLog {
    const slot = snapshot?.slot ?? 0;
    expect(slot >= this.#log.dropped, "the snapshot that the records build on is there");
    this.#readLease(Math.min(slot, this.#chosen));
    // A snapshot is of chosen slots, so it may be ahead of what this replica accepted by itself.
    this.#log.dropThrough(slot);
    return {
      promised: maxBallot(this.#promised, this.#acceptedBallot),
      acceptedBallot: this.#acceptedBallot,
      chosen: Math.max(this.#chosen, slot),
      grantMaxMs: this.#grantMaxMs,
      leaseMs: this.#leaseMs,
      genesis: this.#genesis,
      snapshot,
      // Not by the length: what was accepted up to there may be of an old ballot, and not chosen.
      reachesSnapshot: this.#chosen >= slot,
      firstSlot: slot + 1,
      entries: this.#log.length > slot ? this.#log.slice(slot + 1, this.#log.length) : [],
    };
  }

  /** The lease that the snapshot's slots name, in place of the checkpoint that would have said so. */
  #readLease(last: Slot): void {
    if (last <= this.#log.dropped) return;
    for (const entry of this.#log.slice(this.#log.dropped + 1, last)) {
      if (!isCommand(entry) && entry.kind === "masterLease") this.#leaseMs = entry.leaseMs;
    }
  }

  #promise(ballot: Ballot): void {
    expect(compareBallots(ballot, this.#promised) >= 0, "promises only rise");
    this.#promised = ballot;
  }

  #synchronise(ballot: Ballot, firstSlot: Slot, entries: readonly LogEntry[]): void {
    this.#promise(ballot);
    expect(firstSlot > this.#chosen, "nothing chosen is cut off");
    expect(firstSlot <= this.#log.length + 1, "the log stays gapless");
    this.#log.truncateFrom(firstSlot);
    this.#log.append(entries);
    this.#acceptedBallot = ballot;
  }

  #learn(firstSlot: Slot, entries: readonly LogEntry[]): void {
    expect(firstSlot > this.#log.dropped, "a snapshot is not overwritten");
    expect(firstSlot <= this.#log.length + 1, "the log stays gapless");
    this.#log.overwrite(firstSlot, entries);
    this.#chosen = Math.max(this.#chosen, firstSlot + entries.length - 1);
  }

  #startOver(record: CheckpointRecord): void {
    this.#promised = record.promised;
    this.#acceptedBallot = record.acceptedBallot;
    this.#chosen = record.chosen;
    this.#grantMaxMs = record.grantMaxMs;
    this.#leaseMs = record.leaseMs;
    this.#genesis = record.genesis;
    this.#log = new EntryLog(record.firstSlot - 1, record.entries);
    expect(this.#chosen <= this.#log.length, "what is chosen is in the log");
  }
}

function expect(condition: boolean, property: string): asserts condition {
  if (!condition) throw new RecoveryError(`the journal contradicts itself: ${property}`);
}
