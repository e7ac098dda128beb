import { type Instant, NEVER } from "@cubby/base";
import { replicaId } from "@cubby/paxos";
import type { ClientProcess } from "./client-process.ts";
import type { ReplicaProcess } from "./replica-process.ts";
import { quorumOf } from "./topology.ts";
import { Violation } from "./violation.ts";

/** Of true times, which are quotients. */
const ROUNDING_MS = 0.01;

/**
 * What makes leases safe, whether or not anybody comes to make use of a gap: nobody relies on a
 * lease in true time for longer than those who granted it are bound.
 */
export class LeaseChecker {
  readonly #replicas: readonly ReplicaProcess[];
  readonly #clients: readonly ClientProcess[];

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

  /** 9: an answer that rests on a lease is not kept to be given when that is over. */
  checkAnswer(from: ReplicaProcess, isOfMaster: boolean, validUntil: Instant): void {
    if (!isOfMaster && validUntil === NEVER) return;
    const now = from.localNow();
    const until = from.cell?.status(now).leaseUntil ?? now;
    // One that was voided in this turn was there when the answer was made.
    if (until <= now || validUntil <= until) return;
    const detail = `replica ${from.id} gives an answer for ${validUntil - until} ms longer than it leads`;
    throw new Violation(9, "answers-end-with-lease", detail);
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
