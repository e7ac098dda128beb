import { createServer, type Server, type Socket } from "node:net";
import { assert, type Instant, msBetween } from "@cubby/base";
import { type Address, addressText, listenOn } from "./address.ts";
import { type Clock, monotonicNow } from "./clock.ts";
import { FrameBufferPool } from "./frame-buffer.ts";
import type { Log } from "./log.ts";
import { type PeerHello, strangerProblem } from "./peer-hello.ts";
import { InboundLink } from "./peer-inbound.ts";
import { OutboundLink } from "./peer-outbound.ts";

export type PeerIdentity = {
  readonly cellId: string;
  readonly replicaId: number;
  readonly incarnation: string;
};

export type PeerAddress = Address & { readonly replicaId: number };

/** State of the outgoing connection, the one that `send` uses. */
export type PeerState =
  | { readonly kind: "connected"; readonly incarnation: string }
  | { readonly kind: "disconnected"; readonly reason: string };

export type PeerLaneHandler = {
  /**
   * `incarnation` is what the connection's hello claimed; whether it may speak is the core's
   * decision. `bytes` is a view: who keeps it copies it.
   */
  onFrame(from: number, incarnation: string, bytes: Uint8Array): void;
  onPeerState(peer: number, state: PeerState): void;
};

export type PeerLaneLimits = {
  readonly frameBytesMax: number;
  /** Unsent bytes per peer, beyond which frames for it are dropped. */
  readonly outputBytesMax: number;
  readonly dialFirstMs: number;
  readonly dialMsMax: number;
  /** For the address behind a name: longer than a resolver whose first server is silent needs. */
  readonly lookupMs: number;
  readonly connectMs: number;
  readonly handshakeMs: number;
  /** The connection to a peer that was heard, and from which nothing comes for so long, ends. */
  readonly quietMs: number;
  /** A peer for which frames have waited for so long is behind: it is sent no more large ones. */
  readonly behindMs: number;
  /**
   * Unsent bytes of which the kernel takes nothing for so long end the connection. Over a slow link it
   * takes none for many seconds, and then a third of its buffer at once.
   */
  readonly stuckMs: number;
  /** From the first chunk of a frame to its last, inbound. */
  readonly frameMs: number;
  /** How often timeouts are looked at; 0 leaves it to calls of `sweep`. */
  readonly sweepMs: number;
};

export const PEER_LANE_LIMITS: PeerLaneLimits = {
  frameBytesMax: 16 * 1024 * 1024,
  outputBytesMax: 48 * 1024 * 1024,
  dialFirstMs: 20,
  dialMsMax: 1_000,
  lookupMs: 30_000,
  connectMs: 1_000,
  handshakeMs: 2_000,
  quietMs: 3_000,
  behindMs: 250,
  stuckMs: 30_000,
  frameMs: 20_000,
  sweepMs: 250,
};

export type PeerLaneOptions = {
  readonly self: PeerIdentity;
  readonly peers: readonly PeerAddress[];
  readonly handler: PeerLaneHandler;
  readonly log: Log;
  readonly limits?: Partial<PeerLaneLimits>;
  readonly now?: Clock;
  /** Jitter of the dials, in [0, 1). */
  readonly random?: () => number;
};

export type PeerLaneCounters = {
  bytesIn: number;
  bytesOut: number;
  framesIn: number;
  framesOut: number;
  /** Frames not sent, because the peer was away or did not keep up. */
  droppedTotal: number;
  dialsTotal: number;
  /** Connections turned away for what their hello said, or for what they sent. */
  refusedTotal: number;
};

/** What both kinds of link share. */
export type PeerLaneContext = {
  readonly self: PeerIdentity;
  readonly limits: PeerLaneLimits;
  readonly counters: PeerLaneCounters;
  readonly pool: FrameBufferPool;
  readonly log: Log;
  readonly now: Clock;
  readonly random: () => number;
};

