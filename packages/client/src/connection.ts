import { connect as connectSocket, type Socket } from "node:net";
import {
  CubbyError,
  type ErrorCode,
  errorCodeOf,
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  FrameDecoder,
  Reply,
  Request,
  SESSION_PREAMBLE,
  sealFrame,
} from "@cubby/protocol";
import { ATTEMPT_MS_FIRST } from "./connect-attempts.ts";
import { splitEndpoint } from "./core/cell-address.ts";
import { detailOf } from "./pending-call.ts";
import { describePlatformError } from "./platform-errors.ts";

/** How long what was sent may take to leave after the connection was closed. */
const LINGER_MS = 2_000;

/** What a connection tells its transport. After `onClosed` it says nothing more. */
export interface ConnectionListener {
  /** The host's name has been looked up, perhaps in vain. */
  onLookedUp(id: number): void;
  onConnected(id: number): void;
  /** A chunk came that ends no reply. */
  onHeard(id: number): void;
  /** All replies of one chunk, in order. */
  onReplies(id: number, replies: readonly Reply[]): void;
  onClosed(id: number, code: ErrorCode, detail: string): void;
}

/** One TCP connection to one replica: frames out, replies in, and no decisions. */
export class Connection {
  readonly address: string;
  hasConnected = false;
  readonly #id: number;
  readonly #listener: ConnectionListener;
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder(FRAME_BYTES_MAX);
  #outbox: Uint8Array[] = [];
  #outboxBytes = 0;
  #hasReplied = false;
  #isOver = false;

  /** `attemptMs`: how long each but the last of several addresses of a name is tried. */
  constructor(
    id: number,
    address: string,
    listener: ConnectionListener,
    attemptMs = ATTEMPT_MS_FIRST,
  ) {
    this.#id = id;
    this.address = address;
    this.#listener = listener;
    this.#socket = connectSocket({
      ...splitEndpoint(address),
      noDelay: true,
      autoSelectFamilyAttemptTimeout: attemptMs,
    });
    this.#socket.once("lookup", () => this.#onLookedUp());
    this.#socket.on("connect", () => this.#onConnect());
    this.#socket.on("data", (chunk) => this.#onData(chunk));
    this.#socket.on("error", (error) => this.#onError(error));
    this.#socket.on("close", () => this.#finish("connection_lost", "the connection was closed"));
    this.#socket.write(SESSION_PREAMBLE);
  }

  /** Leaves with `flush`. */
  send(request: Request): void {
    const payload = Request.encode(request).finish();
    this.#outbox.push(payload);
    this.#outboxBytes += FRAME_HEADER_BYTES + payload.length;
  }

  /** One write for everything that was sent in this turn of the event loop. */
  flush(): void {
    if (this.#outbox.length === 0 || this.#isOver) return;
    const bytes = new Uint8Array(this.#outboxBytes);
    let at = 0;
    for (const payload of this.#outbox) {
      bytes.set(payload, at + FRAME_HEADER_BYTES);
      sealFrame(bytes, at, payload.length);
      at += FRAME_HEADER_BYTES + payload.length;
    }
    this.#outbox = [];
    this.#outboxBytes = 0;
    this.#socket.write(bytes);
  }

  /** Says nothing to the listener any more. What has been flushed is still delivered if it can be. */
  close(): void {
    this.#isOver = true;
    this.#outbox = [];
    if (this.#socket.connecting) {
      // Where nobody answers, connecting takes minutes, in which the process could not end.
      this.#socket.destroy();
      return;
    }
    this.#socket.destroySoon();
    if (this.#socket.writableLength === 0) return;
    // A replica that stands still may never read the rest, and the process could not end.
    const lingering = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    this.#socket.once("close", () => clearTimeout(lingering));
  }

  #onLookedUp(): void {
    if (!this.#isOver) this.#listener.onLookedUp(this.#id);
  }

  #onConnect(): void {
    this.hasConnected = true;
    if (!this.#isOver) this.#listener.onConnected(this.#id);
  }

  #onData(chunk: Uint8Array): void {
    if (this.#isOver) return;
    const replies: Reply[] = [];
    let problem: unknown;
    try {
      this.#decoder.push(chunk, (payload) => replies.push(Reply.decode(payload)));
    } catch (error) {
      problem = error;
    }
    if (replies.length > 0) {
      this.#hasReplied = true;
      this.#listener.onReplies(this.#id, replies);
    } else this.#listener.onHeard(this.#id);
    const refusal = refusalIn(replies);
    if (refusal !== undefined) this.#finish(refusal.code, refusal.detail);
    if (problem === undefined) return;
    const { code, detail } = describeBadBytes(problem);
    // Read as a frame the text of another protocol has a length, which says nothing to anybody.
    const other = "it does not answer as a replica's sessionAddress does; it may be its HTTP port";
    this.#finish(code, this.#hasReplied ? detail : other);
  }

  #onError(error: Error): void {
    const { code, detail } = describePlatformError(error);
    this.#finish(code, detail);
  }

  #finish(code: ErrorCode, detail: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#outbox = [];
    this.#socket.destroy();
    this.#listener.onClosed(this.#id, code, detail);
  }
}

/** Under tag 0 a replica says why it ends the connection, which it may hold open for a while yet. */
function refusalIn(replies: readonly Reply[]): { code: ErrorCode; detail: string } | undefined {
  for (const { tag, result } of replies) {
    if (tag !== 0 || result?.$case !== "error") continue;
    return { code: errorCodeOf(result.value.code), detail: result.value.detail };
  }
  return undefined;
}

/** Bytes that are no reply of ours: whoever listens there does not speak the session lane. */
function describeBadBytes(error: unknown): { code: ErrorCode; detail: string } {
  if (error instanceof CubbyError) return { code: error.code, detail: detailOf(error) };
  const what = error instanceof Error ? error.message : String(error);
  return { code: "bad_frame", detail: `a frame holds no reply (${what})` };
}
