import { DecodeError } from "@cubby/base";
import { decodeMessage, messageKindOf, type PaxosMessage } from "@cubby/paxos";
import { ERROR_CODES, type Reply, type Request } from "@cubby/protocol";
import type { ReplicaInput } from "@cubby/server/core";
import { type LeaseGrant, type LeaseRequest, leaseRoundOf } from "./lease-round.ts";
import { quorumOf } from "./topology.ts";
import { Violation } from "./violation.ts";

type Round = { readonly begunAt: number; readonly grantedBy: Set<number> };

type Result = NonNullable<Reply["result"]>;

/** Answers that are worth only what the master's word is, if they stand in no log. */
const OF_MASTER: ReadonlySet<string> = new Set([
  "getContentsAndStat",
  "getStat",
  "readDir",
  "getSequencer",
  "checkSequencer",
  "keepAlive",
  "open",
] satisfies Result["$case"][]);
const REFUSALS_OF_MASTER: ReadonlySet<number> = new Set(
  (["not_found", "already_exists", "lock_held", "lock_delayed"] as const).map(
    (code) => ERROR_CODES[code].id,
  ),
);

export function restsOnMaster(result: Reply["result"], isLogged: boolean): boolean {
  if (result === undefined || isLogged) return false;
  if (result.$case === "error") return REFUSALS_OF_MASTER.has(result.value.code);
  return OF_MASTER.has(result.$case);
}

/** Rounds of one leader that may still be granted. */
const ROUNDS_KEPT = 64;

/**
 * 9, where reads ask a quorum (`reads: "quorum"`): each rests on a round that left after it came, or after
 * its lease began if it is a KeepAlive, and that a quorum has granted. Leases alone make them fresh as long
 * as clocks keep to their bound, so no answer would show that the round was left out.
 */
export class QuorumReadChecker {
  readonly #quorum: number;
  /** Which of two things came first; several happen at one instant. */
  #order = 0;
  readonly #arrivedAt = new WeakMap<Request, number>();
  readonly #madeAt = new WeakMap<Reply, number>();
  readonly #rounds = new Map<number, Map<string, Round>>();
  /** When the latest round began that a quorum granted, by leader. */
  readonly #provenAt = new Map<number, number>();

  constructor(replicas: number) {
    this.#quorum = quorumOf(replicas);
  }

  onInput(replica: number, input: ReplicaInput): void {
    if (input.kind === "request") this.onRequest(input.request);
    if (input.kind !== "peerFrame" || messageKindOf(input.bytes) !== "leaseGrant") return;
    const message = decodedOrNone(input.bytes);
    if (message?.kind === "leaseGrant") this.onLeaseGrant(replica, input.from, message);
  }

  onRequest(request: Request): void {
    this.#order += 1;
    this.#arrivedAt.set(request, this.#order);
  }

  onMade(reply: Reply): void {
    this.#order += 1;
    this.#madeAt.set(reply, this.#order);
  }

  /** On its way to any of its peers. */
  onLeaseRequest(leader: number, message: LeaseRequest): void {
    const rounds = this.#rounds.get(leader) ?? new Map<string, Round>();
    this.#rounds.set(leader, rounds);
    const key = leaseRoundOf(message);
    if (rounds.has(key)) return;
    this.#order += 1;
    rounds.set(key, { begunAt: this.#order, grantedBy: new Set([leader]) });
    const [oldest] = rounds.keys();
    if (rounds.size > ROUNDS_KEPT && oldest !== undefined) rounds.delete(oldest);
  }

  /** It has arrived. */
  onLeaseGrant(leader: number, from: number, message: LeaseGrant): void {
    const round = this.#rounds.get(leader)?.get(leaseRoundOf(message));
    if (round === undefined) return;
    round.grantedBy.add(from);
    if (round.grantedBy.size < this.#quorum) return;
    this.#provenAt.set(leader, Math.max(round.begunAt, this.#provenAt.get(leader) ?? 0));
  }

  check(leader: number, request: Request, reply: Reply): void {
    const arrivedAt = this.#arrivedAt.get(request);
    if (arrivedAt === undefined || this.#quorum === 1) return;
    // A KeepAlive is held, and what counts is that nobody else was master when its lease began.
    const isGrant = reply.result?.$case === "keepAlive";
    const since = isGrant ? (this.#madeAt.get(reply) ?? arrivedAt) : arrivedAt;
    if ((this.#provenAt.get(leader) ?? 0) > since) return;
    const when = isGrant ? "its lease began" : "it came";
    const detail = `replica ${leader} answers ${request.call?.$case} of session ${request.sessionId}, and no quorum has granted a round since ${when}`;
    throw new Violation(9, "read-proven", detail);
  }
}

/** A frame may have been damaged on its way. */
function decodedOrNone(bytes: Uint8Array): PaxosMessage | undefined {
  try {
    return decodeMessage(bytes);
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}
