import type { Instant } from "@cubby/base";
import type { Ballot, ReplicaId, Slot } from "./ballot.ts";
import type { LeaderPhase } from "./leader.ts";

export type PeerStatus = {
  readonly replica: ReplicaId;
  /** Durable there in our ballot; known to a leader only. */
  readonly matched: Slot;
  readonly synchronised: boolean;
  /** When the last heartbeat that it answered was sent. */
  readonly lastHeard: Instant | undefined;
};

/** For people and metrics; no decision may rest on it. */
export type PaxosStatus = {
  readonly role: "follower" | LeaderPhase;
  readonly genesisComplete: boolean;
  /** Ours, unless we follow. */
  readonly ballot: Ballot | undefined;
  readonly leader: ReplicaId | undefined;
  /** What this replica tells the others in heartbeats. */
  readonly election: { readonly own: Ballot; readonly follows: Ballot; readonly happy: boolean };
  readonly promised: Ballot;
  readonly acceptedBallot: Ballot;
  readonly chosen: Slot;
  readonly delivered: Slot;
  readonly length: Slot;
  readonly firstRetained: Slot;
  /** The lease length in force; 0 before the first was chosen. */
  readonly leaseMs: number;
  readonly leaseUntil: Instant | undefined;
  /** Until then at most one replica can be promised anything here. */
  readonly grantUntil: Instant;
  readonly waitingProposals: number;
  readonly catchingUp: boolean;
  readonly diskWaitingMs: number;
  readonly peers: readonly PeerStatus[];
};
