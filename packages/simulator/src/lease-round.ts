import type { PaxosMessage } from "@cubby/paxos";

export type LeaseRequest = Extract<PaxosMessage, { kind: "leaseRequest" }>;
export type LeaseGrant = Extract<PaxosMessage, { kind: "leaseGrant" }>;

/** One round of one leader, by whatever message names it. */
export function leaseRoundOf({ ballot, leaseRound }: LeaseRequest | LeaseGrant): string {
  return `${ballot.round}.${ballot.priority}.${ballot.replica}/${leaseRound}`;
}
