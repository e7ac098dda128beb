import { after, type Instant, instant } from "@cubby/base";
import { type Ballot, type ReplicaId, replicaId } from "../ballot.ts";
import type { PaxosInput } from "../input.ts";
import type { PaxosMessage } from "../messages.ts";
import type { PaxosOptions } from "../options.ts";
import type { PaxosOutput } from "../outbox.ts";
import { PaxosReplica } from "../paxos-replica.ts";
import type { RecordIndex } from "../record.ts";
import { emptyLog, type RecoveredLog } from "../recovery.ts";

export function ballot(round: number, replica: number, priority = 0): Ballot {
  return { round, priority, replica: replicaId(replica) };
}

export function members(count: number): { replica: ReplicaId; incarnation: string }[] {
  return Array.from({ length: count }, (_, i) => ({
    replica: replicaId(i + 1),
    incarnation: `i${i + 1}`,
  }));
}

/** A replica whose cell has agreed on its members, and that knows nothing else. */
export function formed(count: number): RecoveredLog {
  return { ...emptyLog(), genesis: { members: members(count), complete: true } };
}

/** One engine, and a test in the place of the world. */
export class LoneEngine {
  readonly engine: PaxosReplica;
  now: Instant = instant(10_000);
  #issued: RecordIndex = 0;

  constructor(self: number, recovered: RecoveredLog, options: Partial<PaxosOptions> = {}) {
    this.engine = new PaxosReplica(
      {
        self: replicaId(self),
        incarnation: `i${self}`,
        members: recovered.genesis?.members.map(({ replica }) => replica) ?? [],
        seed: "lone",
        ...options,
      },
      recovered,
      this.now,
    );
  }

  step(input: PaxosInput): PaxosOutput {
    this.engine.step(this.now, input);
    return this.take();
  }

  take(): PaxosOutput {
    const output = this.engine.take();
    this.#issued += output.records.length;
    return output;
  }

  wake(ms = 0): PaxosOutput {
    this.now = after(this.now, ms);
    return this.step({ kind: "wake" });
  }

  hear(from: number, message: PaxosMessage, incarnation = `i${from}`): PaxosOutput {
    return this.step({ kind: "message", from: replicaId(from), incarnation, message });
  }

  /** How many records were handed out so far. */
  get issued(): RecordIndex {
    return this.#issued;
  }

  /** The records through this one are durable: all that were handed out, if not said otherwise. */
  persist(through = this.#issued): PaxosOutput {
    return this.step({ kind: "persisted", through });
  }

  /** Wakes until it began to prepare, with every peer answering that it is unhappy. */
  stand(): Ballot {
    for (let i = 0; i < 100; i += 1) {
      const output = this.wake(10);
      for (const { to, message } of output.sends) {
        if (message.kind !== "heartbeatRequest") continue;
        const answers = this.hear(to, {
          kind: "heartbeatReply",
          round: message.round,
          ballot: ballot(0, to),
          leader: ballot(0, to),
          happy: false,
        });
        if (answers.records.length > 0) break;
      }
      const { ballot: own } = this.engine.status();
      if (own !== undefined) return own;
    }
    throw new Error("it does not stand");
  }

  /** Stands, is promised by `peers`, and takes its lease; returns its ballot. */
  lead(peers: readonly number[]): Ballot {
    const own = this.stand();
    this.persist();
    for (const peer of peers) {
      this.hear(peer, {
        kind: "promise",
        ballot: own,
        acceptedBallot: ballot(0, 1),
        length: 0,
        chosen: 0,
        firstSlot: 1,
        entries: [],
      });
    }
    this.persist();
    this.persist();
    for (const peer of peers) this.hear(peer, { kind: "accepted", ballot: own, length: 1 });
    for (let i = 0; i < 3; i += 1) this.persist();
    for (const peer of peers) this.hear(peer, { kind: "leaseGrant", ballot: own, leaseRound: 1 });
    return own;
  }
}
