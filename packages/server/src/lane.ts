import type { Request } from "@cubby/protocol";

/** Where the lanes for clients deliver. A connection is a number that is never used again. */
export type LaneHandler = {
  /**
   * Byte fields of the request are views of the received chunk: who keeps one copies it. The clock
   * must be read no earlier than in this call, so that no lease is judged by a time before it.
   */
  onRequest(connection: number, request: Request): void;
  /** At most once per connection, and nothing of that connection follows it. */
  onDisconnected(connection: number): void;
};

/** Hands out the connection numbers that all lanes of a replica share. */
export class ConnectionIds {
  #last = 0;

  next(): number {
    this.#last += 1;
    return this.#last;
  }
}

type Call = NonNullable<Request["call"]>;
export type CallName = Call["$case"];

/**
 * All of a request but contents: a name, a handle, a sequencer and a guard, with room to spare. What is
 * held, queued and proposed is bounded by its contents: nothing else may be large.
 */
export const PLAIN_BYTES_MAX = 16 * 1024;
export const PLAIN_TOO_LONG = `All of a request but contents is at most ${PLAIN_BYTES_MAX} bytes.`;

/** To the client that waits for a reply whose time is over. */
export const LEASE_ENDED = "The master lease ended before the reply could leave.";

/** A held call, or an idle session, waits for hours on a machine that may be gone. */
export const KEEP_ALIVE_PROBE_MS = 60_000;

export function contentsBytesOf(call: Call | undefined): number {
  if (call?.$case === "setContents") return call.value.contents.length;
  return call?.$case === "open" ? call.value.initialContents.length : 0;
}

/** Plain numbers that the hot path adds to; metrics read them when somebody asks. */
export type LaneCounters = {
  readonly requests: Record<CallName, number>;
  /** Error replies by code of the error table. */
  readonly errors: Map<number, number>;
  connections: number;
  connectionsTotal: number;
  /** Connections turned away at the cap, or ended with a call above it. */
  refusedTotal: number;
  /** Connections closed for what they sent, or for not sending it in time. */
  badTotal: number;
  /** Connections closed because they did not read their replies. */
  slowTotal: number;
  bytesIn: number;
  bytesOut: number;
};

export function createLaneCounters(): LaneCounters {
  return {
    requests: {
      locate: 0,
      getStatus: 0,
      createSession: 0,
      keepAlive: 0,
      endSession: 0,
      cancel: 0,
      open: 0,
      close: 0,
      getContentsAndStat: 0,
      getStat: 0,
      readDir: 0,
      setContents: 0,
      delete: 0,
      acquire: 0,
      release: 0,
      getSequencer: 0,
      checkSequencer: 0,
    },
    errors: new Map(),
    connections: 0,
    connectionsTotal: 0,
    refusedTotal: 0,
    badTotal: 0,
    slowTotal: 0,
    bytesIn: 0,
    bytesOut: 0,
  };
}

export function countError(counters: LaneCounters, code: number): void {
  counters.errors.set(code, (counters.errors.get(code) ?? 0) + 1);
}
