import { after, type Instant, NEVER, unreachable } from "@cubby/base";
import type { ReplicaId } from "./ballot.ts";
import { RETRANSMIT_MS } from "./limits.ts";
import type { GenesisMessage, Member } from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import type { RecordIndex } from "./record.ts";
import type { Genesis } from "./recovery.ts";

/** Whoever has not been heard for so long may have been formatted anew: members answer ten times a second. */
const HEARD_MS = 10 * RETRANSMIT_MS;

/**
 * The first configuration: which incarnation stands behind each replica id. All members adopt it,
 * unanimously and durably, before any of them promises or accepts anything; so a directory that was
 * wiped and formatted again under an old id meets peers that have another incarnation on record,
 * and cannot promise against what its earlier life promised (P3, reliability §5.12).
 *
 * The member with the lowest id coordinates: it learns every incarnation, adopts, offers, and
 * announces completion when all have adopted. Whoever knows of the completion passes it on.
 */
export class GenesisAgreement {
  readonly #self: ReplicaId;
  readonly #incarnation: string;
  readonly #ids: readonly ReplicaId[];
  readonly #outbox: Outbox;
  #recorded: Genesis | undefined;
  #recordIndex: RecordIndex = 0;
  /** The record that the last message to each peer said, or waits to say. */
  readonly #vouchedFor = new Map<ReplicaId, RecordIndex>();
  /** coordinator: incarnations heard of, and when, while nothing is recorded. */
  readonly #heard = new Map<ReplicaId, { readonly incarnation: string; readonly at: Instant }>();
  /** coordinator: who durably holds what is recorded here. */
  readonly #adopted = new Set<ReplicaId>();
  #askAt: Instant;

  constructor(
    options: {
      readonly self: ReplicaId;
      readonly incarnation: string;
      readonly ids: readonly ReplicaId[];
    },
    recovered: Genesis | undefined,
    outbox: Outbox,
    now: Instant,
  ) {
    this.#self = options.self;
    this.#incarnation = options.incarnation;
    this.#ids = options.ids;
    this.#outbox = outbox;
    this.#recorded = recovered;
    this.#askAt = now;
    if (recovered === undefined && this.#ids.length === 1) {
      this.#record(now, [{ replica: this.#self, incarnation: this.#incarnation }], true);
    }
  }

  get complete(): boolean {
    return this.#recorded?.complete === true;
  }

  get recorded(): Genesis | undefined {
    return this.#recorded;
  }

  /** The incarnation on record for a member; `undefined` while there is no record. */
  incarnationOf(replica: ReplicaId): string | undefined {
    return this.#recorded?.members.find((member) => member.replica === replica)?.incarnation;
  }

  get wakeAt(): Instant {
    return this.complete ? NEVER : this.#askAt;
  }

  advance(now: Instant): void {
    if (now < this.wakeAt) return;
    this.#askAt = after(now, RETRANSMIT_MS);
    for (const peer of this.#ids) {
      if (peer === this.#self) continue;
      if (!this.#coordinates || this.#recorded === undefined) {
        this.#outbox.send(peer, { kind: "genesisQuery" });
      } else if (!this.#adopted.has(peer)) {
        this.#offer(peer, this.#recorded);
      }
    }
  }

  /** The caller has compared `incarnation` with the record, if there is one. */
  onMessage(now: Instant, from: ReplicaId, incarnation: string, message: GenesisMessage): void {
    switch (message.kind) {
      case "genesisQuery":
        this.#onQuery(from);
        return;
      case "genesisStatus":
        this.#onStatus(now, from, incarnation, message.members);
        return;
      case "genesisOffer":
        this.#onOffer(now, from, message.members);
        return;
      case "genesisComplete":
        this.#onComplete(now, from, message.members);
        return;
      default:
        unreachable(message);
        return;
    }
  }

  #onQuery(from: ReplicaId): void {
    if (this.#recorded?.complete) {
      this.#vouch(from, { kind: "genesisComplete", members: this.#recorded.members });
    } else {
      this.#sendStatus(from);
    }
  }

