import { after, type Instant } from "@cubby/base";
import type { Acceptor } from "./acceptor.ts";
import { ballotText, type ReplicaId, type Slot, sameBallot } from "./ballot.ts";
import { CatchUp } from "./catch-up.ts";
import type {
  AcceptMessage,
  ChosenMessage,
  LeaseRequestMessage,
  LogPartMessage,
  SnapshotPartMessage,
} from "./messages.ts";
import type { Settings } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import type { RecordIndex } from "./record.ts";
import type { SnapshotStore } from "./snapshot-store.ts";

/**
 * Phase 2 at a follower: appends what extends its log exactly and asks for the rest. Every message
 * that comes here is of the ballot that this replica promised, and from its owner.
 */
export class Follower {
  readonly #settings: Settings;
  readonly #acceptor: Acceptor;
  readonly #snapshots: SnapshotStore;
  readonly #outbox: Outbox;
  #catchUp: CatchUp | undefined;
  /** The last slot asked for again, and when: a burst behind a gap asks once. */
  #asked: { readonly from: Slot; readonly at: Instant } | undefined;
  /** Chosen at a leader, as far as one has told: here the log may end before it. */
  #toldChosen: Slot = 0;
  /** The record for which the last answer in this ballot vouches. */
  #vouchedIndex: RecordIndex | undefined;

  constructor(settings: Settings, acceptor: Acceptor, snapshots: SnapshotStore, outbox: Outbox) {
    this.#settings = settings;
    this.#acceptor = acceptor;
    this.#snapshots = snapshots;
    this.#outbox = outbox;
  }

  get wakeAt(): Instant | undefined {
    return this.#catchUp?.wakeAt;
  }

  get catchingUp(): boolean {
    return this.#catchUp !== undefined;
  }

  /** Others have what it lacks: it is fetching that, or a leader has told of it. */
  get lags(): boolean {
    return this.catchingUp || this.#toldChosen > this.#acceptor.length;
  }

  /** What was under way in an older ballot is worth nothing now. */
  onPromised(): void {
    this.#catchUp = undefined;
    this.#asked = undefined;
    this.#vouchedIndex = undefined;
  }

  advance(now: Instant): void {
    this.#catchUp?.advance(now);
  }

  onAccept(now: Instant, from: ReplicaId, message: AcceptMessage): void {
    this.#toldChosen = Math.max(this.#toldChosen, message.chosen);
    if (!this.#isSynchronised()) {
      this.#follow(now, from);
      return;
    }
    const acceptor = this.#acceptor;
    const skip = acceptor.length + 1 - message.firstSlot;
    // Safety: what does not extend the log exactly is refused, or a hole could count as accepted.
    if (skip < 0) {
      this.#askAgain(now, from);
      return;
    }
    // In one ballot a slot has one entry, so what is held already is what the message repeats.
    if (skip < message.entries.length) {
      const entries = skip === 0 ? message.entries : message.entries.slice(skip);
      acceptor.append(now, message.ballot, entries);
      if (this.#catchUp?.needless) this.#catchUp = undefined;
    }
    acceptor.choose(Math.min(message.chosen, acceptor.length));
    this.#sendAccepted(from);
  }

  onChosen(now: Instant, from: ReplicaId, message: ChosenMessage | LeaseRequestMessage): void {
    this.#toldChosen = Math.max(this.#toldChosen, message.chosen);
    if (!this.#isSynchronised()) {
      this.#follow(now, from);
      return;
    }
    this.#acceptor.choose(message.chosen);
    if (message.length > this.#acceptor.length) this.#askAgain(now, from);
    // Liveness: the leader takes this log for another one, since an answer got lost.
    else if (message.kind === "chosen") this.#sendAccepted(from);
  }

  onLogPart(now: Instant, from: ReplicaId, message: LogPartMessage): void {
    // A late part of a synchronisation that is done: say so, in case the first answer was lost.
    if (this.#isSynchronised()) {
      this.#sendAccepted(from);
      return;
    }
    this.#catchUp ??= this.#begin(now, from, "follow");
    this.#catchUp.onLogPart(now, message);
    this.#maybeSynchronise(now);
  }

  onSnapshotPart(now: Instant, from: ReplicaId, message: SnapshotPartMessage): void {
    const { chosen, length } = this.#acceptor;
    // The leader knows of less than is here: an answer got lost.
    if (this.#isSynchronised() && message.slot <= length) {
      this.#sendAccepted(from);
      return;
    }
    if (message.slot <= chosen) {
      // Liveness: a leader that takes it for needed offers nothing else, and waits to be asked.
      if (!this.#isSynchronised()) this.#follow(now, from);
      return;
    }
    // Liveness: one after the other, or the host were told of none that come faster than it can write them.
    if (this.#acceptor.restoring) return;
    this.#catchUp ??= this.#begin(now, from, this.#isSynchronised() ? "extend" : "follow");
    this.#catchUp.onSnapshotPart(now, message);
    this.#maybeSynchronise(now);
  }

  #begin(now: Instant, source: ReplicaId, purpose: "follow" | "extend"): CatchUp {
    const ballot = this.#acceptor.promised;
    const plan = { purpose, ballot, source, expected: undefined };
    return new CatchUp(plan, this.#acceptor, this.#snapshots, this.#outbox, now, this.#settings);
  }

  #follow(now: Instant, from: ReplicaId): void {
    if (this.#catchUp !== undefined) return;
    this.#catchUp = this.#begin(now, from, "follow");
    this.#catchUp.ask(now);
  }

  #maybeSynchronise(now: Instant): void {
    const catchUp = this.#catchUp;
    if (catchUp === undefined || !catchUp.complete) return;
    this.#catchUp = undefined;
    const { ballot, purpose, source } = catchUp.plan;
    const acceptor = this.#acceptor;
    if (purpose === "follow") {
      acceptor.synchronise(now, ballot, catchUp.first, catchUp.entries);
      acceptor.choose(catchUp.sourceChosen);
      this.#outbox.trace({
        kind: "synchronised",
        ballot: ballotText(ballot),
        length: acceptor.length,
      });
    }
    this.#sendAccepted(source);
  }

  /** Safety: leaves only once the log that it vouches for is durable. */
  #sendAccepted(to: ReplicaId): void {
    const { promised: ballot, length, logIndex } = this.#acceptor;
    // One that waits for the disk says all that another would, and a disk may be stuck for hours.
    if (logIndex === this.#vouchedIndex && !this.#outbox.durability.covers(logIndex)) return;
    this.#vouchedIndex = logIndex;
    this.#outbox.vouch(to, { kind: "accepted", ballot, length }, logIndex);
  }

  #askAgain(now: Instant, from: ReplicaId): void {
    if (this.#catchUp !== undefined) return;
    const slot = this.#acceptor.length + 1;
    const asked = this.#asked;
    if (asked !== undefined && asked.from === slot) {
      if (now < after(asked.at, this.#settings.retransmitMs)) return;
    }
    this.#asked = { from: slot, at: now };
    // Liveness: a lost answer would keep the leader's window shut, and so the rest away.
    this.#sendAccepted(from);
    this.#outbox.send(from, {
      kind: "fetch",
      ballot: this.#acceptor.promised,
      from: slot,
      synchronised: true,
      snapshotSlot: 0,
      snapshotOffset: 0,
    });
  }

  #isSynchronised(): boolean {
    return sameBallot(this.#acceptor.acceptedBallot, this.#acceptor.promised);
  }
}
