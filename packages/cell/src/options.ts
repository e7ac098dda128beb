import type { Branded } from "@cubby/base";
import type { Quotas } from "@cubby/protocol";

/** Names a connection for as long as the process lives: the host never uses a number again. */
export type ConnectionId = Branded<number, "ConnectionId">;

export type ReplicaLocation = {
  readonly replicaId: number;
  /** host:port of the session lane. */
  readonly address: string;
};

export type CellOptions = {
  /** The same at all replicas: `/ls/<cellName>` is the root. */
  readonly cellName: string;
  readonly replicaId: number;
  readonly replicas: readonly ReplicaLocation[];
  /** 16 random bytes, fresh at each start of a process; keys the check digits of a new cell. */
  readonly keyMaterial: Uint8Array;
  /** Taken over by the whole cell when this replica becomes master. */
  readonly quotas?: Partial<Quotas>;
  /** With more sessions than this the master grants the longest lease to all (SES-5). */
  readonly stretchAboveSessions?: number;
  /** Of commands under way at this master: from so many bytes on, requests are refused as overload. */
  readonly proposedBytesMax?: number;
  /** Of results that sessions have not taken: from so many bytes on, each has one call at a time. */
  readonly resultBytesMax?: number;
};