/** Connections in all, and of one peer. */
const INBOUND_MAX = 64;
const INBOUND_PER_PEER_MAX = 3;
const KEEP_ALIVE_PROBE_MS = 10_000;

/**
 * TCP between replicas: each dials every other, and what it sends leaves on the connection that it
 * dialed. Loss is allowed: a frame for a peer that is away or does not keep up is dropped, since
 * consensus repairs what is missing, and old messages would only delay the new ones.
 */
export class PeerLane {
  readonly counters: PeerLaneCounters = {
    bytesIn: 0,
    bytesOut: 0,
    framesIn: 0,
    framesOut: 0,
    droppedTotal: 0,
    dialsTotal: 0,
    refusedTotal: 0,
  };
  readonly #handler: PeerLaneHandler;
  readonly #context: PeerLaneContext;
  readonly #server: Server;
  readonly #outbound = new Map<number, OutboundLink>();
  readonly #inbound = new Set<InboundLink>();
  readonly #dirty: OutboundLink[] = [];
  #flushSoon: NodeJS.Immediate | undefined;
  #sweeper: NodeJS.Timeout | undefined;
  #sweptAt: Instant;
  #closed = false;

  constructor(options: PeerLaneOptions) {
    this.#handler = options.handler;
    this.#context = {
      self: options.self,
      limits: { ...PEER_LANE_LIMITS, ...options.limits },
      counters: this.counters,
      pool: new FrameBufferPool(),
      log: options.log,
      now: options.now ?? monotonicNow,
      random: options.random ?? Math.random,
    };
    this.#sweptAt = this.#context.now();
    for (const peer of options.peers) this.#addPeer(peer);
    this.#server = createServer({
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
    });
    this.#server.on("connection", (socket) => this.#onConnection(socket));
  }

  /** Starts listening and dialing. */
  async listen(address: Address): Promise<Address> {
    const bound = await listenOn(this.#server, "peerAddress", address);
    // An accept that fails (EMFILE, ECONNABORTED) costs that connection, not the lane (P30).
    this.#server.on("error", (error) =>
      this.#context.log.warn({ error }, "peer lane: accept failed"),
    );
    const { sweepMs } = this.#context.limits;
    if (sweepMs > 0) this.#sweeper = setInterval(() => this.sweep(), sweepMs).unref();
    for (const link of this.#outbound.values()) link.dial();
    return bound;
  }

  /** The replicas other than this one, changed while running: by tests, later by membership. */
  setPeers(peers: readonly PeerAddress[]): void {
    const wanted = new Map(peers.map((peer) => [peer.replicaId, peer]));
    for (const [replicaId, link] of [...this.#outbound]) {
      const peer = wanted.get(replicaId);
      if (peer !== undefined && addressText(peer) === addressText(link.address)) continue;
      link.close();
      this.#outbound.delete(replicaId);
    }
    for (const peer of peers) {
      if (this.#outbound.has(peer.replicaId)) continue;
      this.#addPeer(peer).dial();
    }
  }

  /** One frame for a peer, to leave this turn or never. */
  send(to: number, bytes: Uint8Array): void {
    const link = this.#outbound.get(to);
    const { frameBytesMax } = this.#context.limits;
    assert(bytes.length <= frameBytesMax, "a frame between replicas is within its bound");
    if (link === undefined) {
      // A peer that has just been taken off the list: as good as away.
      this.counters.droppedTotal += 1;
      return;
    }
    if (!link.put(bytes)) return;
    this.#dirty.push(link);
    this.#flushSoon ??= setImmediate(() => this.flush());
  }

  /** Writes out what this turn has gathered; happens by itself before the turn ends. */
  flush(): void {
    if (this.#flushSoon !== undefined) clearImmediate(this.#flushSoon);
    this.#flushSoon = undefined;
    for (const link of this.#dirty) link.flush();
    this.#dirty.length = 0;
  }

  connected(peer: number): boolean {
    return this.#outbound.get(peer)?.connected ?? false;
  }

  /** Peers in ascending order, for status and metrics. */
  peers(): { replicaId: number; connected: boolean }[] {
    return [...this.#outbound.keys()]
      .sort((a, b) => a - b)
      .map((replicaId) => ({ replicaId, connected: this.connected(replicaId) }));
  }

  sweep(): void {
    const { limits } = this.#context;
    const now = this.#context.now();
    const stoodStill = msBetween(this.#sweptAt, now) >= limits.quietMs / 2;
    this.#sweptAt = now;
    for (const link of this.#inbound) {
      if (link.spoke()) this.#outbound.get(link.replicaId)?.onHeard(now);
      link.sweep(now);
    }
    for (const link of this.#outbound.values()) {
      if (stoodStill) link.excuseSilence(now);
      link.sweep(now);
    }
  }

  close(): Promise<void> {
    this.flush();
    this.#closed = true;
    clearInterval(this.#sweeper);
    for (const link of this.#outbound.values()) link.close();
    for (const link of [...this.#inbound]) link.close("This replica is stopping.");
    if (!this.#server.listening) return Promise.resolve();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #addPeer(peer: PeerAddress): OutboundLink {
    const { replicaId } = peer;
    assert(replicaId !== this.#context.self.replicaId, "a replica is no peer of itself");
    assert(!this.#outbound.has(replicaId), "a peer is named once");
    const link = new OutboundLink(this.#context, peer, (state) =>
      this.#handler.onPeerState(replicaId, state),
    );
    this.#outbound.set(replicaId, link);
    return link;
  }

  #onConnection(socket: Socket): void {
    // A peer says hello at once: who has been silent the longest makes room for who may be one.
    if (this.#inbound.size >= INBOUND_MAX) {
      const silent = [...this.#inbound].find((link) => link.replicaId === 0);
      silent?.close("Others wait for its place.");
      if (silent !== undefined) this.#inbound.delete(silent);
    }
    if (this.#closed || this.#inbound.size >= INBOUND_MAX) {
      this.counters.refusedTotal += 1;
      socket.on("error", (error) => this.#context.log.debug({ error }, "refused peer socket"));
      socket.destroy();
      return;
    }
    const link = new InboundLink(this.#context, socket, {
      check: (hello) => this.#helloProblem(hello),
      onHello: () => this.#onHello(link),
      onFrame: (from, incarnation, bytes) => this.#handler.onFrame(from, incarnation, bytes),
      onClosed: () => this.#inbound.delete(link),
    });
    this.#inbound.add(link);
  }

  /** Why the sender of this hello may not speak here, or undefined when it may. */
  #helloProblem(hello: PeerHello & { kind: "hello" }): string | undefined {
    const { self } = this.#context;
    const problem = strangerProblem(hello, self.cellId);
    if (problem !== undefined) return problem;
    if (hello.replicaId === self.replicaId) {
      return `It says that it is replica ${hello.replicaId}, which is this one.`;
    }
    if (!this.#outbound.has(hello.replicaId)) {
      return `Replica ${hello.replicaId} is not among the peers of replica ${self.replicaId}.`;
    }
    return undefined;
  }

  #onHello(link: InboundLink): void {
    const { replicaId } = link;
    // A peer that has come back dials at once: so do we, rather than wait out the backoff.
    this.#outbound.get(replicaId)?.onDialed(this.#context.now());
    // A restarted peer leaves its old connection behind. Several may live, so that a replica of the
    // same id but another incarnation cannot cut off the right one; the oldest make room.
    const same = [...this.#inbound].filter((other) => other.replicaId === replicaId);
    for (const old of same.slice(0, Math.max(0, same.length - INBOUND_PER_PEER_MAX))) {
      old.close("Newer connections of the same replica took its place.");
    }
  }
}
