import { connect, isIP, type Socket } from "node:net";
import { after, type Instant, msBetween, NEVER, utf8Encode } from "@cubby/base";
import {
  CubbyError,
  encodeFrame,
  FRAME_HEADER_BYTES,
  FrameDecoder,
  PEER_PREAMBLE,
} from "@cubby/protocol";
import type { FrameBuffer } from "./frame-buffer.ts";
import {
  encodeHello,
  HELLO_BYTES_MAX,
  PEER_PROTOCOL_VERSION,
  type PeerHello,
  strangerProblem,
} from "./peer-hello.ts";
import { readHello } from "./peer-inbound.ts";
import type { PeerAddress, PeerLaneContext, PeerState } from "./peer-lane.ts";
import { connectionErrorCode, messageOf } from "./platform-errors.ts";

/** Handed to the kernel at a time, so that a slow connection can be told from a stuck one. */
const SLICE_BYTES = 256 * 1024;

/** What a lease or an election sends is smaller, and goes to a peer that is behind, too. */
const LARGE_BYTES = 16 * 1024;

/** Of the delay between two dials. */
const DOUBLINGS_MAX = 16;

/** The connection that this replica dials to one peer, over and over while it is away. */
export class OutboundLink {
  readonly address: PeerAddress;
  readonly #context: PeerLaneContext;
  readonly #onState: (state: PeerState) => void;
  #stage: "waiting" | "connecting" | "hello" | "open" | "closed" = "waiting";
  #socket: Socket | undefined;
  #decoder = new FrameDecoder(HELLO_BYTES_MAX);
  #redial: NodeJS.Timeout | undefined;
  /** Dials in a row that led to no connection worth the name. */
  #failures = 0;
  #openedAt: Instant = NEVER;
  #deadline: Instant = NEVER;
  /** Said to the operator once, not at every dial. */
  #lastReason = "";
  /** Frames of this turn, and of those since what is going out began to. */
  #out: FrameBuffer | undefined;
  #outSince: Instant = NEVER;
  /** What is going out, and how much of it the kernel has. */
  #writing: FrameBuffer | undefined;
  /** When the first of its frames came. */
  #writingSince: Instant = NEVER;
  #writtenBytes = 0;
  #progressAt: Instant = NEVER;
  /** When the peer was last heard, on the connection that it dialed; NEVER before it was. */
  #heardAt: Instant = NEVER;

  constructor(context: PeerLaneContext, address: PeerAddress, onState: (s: PeerState) => void) {
    this.#context = context;
    this.address = address;
    this.#onState = onState;
  }

  get connected(): boolean {
    return this.#stage === "open";
  }

