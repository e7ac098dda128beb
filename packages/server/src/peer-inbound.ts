import type { Socket } from "node:net";
import { after, DecodeError, type Instant, NEVER } from "@cubby/base";
import { CubbyError, encodeFrame, FrameDecoder, PEER_PREAMBLE } from "@cubby/protocol";
import type { PeerHello } from "./peer-hello.ts";
import { decodeHello, encodeHello, HELLO_BYTES_MAX, PEER_PROTOCOL_VERSION } from "./peer-hello.ts";
import type { PeerLaneContext } from "./peer-lane.ts";

const PREAMBLE = Uint8Array.from(PEER_PREAMBLE, (character) => character.charCodeAt(0));

export type InboundHandler = {
  /** Why this hello is refused, or undefined. */
  check(hello: PeerHello & { kind: "hello" }): string | undefined;
  onHello(): void;
  onFrame(from: number, incarnation: string, bytes: Uint8Array): void;
  onClosed(): void;
};

/** A connection that a peer dialed: it speaks, we listen. */
export class InboundLink {
  readonly #context: PeerLaneContext;
  readonly #socket: Socket;
  readonly #handler: InboundHandler;
  #stage: "preamble" | "hello" | "open" | "closed" = "preamble";
  #preambleBytes = 0;
  #decoder = new FrameDecoder(HELLO_BYTES_MAX);
  #deadline: Instant;
  #framesRead = 0;
  #replicaId = 0;
  #incarnation = "";
  /** Read from the socket, as `spoke` last saw it. */
  #seenBytes = 0;

  constructor(context: PeerLaneContext, socket: Socket, handler: InboundHandler) {
    this.#context = context;
    this.#socket = socket;
    this.#handler = handler;
    this.#deadline = after(context.now(), context.limits.handshakeMs);
    socket.on("data", (chunk) => this.#onData(chunk));
    // ECONNRESET and the like: replicas die. "close" follows and does what there is to do.
    socket.on("error", (error) => context.log.debug({ error, peer: this.#replicaId }, "peer"));
    socket.on("close", () => {
      this.#stage = "closed";
      handler.onClosed();
    });
  }

  /** 0 until its hello has been taken. */
  get replicaId(): number {
    return this.#replicaId;
  }

  /** True if anything came since the last look, after the hello. */
  spoke(): boolean {
    const { bytesRead } = this.#socket;
    const isMore = this.#stage === "open" && bytesRead > this.#seenBytes;
    this.#seenBytes = bytesRead;
    return isMore;
  }

  sweep(now: Instant): void {
    if (this.#deadline > now) return;
    if (this.#stage === "closed") {
      this.#socket.destroy();
      return;
    }
    this.close(
      this.#stage === "open" ? "A frame began and did not end in time." : "No hello came in time.",
    );
  }

  /** Also of a connection that was refused: whoever was is free not to hang up. */
  close(reason: string): void {
    if (this.#stage !== "closed") {
      this.#context.log.debug({ peer: this.#replicaId, reason }, "peer lane: closing");
    }
    this.#stage = "closed";
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#context.counters.bytesIn += chunk.length;
    let bytes: Uint8Array = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (this.#stage === "preamble") {
      const taken = this.#readPreamble(bytes);
      if (taken === undefined) return;
      bytes = bytes.subarray(taken);
    }
    if (this.#stage === "closed") return;
    try {
      this.#readFrames(bytes);
    } catch (error) {
      // The decoder's own two codes; anything else is a wrong program and goes on up.
      if (!(error instanceof CubbyError)) throw error;
      if (error.code !== "frame_too_long" && error.code !== "bad_frame") throw error;
      this.#refuse(error.message);
    }
  }

  #readPreamble(bytes: Uint8Array): number | undefined {
    let taken = 0;
    while (this.#preambleBytes < PREAMBLE.length) {
      if (taken === bytes.length) return undefined;
      if (bytes[taken] !== PREAMBLE[this.#preambleBytes]) {
        this.#refuse(`A connection here begins with "${PEER_PREAMBLE.trim()}".`);
        return undefined;
      }
      taken += 1;
      this.#preambleBytes += 1;
    }
    this.#stage = "hello";
    return taken;
  }

  #readFrames(bytes: Uint8Array): void {
    const decoder = this.#decoder;
    this.#framesRead = 0;
    decoder.push(bytes, this.#onPayload);
    if (this.#stage !== "open") return;
    if (decoder !== this.#decoder && decoder.partial) {
      this.#refuse("It spoke before its hello was answered.");
    } else if (!this.#decoder.partial) {
      this.#deadline = NEVER;
    } else if (this.#framesRead > 0 || this.#deadline === NEVER) {
      this.#deadline = after(this.#context.now(), this.#context.limits.frameMs);
    }
  }

  readonly #onPayload = (payload: Uint8Array): void => {
    if (this.#stage === "closed") return;
    this.#framesRead += 1;
    if (this.#stage === "hello") {
      this.#onHello(readHello(payload));
      return;
    }
    this.#context.counters.framesIn += 1;
    this.#handler.onFrame(this.#replicaId, this.#incarnation, payload);
  };

  #onHello(hello: PeerHello): void {
    if (hello.kind === "refused") {
      this.#refuse(hello.reason);
      return;
    }
    const problem = this.#handler.check(hello);
    if (problem !== undefined) {
      this.#refuse(problem);
      return;
    }
    this.#stage = "open";
    this.#replicaId = hello.replicaId;
    this.#seenBytes = this.#socket.bytesRead;
    this.#incarnation = hello.incarnation;
    // The dialer sends nothing before our answer, so that no frame is left in the hello's decoder.
    this.#decoder = new FrameDecoder(this.#context.limits.frameBytesMax);
    this.#deadline = NEVER;
    const answer: PeerHello = {
      ...this.#context.self,
      kind: "hello",
      version: PEER_PROTOCOL_VERSION,
    };
    this.#socket.write(encodeFrame(encodeHello(answer)));
    this.#handler.onHello();
  }

  /** Says why, to the other side and to the operator, and hangs up. */
  #refuse(reason: string): void {
    this.#context.counters.refusedTotal += 1;
    const from = this.#socket.remoteAddress ?? "";
    this.#context.log.warn(
      { from, peer: this.#replicaId, reason },
      "peer lane: connection refused",
    );
    this.#stage = "closed";
    this.#deadline = after(this.#context.now(), this.#context.limits.handshakeMs);
    this.#socket.end(encodeFrame(encodeHello({ kind: "refused", reason })));
  }
}

/** The hello of these bytes, or what is wrong with them. */
export function readHello(bytes: Uint8Array): PeerHello {
  try {
    return decodeHello(bytes);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { kind: "refused", reason: `A hello that cannot be read: ${error.message}.` };
  }
}