  #onStatus(now: Instant, from: ReplicaId, incarnation: string, held: readonly Member[]): void {
    if (!this.#coordinates || this.complete) return;
    if (this.#recorded === undefined) {
      this.#heard.set(from, { incarnation, at: now });
      const members = this.#heardMembers(now);
      if (members === undefined) return;
      this.#record(now, members, false);
      this.#askAt = now;
      return;
    }
    if (!sameMembers(held, this.#recorded.members)) return;
    this.#adopted.add(from);
    if (this.#adopted.size < this.#ids.length - 1) return;
    // Everybody's adoption is durable, ours too: our offer left only once it was.
    this.#record(now, this.#recorded.members, true);
    for (const peer of this.#ids) if (peer !== this.#self) this.#onQuery(peer);
  }

  #onOffer(now: Instant, from: ReplicaId, members: readonly Member[]): void {
    if (this.#recorded === undefined && this.#isForUs(members)) this.#record(now, members, false);
    // Holding another configuration, or none since this one is not for us: the answer says so.
    if (this.#recorded === undefined) {
      this.#drop(from, "an offered configuration does not name this replica and its peers");
    }
    this.#sendStatus(from);
  }

  #onComplete(now: Instant, from: ReplicaId, members: readonly Member[]): void {
    if (this.complete) return;
    if (this.#recorded !== undefined) {
      if (sameMembers(members, this.#recorded.members)) this.#record(now, members, true);
      else this.#drop(from, "a configuration was completed that is not the one adopted here");
      return;
    }
    const named = members.find((member) => member.replica === this.#self);
    if (named?.incarnation !== this.#incarnation) return;
    // Completion needs our durable adoption, which is not here: what else was lost, nobody knows.
    this.#outbox.event({
      kind: "refused",
      by: from,
      reason: "the cell has this incarnation on record, but its journal is lost",
    });
  }

  get #coordinates(): boolean {
    return this.#ids[0] === this.#self;
  }

  /**
   * All of them, if all are there now. Liveness: what is recorded is for good, and a directory that was
   * formatted once more meanwhile would keep the cell from ever being formed.
   */
  #heardMembers(now: Instant): Member[] | undefined {
    const members: Member[] = [];
    for (const replica of this.#ids) {
      const heard = this.#heard.get(replica);
      if (replica === this.#self) members.push({ replica, incarnation: this.#incarnation });
      else if (heard === undefined || after(heard.at, HEARD_MS) < now) return undefined;
      else members.push({ replica, incarnation: heard.incarnation });
    }
    return members;
  }

  #isForUs(members: readonly Member[]): boolean {
    if (members.length !== this.#ids.length) return false;
    return members.every(
      (member, at) =>
        member.replica === this.#ids[at] &&
        (member.replica !== this.#self || member.incarnation === this.#incarnation),
    );
  }

  #record(now: Instant, members: readonly Member[], complete: boolean): void {
    this.#recorded = { members, complete };
    this.#recordIndex = this.#outbox.record(now, { kind: "genesis", members, complete });
    const kind = complete ? "genesisComplete" : "genesisAdopted";
    this.#outbox.trace({ kind, members: members.length });
  }

  #offer(to: ReplicaId, genesis: Genesis): void {
    const { members } = genesis;
    this.#vouch(to, { kind: "genesisOffer", members });
  }

  #sendStatus(to: ReplicaId): void {
    const members = this.#recorded?.members ?? [];
    this.#vouch(to, { kind: "genesisStatus", members });
  }

  /** One for each peer and record: a disk may be stuck for hours, and they ask ten times a second. */
  #vouch(to: ReplicaId, message: GenesisMessage): void {
    const index = this.#recordIndex;
    if (!this.#outbox.durability.covers(index) && this.#vouchedFor.get(to) === index) return;
    this.#vouchedFor.set(to, index);
    this.#outbox.vouch(to, message, index);
  }

  #drop(from: ReplicaId, reason: string): void {
    this.#outbox.trace({ kind: "messageDropped", from, reason });
  }
}

function sameMembers(a: readonly Member[], b: readonly Member[]): boolean {
  return (
    a.length === b.length &&
    a.every(
      (member, at) =>
        member.replica === b[at]?.replica && member.incarnation === b[at]?.incarnation,
    )
  );
}