  dial(): void {
    if (this.#stage !== "waiting") return;
    clearTimeout(this.#redial);
    this.#context.counters.dialsTotal += 1;
    this.#stage = "connecting";
    const { now, limits } = this.#context;
    const { host, port } = this.address;
    // A look-up cannot be given up: new dials would only queue behind it.
    this.#deadline = after(now(), isIP(host) === 0 ? limits.lookupMs : limits.connectMs);
    this.#decoder = new FrameDecoder(HELLO_BYTES_MAX);
    const socket = connect({ host, port, noDelay: true, keepAlive: true });
    this.#socket = socket;
    let reason = "The connection was closed.";
    socket.on("lookup", () => this.#onLookup(socket));
    socket.on("connect", () => this.#onConnect(socket));
    socket.on("data", (chunk) => this.#onData(socket, chunk));
    // ECONNREFUSED, ECONNRESET and the like: replicas die. "close" follows.
    socket.on("error", (error) => {
      reason = `${connectionErrorCode(error)}: ${messageOf(error)}`;
    });
    socket.on("close", () => {
      if (this.#socket === socket) this.#onClose(reason);
    });
  }

  /**
   * The peer has given a sign of life: dials at once if the next dial is only being waited for. And if it
   * dials anew though this connection stands, it may not hear it, which TCP would tell much later.
   */
  onDialed(now: Instant): void {
    const { quietMs } = this.#context.limits;
    if (this.#stage === "open" && msBetween(this.#openedAt, now) >= quietMs) {
      this.#end("It dialed anew.");
    }
    this.#failures = 0;
    this.dial();
  }

  /** Takes a frame; true when `flush` must be called this turn. A frame that finds no way is lost. */
  put(bytes: Uint8Array): boolean {
    const { counters, limits, pool } = this.#context;
    const queued = (this.#out?.position ?? 0) + this.#unsentBytes();
    if (
      this.#stage !== "open" ||
      queued + FRAME_HEADER_BYTES + bytes.length > limits.outputBytesMax ||
      (bytes.length >= LARGE_BYTES && this.#isBehind())
    ) {
      counters.droppedTotal += 1;
      return false;
    }
    if (this.#out !== undefined) {
      this.#out.append(bytes);
      return false;
    }
    this.#out = pool.take();
    this.#outSince = this.#context.now();
    this.#out.append(bytes);
    return true;
  }

  /**
   * Liveness: who catches up over a slow link asks again for what is already on its way. If each answer
   * were queued, the next part would wait behind ever more copies of this one.
   */
  #isBehind(): boolean {
    if (this.#writing === undefined) return false;
    return msBetween(this.#writingSince, this.#context.now()) >= this.#context.limits.behindMs;
  }

  flush(): void {
    // What is going out comes first; `#pump` takes this turn's frames after it.
    if (this.#writing !== undefined || this.#out === undefined) return;
    this.#writeNext();
    this.#progressAt = this.#context.now();
    this.#pump();
  }

  onHeard(now: Instant): void {
    this.#heardAt = now;
  }

  /** After a standstill of our own what came meanwhile is not read yet: silence means nothing. */
  excuseSilence(now: Instant): void {
    if (this.#heardAt !== NEVER) this.#heardAt = now;
  }

  sweep(now: Instant): void {
    const { quietMs, stuckMs } = this.#context.limits;
    const connecting = this.#stage === "connecting" || this.#stage === "hello";
    if (connecting && this.#deadline <= now) {
      this.#end("It did not answer in time.");
    } else if (this.#isQuiet(now, quietMs)) {
      this.#end("Nothing came from it any more.");
    } else if (this.#writing !== undefined && msBetween(this.#progressAt, now) >= stuckMs) {
      this.#end("It did not take what was sent.");
    }
  }

  /**
   * Liveness: after a cut, TCP waits ever longer between its own attempts, in the end for as long again as
   * the cut took; a new connection does not. The kernel takes what is sent all the while. One that has
   * never been heard is let be: it may have nothing to say, or be unable to dial.
   */
  #isQuiet(now: Instant, quietMs: number): boolean {
    if (this.#stage !== "open" || this.#heardAt === NEVER) return false;
    return msBetween(this.#heardAt, now) >= quietMs;
  }

  close(): void {
    if (this.#stage === "closed") return;
    this.#stage = "closed";
    clearTimeout(this.#redial);
    // Not when the peer has read all, which it may never do: what the kernel has is sent all the same.
    this.#socket?.destroy();
    this.#dropQueued();
  }

  #onLookup(socket: Socket): void {
    if (this.#socket !== socket || this.#stage !== "connecting") return;
    this.#deadline = after(this.#context.now(), this.#context.limits.connectMs);
  }

  #onConnect(socket: Socket): void {
    if (this.#socket !== socket || this.#stage !== "connecting") return;
    this.#stage = "hello";
    this.#deadline = after(this.#context.now(), this.#context.limits.handshakeMs);
    const hello: PeerHello = {
      ...this.#context.self,
      kind: "hello",
      version: PEER_PROTOCOL_VERSION,
    };
    socket.write(utf8Encode(PEER_PREAMBLE));
    socket.write(encodeFrame(encodeHello(hello)));
  }

  #onData(socket: Socket, chunk: Buffer): void {
    if (this.#socket !== socket) return;
    this.#context.counters.bytesIn += chunk.length;
    if (this.#stage !== "hello") {
      this.#end("It spoke on a connection that is not its own.");
      return;
    }
    try {
      this.#decoder.push(chunk, (payload) => this.#onHello(readHello(payload)));
    } catch (error) {
      if (!(error instanceof CubbyError)) throw error;
      this.#end(error.message);
    }
  }

  #onHello(hello: PeerHello): void {
    if (this.#stage !== "hello") return;
    const problem = this.#helloProblem(hello);
    if (problem !== undefined || hello.kind === "refused") {
      // Nobody mends a configuration within milliseconds: no fast dials.
      this.#failures = DOUBLINGS_MAX;
      this.#end(problem ?? "It refused the connection.");
      return;
    }
    this.#stage = "open";
    this.#deadline = NEVER;
    this.#openedAt = this.#context.now();
    this.#heardAt = NEVER;
    this.#lastReason = "";
    const { incarnation } = hello;
    const peer = this.address.replicaId;
    this.#context.log.info({ peer, incarnation }, "peer lane: connected");
    this.#onState({ kind: "connected", incarnation });
  }

  #helloProblem(hello: PeerHello): string | undefined {
    if (hello.kind === "refused") return `It refused this replica: ${hello.reason}`;
    const problem = strangerProblem(hello, this.#context.self.cellId);
    if (problem !== undefined) return problem;
    if (hello.replicaId !== this.address.replicaId) {
      return `At its address is replica ${hello.replicaId}, not ${this.address.replicaId}.`;
    }
    return undefined;
  }

  /** Ends the connection for a reason of this side's; the next dial is set. */
  #end(reason: string): void {
    const socket = this.#socket;
    this.#onClose(reason);
    socket?.destroy();
  }

  #onClose(reason: string): void {
    this.#socket = undefined;
    this.#dropQueued();
    if (this.#stage === "closed") return;
    const { now, limits, log, random } = this.#context;
    const peer = this.address.replicaId;
    const wasOpen = this.#stage === "open";
    if (wasOpen && msBetween(this.#openedAt, now()) >= limits.dialMsMax) this.#failures = 0;
    if (wasOpen || reason !== this.#lastReason) {
      log.warn({ peer, reason }, "peer lane: not connected");
      this.#lastReason = reason;
    }
    this.#stage = "waiting";
    const delayMs = dialDelayMs(this.#failures, limits.dialFirstMs, limits.dialMsMax, random());
    this.#failures += 1;
    this.#redial = setTimeout(() => this.dial(), delayMs).unref();
    this.#onState({ kind: "disconnected", reason });
  }

  /** Hands slices to the kernel for as long as it takes them at once. */
  #pump(): void {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed) return;
    while (this.#writing !== undefined && socket.writableLength === 0) {
      const total = this.#writing.position;
      if (this.#writtenBytes === total) {
        this.#context.counters.framesOut += this.#writing.frames;
        this.#context.pool.give(this.#writing);
        this.#writeNext();
        continue;
      }
      const end = Math.min(total, this.#writtenBytes + SLICE_BYTES);
      this.#context.counters.bytesOut += end - this.#writtenBytes;
      this.#progressAt = this.#context.now();
      const slice = this.#writing.view(this.#writtenBytes, end);
      this.#writtenBytes = end;
      socket.write(slice, this.#onWritten);
    }
  }

  #writeNext(): void {
    this.#writing = this.#out;
    this.#writingSince = this.#outSince;
    this.#out = undefined;
    this.#writtenBytes = 0;
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (error === undefined || error === null) this.#pump();
  };

  #unsentBytes(): number {
    return this.#writing === undefined ? 0 : this.#writing.position - this.#writtenBytes;
  }

  /** Frames of a connection that has ended are not for the next one: consensus sends anew. */
  #dropQueued(): void {
    const { counters, pool } = this.#context;
    if (this.#writing !== undefined) {
      const dropped = this.#writing.framesAfter(this.#writtenBytes);
      counters.droppedTotal += dropped;
      counters.framesOut += this.#writing.frames - dropped;
    }
    // The kernel may still read what is being written: that buffer is not reused.
    this.#writing = undefined;
    if (this.#out !== undefined) {
      counters.droppedTotal += this.#out.frames;
      pool.give(this.#out);
    }
    this.#out = undefined;
    this.#writtenBytes = 0;
  }
}

/** Doubles from the first to the longest, each between half and the whole of it. */
export function dialDelayMs(
  failures: number,
  firstMs: number,
  longestMs: number,
  random: number,
): number {
  const delayMs = Math.min(longestMs, firstMs * 2 ** Math.min(failures, DOUBLINGS_MAX));
  return Math.ceil(delayMs / 2 + (delayMs / 2) * random);
}
