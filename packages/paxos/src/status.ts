import type { Instant } from "@cubby/base";
import type { Acceptor } from "./acceptor.ts";
import type { Ballot, ReplicaId, Slot } from "./ballot.ts";
import type { BallotLeaderElection } from "./ballot-leader-election.ts";
import type { Follower } from "./follower.ts";
import type { GenesisAgreement } from "./genesis.ts";
import type { Leader, LeaderPhase } from "./leader.ts";
import type { LeaseGrantor } from "./lease-grantor.ts";
import type { Settings } from "./options.ts";
import type { Outbox } from "./outbox.ts";

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

type Parts = {
  readonly settings: Settings;
  readonly outbox: Outbox;
  readonly acceptor: Acceptor;
  readonly genesis: GenesisAgreement;
  readonly election: BallotLeaderElection;
  readonly grantor: LeaseGrantor;
  readonly follower: Follower;
  readonly leader: Leader | undefined;
};

export function statusOf(now: Instant, parts: Parts): PaxosStatus {
  const { settings, acceptor, election, leader } = parts;
  const { promised, acceptedBallot, chosen, delivered, length, dropped, leaseMs } = acceptor;
  const known = election.knownLeader(now);
  return {
    role: leader === undefined ? "follower" : leader.phase,
    genesisComplete: parts.genesis.complete,
    ballot: leader?.ballot,
    leader: known === settings.self ? undefined : known,
    election: { own: election.own, follows: election.leader, happy: election.happy },
    promised,
    acceptedBallot,
    chosen,
    delivered,
    length,
    firstRetained: dropped + 1,
    leaseMs,
    leaseUntil: leader?.lease.until,
    grantUntil: parts.grantor.lastBound,
    waitingProposals: leader?.waiting ?? 0,
    catchingUp: parts.follower.catchingUp,
    diskWaitingMs: parts.outbox.durability.waitingMs(now),
    peers: settings.peers.map((replica) => {
      const progress = leader?.progressOf(replica) ?? { matched: 0, synchronised: false };
      return { replica, lastHeard: election.lastHeard(replica), ...progress };
    }),
  };
}
