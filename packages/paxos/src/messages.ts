import type { Ballot, ReplicaId, Slot } from "./ballot.ts";
import type { LogEntry } from "./log-entry.ts";

/** Who belongs to the cell, and which life of each directory: the first configuration. */
export type Member = { readonly replica: ReplicaId; readonly incarnation: string };

/** Are you there? The answer, matched by round, is the only evidence of a link that counts. */
export type HeartbeatRequestMessage = { readonly kind: "heartbeatRequest"; readonly round: number };

export type HeartbeatReplyMessage = {
  readonly kind: "heartbeatReply";
  readonly round: number;
  /** The replier's own ballot: it leads if this is the greatest that its peers hear of. */
  readonly ballot: Ballot;
  /** The ballot the replier follows. */
  readonly leader: Ballot;
  /** The replier is content with that leader, and nobody need take over for its sake. */
  readonly happy: boolean;
};

/** Phase 1: promise me `ballot`. The rest lets a fresher acceptor answer with what I lack. */
export type PrepareMessage = {
  readonly kind: "prepare";
  readonly ballot: Ballot;
  readonly acceptedBallot: Ballot;
  readonly length: Slot;
  readonly chosen: Slot;
};

/** I accept nothing below `ballot` any more, and this is the log that I accepted. Durable. */
export type PromiseMessage = {
  readonly kind: "promise";
  readonly ballot: Ballot;
  readonly acceptedBallot: Ballot;
  readonly length: Slot;
  readonly chosen: Slot;
  /** If my log is the fresher one: the start of what the proposer lacks, from `firstSlot`. */
  readonly firstSlot: Slot;
  readonly entries: readonly LogEntry[];
};

/** I have promised `promised`, so not `ballot`. */
export type NackMessage = {
  readonly kind: "nack";
  readonly ballot: Ballot;
  readonly promised: Ballot;
};

/** I hear of your `ballot` and never promised it: prepare me. */
export type PrepareRequestMessage = { readonly kind: "prepareRequest"; readonly ballot: Ballot };

/** Phase 2: append these to a log that you accepted in `ballot` and that ends before `firstSlot`. */
export type AcceptMessage = {
  readonly kind: "accept";
  readonly ballot: Ballot;
  readonly firstSlot: Slot;
  readonly entries: readonly LogEntry[];
  readonly chosen: Slot;
};

/** My log, accepted in `ballot`, is durable through `length`. */
export type AcceptedMessage = {
  readonly kind: "accepted";
  readonly ballot: Ballot;
  readonly length: Slot;
};

/** To a follower not known to have my log: it has this length, and this much of it is chosen. */
export type ChosenMessage = {
  readonly kind: "chosen";
  readonly ballot: Ballot;
  readonly chosen: Slot;
  readonly length: Slot;
};

/** Send me your log from `from` on, or your snapshot if you no longer hold that slot. */
export type FetchMessage = {
  readonly kind: "fetch";
  readonly ballot: Ballot;
  readonly from: Slot;
  /** My log is accepted in `ballot` already: a plain accept will do. */
  readonly synchronised: boolean;
  /** The snapshot I am in the middle of, by its slot (0: none), and the bytes I have of it. */
  readonly snapshotSlot: Slot;
  readonly snapshotOffset: number;
};

/** Part of the sender's log, which ends at `length` and was accepted in `acceptedBallot`. */
export type LogPartMessage = {
  readonly kind: "logPart";
  readonly ballot: Ballot;
  readonly acceptedBallot: Ballot;
  readonly firstSlot: Slot;
  readonly entries: readonly LogEntry[];
  readonly chosen: Slot;
  readonly length: Slot;
};

/** What tells one snapshot from another, so that parts of two never mix. */
export type SnapshotIdentity = {
  readonly slot: Slot;
  readonly sizeBytes: number;
  /** CRC-32C of all its bytes. */
  readonly checksum: number;
  /** The engine's own state at that slot. 0: no lease length was chosen yet. */
  readonly leaseMs: number;
};

export type SnapshotPartMessage = SnapshotIdentity & {
  readonly kind: "snapshotPart";
  readonly ballot: Ballot;
  readonly offset: number;
  readonly bytes: Uint8Array;
};

/** Grant me, leader of `ballot`, a lease of `leaseMs`. Tells how far the log is as well. */
export type LeaseRequestMessage = {
  readonly kind: "leaseRequest";
  readonly ballot: Ballot;
  readonly leaseRound: number;
  readonly leaseMs: number;
  readonly chosen: Slot;
  readonly length: Slot;
};

export type LeaseGrantMessage = {
  readonly kind: "leaseGrant";
  readonly ballot: Ballot;
  readonly leaseRound: number;
};

/** I, leader of `ballot`, hold no lease by this round or an earlier one, and never will again. */
export type LeaseReleaseMessage = {
  readonly kind: "leaseRelease";
  readonly ballot: Ballot;
  readonly leaseRound: number;
};

/** A release, and: lead in my place, now. */
export type InviteMessage = {
  readonly kind: "invite";
  readonly ballot: Ballot;
  readonly leaseRound: number;
};

/** Which configuration do you hold? Asked until one is known to be complete. */
export type GenesisQueryMessage = { readonly kind: "genesisQuery" };

/** The one that I durably hold: none if empty. */
export type GenesisStatusMessage = {
  readonly kind: "genesisStatus";
  readonly members: readonly Member[];
};

export type GenesisOfferMessage = {
  readonly kind: "genesisOffer";
  readonly members: readonly Member[];
};

/** All of them durably hold this one. */
export type GenesisCompleteMessage = {
  readonly kind: "genesisComplete";
  readonly members: readonly Member[];
};

/** Under your id I have another incarnation on record than `incarnation`; you take no part. */
export type RefusedMessage = {
  readonly kind: "refused";
  readonly incarnation: string;
  readonly reason: string;
};

export type GenesisMessage =
  | GenesisQueryMessage
  | GenesisStatusMessage
  | GenesisOfferMessage
  | GenesisCompleteMessage;

export type ConsensusMessage =
  | HeartbeatRequestMessage
  | HeartbeatReplyMessage
  | PrepareMessage
  | PromiseMessage
  | NackMessage
  | PrepareRequestMessage
  | AcceptMessage
  | AcceptedMessage
  | ChosenMessage
  | FetchMessage
  | LogPartMessage
  | SnapshotPartMessage
  | LeaseRequestMessage
  | LeaseGrantMessage
  | LeaseReleaseMessage
  | InviteMessage;

export type PaxosMessage = ConsensusMessage | GenesisMessage | RefusedMessage;
