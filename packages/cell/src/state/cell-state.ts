import { EMPTY_BYTES, OrderedMap } from "@cubby/base";
import {
  CHILDREN_MAX_DEFAULT,
  HANDLE_BYTES_MAX,
  HANDLES_PER_SESSION_MAX_DEFAULT,
  NODES_MAX_DEFAULT,
  type Quotas,
  SESSIONS_MAX_DEFAULT,
  TREE_BYTES_MAX,
} from "@cubby/protocol";
import { Effects } from "./effects.ts";
import { Namespace } from "./namespace.ts";
import type { ResultTally, Session } from "./session.ts";

export const DEFAULT_QUOTAS: Quotas = {
  sessionsMax: SESSIONS_MAX_DEFAULT,
  nodesMax: NODES_MAX_DEFAULT,
  childrenMax: CHILDREN_MAX_DEFAULT,
  handlesPerSessionMax: HANDLES_PER_SESSION_MAX_DEFAULT,
};

/** The replicated state: equal on all replicas at equal index, and changed by `apply` alone. */
export class CellState {
  readonly cellName: string;
  readonly namespace: Namespace;
  /** By id, which is the order of creation. */
  readonly sessions = new OrderedMap<number, Session>();
  /** Index of the last entry applied. */
  appliedIndex = 0;

  /** PML-21: commands of any other epoch are refused. 0 before the first master. */
  paxosEpoch = 0;
  /** FO-1: raised by one with each master; carried by every call. */
  clientEpoch = 0;
  masterId = 0;
  /** Key of the handles' check digits; empty until the first master has supplied it. */
  handleKey: Uint8Array = EMPTY_BYTES;
  quotas: Quotas = DEFAULT_QUOTAS;
  /** These two are the same at all replicas and no part of the state: only tests set them. */
  treeBytesMax = TREE_BYTES_MAX;
  handleBytesMax = HANDLE_BYTES_MAX;
  /** SES-5: the longest lease that a master may grant where a session asked for less. */
  stretchMs = 0;
  /** Of all handles that hold locks or keep ephemeral nodes alive. */
  handleBytes = 0;
  /** Of the results of all sessions. */
  readonly resultTally: ResultTally = { bytes: 0 };
  /** For status. */
  locksHeld = 0;

  readonly effects = new Effects();

  constructor(cellName: string) {
    this.cellName = cellName;
    this.namespace = new Namespace(cellName);
  }

  /** FO-3: the longest lease that any master may have granted to a session. */
  leaseMsMaxOf(session: Session): number {
    return Math.max(session.leaseMs, this.stretchMs);
  }
}
