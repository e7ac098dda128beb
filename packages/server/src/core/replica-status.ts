import { type Instant, msBetween } from "@cubby/base";
import type { CellStatus } from "@cubby/cell";
import { ballotText, type PaxosStatus } from "@cubby/paxos";
import type { Status } from "@cubby/protocol";

/** What does not change while a replica runs. */
export type ReplicaFacts = {
  readonly cellName: string;
  readonly cellId: string;
  readonly replicaId: number;
  readonly incarnation: string;
  readonly version: string;
  readonly processId: number;
  readonly startedAt: Instant;
  /** A peer whose heartbeat was answered within this time is connected. */
  readonly connectedMs: number;
};

export type ReplicaParts = {
  readonly engine: PaxosStatus;
  readonly cell: CellStatus;
  readonly journalBytes: number;
  readonly snapshotSlot: number;
};

/** What a replica says of itself to operators (`cubby status`, the HTTP pages, metrics). */
export function replicaStatus(facts: ReplicaFacts, now: Instant, parts: ReplicaParts): Status {
  const { engine, cell } = parts;
  return {
    cellName: facts.cellName,
    cellId: facts.cellId,
    replicaId: facts.replicaId,
    incarnation: facts.incarnation,
    role: roleOf(engine, cell),
    masterId: cell.masterId ?? 0,
    ballot: ballotText(engine.ballot ?? engine.acceptedBallot),
    promised: ballotText(engine.promised),
    chosen: engine.chosen,
    applied: cell.appliedIndex,
    accepted: engine.length,
    leaseLeftMs: leftMs(now, engine.leaseUntil),
    clientEpoch: cell.clientEpoch,
    paxosEpoch: cell.paxosEpoch,
    sessions: cell.sessions,
    locksHeld: cell.locksHeld,
    nodes: cell.nodes,
    disk: engine.diskWaitingMs > 0 ? `writing for ${engine.diskWaitingMs} ms` : "ok",
    journalBytes: parts.journalBytes,
    snapshotSlot: parts.snapshotSlot,
    peers: engine.peers.map((peer) => {
      const lastHeardMs = peer.lastHeard === undefined ? 0 : msBetween(peer.lastHeard, now);
      return {
        replicaId: peer.replica,
        connected: peer.lastHeard !== undefined && lastHeardMs <= facts.connectedMs,
        acceptedSlot: peer.matched,
        lastHeardMs,
      };
    }),
    uptimeMs: msBetween(facts.startedAt, now),
    version: facts.version,
    processId: facts.processId,
  };
}

/** "master" only while requests are served: own epoch applied and lease live. */
function roleOf(engine: PaxosStatus, cell: CellStatus): string {
  if (cell.isServing) return "master";
  if (!engine.genesisComplete) return "waiting";
  return engine.role === "follower" ? "replica" : "candidate";
}

function leftMs(now: Instant, until: Instant | undefined): number {
  return until === undefined ? 0 : Math.max(0, msBetween(now, until));
}
