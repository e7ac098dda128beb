import { type Instant, NEVER } from "@cubby/base";
import { replicaId } from "@cubby/paxos";
import type { ClientProcess } from "./client-process.ts";
import { type LeaseGrant, type LeaseRequest, leaseRoundOf } from "./lease-round.ts";
import type { ReplicaProcess } from "./replica-process.ts";
import { quorumOf } from "./topology.ts";
import { Violation } from "./violation.ts";

/** Of true times, which are quotients. */
const ROUNDING_MS = 0.01;
/** Of a lease, in true time: who asked for it relies on nine tenths, by a clock that may be slow. */
const RELIED_SHARE = 0.9 / 0.91;
/** Rounds that may still be granted. */
const ROUNDS_KEPT = 1_024;

/**
 * What makes leases safe, whether or not anybody comes to make use of a gap: nobody relies on a
 * lease in true time for longer than those who granted it are bound.
 */
export class LeaseChecker {
  readonly #replicas: readonly ReplicaProcess[];
  readonly #clients: readonly ClientProcess[];
  /** When, by its own clock, a replica last had its lease voided. */
  readonly #voidedAt = new Map<ReplicaProcess, Instant>();
  /** Until when, in true time, whoever asked may rely on a round. */
  readonly #rounds = new Map<string, number>();
  /** The same of all that a replica has granted, over all its lives. */
  readonly #granted = new Map<ReplicaProcess, number>();

  constructor(replicas: readonly ReplicaProcess[], clients: readonly ClientProcess[]) {
    this.#replicas = replicas;
    this.#clients = clients;
  }

  /** Of a replica that serves now; `newest` is the last index that anybody has applied. */
  check(master: ReplicaProcess, newest: number): void {
    const { cell } = master;
    const now = master.localNow();
    const status = cell?.status(now);
    if (cell === undefined || status?.leaseUntil === undefined) return;
    if (status.appliedIndex < newest) {
      const detail = `replica ${master.id} serves at ${status.appliedIndex}, and ${newest} is chosen`;
      throw new Violation(9, "master-up-to-date", detail);
    }
    this.#checkGrants(master, master.clock.trueTimeOf(status.leaseUntil));
    for (const client of this.#clients) {
      if (!client.isDead && !client.clock.isSuspended) this.#checkSessions(master, client);
    }
  }

  onVoided(from: ReplicaProcess): void {
    this.#voidedAt.set(from, from.localNow());
  }

  /** 9: an answer that rests on a lease is not kept to be given when that is over. */
  checkAnswer(from: ReplicaProcess, isOfMaster: boolean, validUntil: Instant): void {
    if (!isOfMaster && validUntil === NEVER) return;
    const now = from.localNow();
    const until = from.cell?.status(now).leaseUntil ?? now;
    // One that was voided in this turn was there when the answer was made, whatever has come in its place.
    if (until <= now || validUntil <= until || this.#voidedAt.get(from) === now) return;
    const detail = `replica ${from.id} gives an answer for ${validUntil - until} ms longer than it leads`;
    throw new Violation(9, "answers-end-with-lease", detail);
  }

  /** It leaves; its sender binds itself as well. */
  onLeaseRequest(from: ReplicaProcess, message: LeaseRequest, now: number): void {
    const key = leaseRoundOf(message);
    const until = this.#rounds.get(key) ?? now + message.leaseMs * RELIED_SHARE;
    this.#rounds.set(key, until);
    const [oldest] = this.#rounds.keys();
    if (this.#rounds.size > ROUNDS_KEPT && oldest !== undefined) this.#rounds.delete(oldest);
    this.#bind(from, until);
  }

  /** It leaves. */
  onLeaseGrant(from: ReplicaProcess, message: LeaseGrant): void {
    this.#bind(from, this.#rounds.get(leaseRoundOf(message)) ?? 0);
  }

  /** 3: a new life keeps what earlier ones have granted, to whomever; alone there is nobody. */
  onStarted(process: ReplicaProcess): void {
    const { id, replica, clock } = process;
    if (replica === undefined || this.#replicas.length === 1) return;
    const until = clock.trueTimeOf(replica.boundToUntil(replicaId(id)));
    const lackingMs = (this.#granted.get(process) ?? 0) - until;
    if (lackingMs <= ROUNDING_MS) return;
    const detail = `replica ${id} starts, and is bound for ${lackingMs.toFixed(0)} ms less than it has granted`;
    throw new Violation(3, "grants-recovered", detail);
  }

  #bind(replica: ReplicaProcess, until: number): void {
    this.#granted.set(replica, Math.max(until, this.#granted.get(replica) ?? 0));
  }

  /** 8: until its lease ends, no quorum can promise anything to anybody else. */
  #checkGrants(master: ReplicaProcess, until: number): void {
    const quorum = quorumOf(this.#replicas.length);
    const id = replicaId(master.id);
    let bound = 0;
    for (const { replica, clock, isWiped } of this.#replicas) {
      // One that is down promises nothing, and will wait when it starts; a wiped one is heard no more.
      if (replica === undefined || isWiped) bound += 1;
      else if (clock.trueTimeOf(replica.boundToUntil(id)) >= until - ROUNDING_MS) bound += 1;
    }
    if (bound >= quorum) return;
    const detail = `${bound} of ${quorum} replicas are bound as long as replica ${id} leads`;
    throw new Violation(8, "lease-granted", detail);
  }

  /** 18: no client relies on its session for longer than the master keeps it. */
  #checkSessions({ cell, clock }: ReplicaProcess, client: ClientProcess): void {
    for (const session of client.sessions) {
      if (!client.relies(session)) continue;
      const until = cell?.sessionUntil(session.sessionId);
      if (until === NEVER) continue;
      const relies = `${client.name} relies on session ${session.sessionId}`;
      if (until === undefined) {
        throw new Violation(18, "session-kept", `${relies}, which is over`);
      }
      const overMs = client.clock.trueTimeOf(session.leaseDeadline) - clock.trueTimeOf(until);
      if (overMs <= ROUNDING_MS) continue;
      throw new Violation(18, "session-kept", `${relies}, ${overMs.toFixed(2)} ms too long`);
    }
  }
}
