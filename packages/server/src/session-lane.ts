import { createServer, type Server, type Socket } from "node:net";
import { after, assert, type Instant, msBetween, NEVER } from "@cubby/base";
import {
  CubbyError,
  ERROR_CODES,
  type ErrorCode,
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  FrameDecoder,
  IN_FLIGHT_MAX,
  Reply,
  Request,
  SESSION_PREAMBLE,
} from "@cubby/protocol";
import { type Address, listenOn } from "./address.ts";
import { type Clock, monotonicNow } from "./clock.ts";
import { type FrameBuffer, FrameBufferPool } from "./frame-buffer.ts";
import {
  type ConnectionIds,
  contentsBytesOf,
  countError,
  createLaneCounters,
  KEEP_ALIVE_PROBE_MS,
  type LaneCounters,
  type LaneHandler,
  LEASE_ENDED,
  PLAIN_BYTES_MAX,
  PLAIN_TOO_LONG,
} from "./lane.ts";
import type { Log } from "./log.ts";
import { outputProgress } from "./output-progress.ts";

export type SessionLaneLimits = {
  readonly connectionsMax: number;
  /** Connections beyond the cap that are being told so; more than these are dropped unheard. */
  readonly refusingMax: number;
  /** Of one connection, gathered or not taken by the kernel; further replies wait their turn. */
  readonly outputBytesMax: number;
  /** Replies of one connection that wait so; one that asks for more and reads less is disconnected. */
  readonly waitingBytesMax: number;
  /** While so many replies of one connection wait so, nothing is read from it: each costs far more than its bytes. */
  readonly waitingRepliesMax: number;
  /** The same over all connections: the worst readers are disconnected. */
  readonly outputTotalBytesMax: number;
  /** Gathered, waiting or not taken over all connections: reads beyond are refused. */
  readonly readsTotalBytesMax: number;
  /** Unread replies of which the kernel takes nothing for so long end the connection. */
  readonly unreadMs: number;
  /** Unfinished frames over all connections. */
  readonly heldTotalBytesMax: number;
  /** Where all places are taken, one that has said nothing for so long ends: a session speaks each 35 s at the latest. */
  readonly silentMs: number;
  /** From accepting a connection to its whole preamble. */
  readonly handshakeMs: number;
  /** From the first byte of a frame to its last. */
  readonly frameMs: number;
  /** From an error reply to the end of the connection. */
  readonly lingerMs: number;
  /** How often the timeouts above are looked at; 0 leaves it to calls of `sweep`. */
  readonly sweepMs: number;
};

export const SESSION_LANE_LIMITS: SessionLaneLimits = {
  connectionsMax: 16_000,
  refusingMax: 256,
  outputBytesMax: 8 * 1024 * 1024,
  // What a session may ask for at once, which says nothing yet of how fast it reads.
  waitingBytesMax: IN_FLIGHT_MAX * FRAME_BYTES_MAX,
  waitingRepliesMax: 16_384,
  outputTotalBytesMax: 384 * 1024 * 1024,
  // More than that: whoever does not read is not to keep others from it.
  readsTotalBytesMax: 512 * 1024 * 1024,
  unreadMs: 30_000,
  heldTotalBytesMax: 256 * 1024 * 1024,
  silentMs: 45_000,
  handshakeMs: 5_000,
  frameMs: 10_000,
  lingerMs: 1_000,
  sweepMs: 500,
};

export type SessionLaneOptions = {
  readonly ids: ConnectionIds;
  readonly handler: LaneHandler;
  readonly log: Log;
  readonly limits?: Partial<SessionLaneLimits>;
  readonly now?: Clock;
};

/** A reply already encoded in the output buffer that may leave only before `validUntil`. */
type LeasedFrame = {
  readonly start: number;
  readonly end: number;
  readonly tag: number;
  readonly validUntil: Instant;
};

/** A reply that is encoded, and for which there is no room in the output yet. */
type WaitingReply = {
  readonly payload: Uint8Array;
  readonly tag: number;
  readonly validUntil: Instant;
};

type Connection = {
  readonly id: number;
  readonly socket: Socket;
  readonly decoder: FrameDecoder;
  stage: "preamble" | "open" | "closing";
  /** How much of the preamble has matched. */
  preambleBytes: number;
  /** When the sweep ends it; NEVER while it is idle, which a session may be for hours. */
  deadline: Instant;
  heardAt: Instant;
  /** Of its unfinished frame. */
  heldBytes: number;
  /** What the kernel has not taken and what waits, as the sweep last saw it. */
  unreadBytes: number;
  /** What it has taken, as the sweep last saw that change; undefined before it has looked. */
  progress: number | undefined;
  unreadSince: Instant;
  out: FrameBuffer | undefined;
  leased: LeasedFrame[];
  waiting: WaitingReply[];
  waitingBytes: number;
  /** Not read until what waits has left. */
  isPaused: boolean;
};

const PREAMBLE = Uint8Array.from(SESSION_PREAMBLE, (character) => character.charCodeAt(0));
const NOTHING_LEASED: LeasedFrame[] = [];
const NOTHING_WAITS: WaitingReply[] = [];
const TOO_MUCH_WAITS = "Too many bytes of replies wait to be read; this one was not added to them.";

/**
 * The TCP lane for clients: frames of Request in, frames of Reply out. Replies gather per connection
 * and leave in one write per turn of the event loop. No bytes and no socket error end the process:
 * what cannot be read is answered with a typed error under tag 0, and the connection is closed.
 */
export class SessionLane {
  readonly counters: LaneCounters = createLaneCounters();
  readonly #ids: ConnectionIds;
  readonly #handler: LaneHandler;
  readonly #log: Log;
  readonly #limits: SessionLaneLimits;
  readonly #now: Clock;
  readonly #server: Server;
  readonly #connections = new Map<number, Connection>();
  /** Those with a deadline. Idle connections are not in it, so that they cost the sweep nothing. */
  readonly #timed = new Set<Connection>();
  /** Those whose replies the kernel has not taken, for the sweep to watch. */
  readonly #unread = new Set<Connection>();
  readonly #refusing = new Set<Socket>();
  readonly #dirty: Connection[] = [];
  readonly #pool = new FrameBufferPool();
  /** Keeps its buffer between replies. */
  readonly #writer = Reply.encode(Reply.create());
  #flushSoon: NodeJS.Immediate | undefined;
  #sweeper: NodeJS.Timeout | undefined;
  #reading: Connection | undefined;
  #framesRead = 0;
  #bytesRead = 0;
  #heldTotalBytes = 0;
  /** What was unread at the last sweep, and all replies since. */
  #owedTotalBytes = 0;

  constructor(options: SessionLaneOptions) {
    this.#ids = options.ids;
    this.#handler = options.handler;
    this.#log = options.log;
    this.#limits = { ...SESSION_LANE_LIMITS, ...options.limits };
    this.#now = options.now ?? monotonicNow;
    this.#server = createServer({
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
    });
    this.#server.maxConnections = this.#limits.connectionsMax + this.#limits.refusingMax;
    this.#server.on("connection", (socket) => this.#onConnection(socket));
    this.#server.on("drop", () => {
      this.counters.refusedTotal += 1;
    });
  }

  async listen(address: Address): Promise<Address> {
    const bound = await listenOn(this.#server, "sessionAddress", address);
    // An accept that fails (EMFILE, ECONNABORTED) costs that connection, not the lane (P30).
    this.#server.on("error", (error) => this.#log.warn({ error }, "session lane: accept failed"));
    if (this.#limits.sweepMs > 0) {
      this.#sweeper = setInterval(() => this.sweep(), this.#limits.sweepMs).unref();
    }
    return bound;
  }

  /** How many connections may send requests now. */
  get size(): number {
    return this.#connections.size;
  }

  has(connection: number): boolean {
    return this.#connections.has(connection);
  }

  /**
   * Puts a reply into the connection's output of this turn. A connection that has gone takes no
   * reply: its client asks again elsewhere. `validUntil` is compared with the clock right before
   * the write; a reply that has outlived its lease leaves as no_quorum instead.
   */
  send(connection: number, reply: Reply, validUntil: Instant = NEVER): void {
    const to = this.#connections.get(connection);
    if (to === undefined || to.stage === "closing") return;
    const { tag, result } = reply;
    if (result?.$case === "error") countError(this.counters, result.value.code);
    const payload = Reply.encode(reply, this.#writer).finish();
    const isRead = result?.$case === "getContentsAndStat" || result?.$case === "readDir";
    if (isRead && this.#wouldBeTooMuch(to, payload)) {
      // Sessions that share a connection may together ask for more than one may owe.
      this.#put(to, this.#errorPayload(tag, "overloaded", TOO_MUCH_WAITS), 0, NEVER);
    } else {
      this.#put(to, payload, tag, validUntil);
    }
  }

  /** Ends a connection. As after `send`, its `onDisconnected` comes later, not from inside. */
  disconnect(connection: number): void {
    const at = this.#connections.get(connection);
    if (at !== undefined) this.#drop(at);
  }

  /** Writes out what this turn has gathered; happens by itself before the turn ends. */
  flush(): void {
    if (this.#flushSoon !== undefined) clearImmediate(this.#flushSoon);
    this.#flushSoon = undefined;
    for (const connection of this.#dirty) this.#write(connection);
    this.#dirty.length = 0;
  }

  /** Ends what has missed its deadline: a handshake, half a frame, a peer that does not hang up. */
  sweep(): void {
    const now = this.#now();
    for (const connection of this.#timed) {
      if (connection.deadline > now) continue;
      if (connection.stage === "closing") {
        connection.socket.destroy();
        this.#timed.delete(connection);
      } else if (connection.stage === "preamble") {
        this.#reject(connection, "handshake_failed", "No preamble came in time.");
      } else {
        this.#reject(connection, "bad_frame", "A frame began and did not end in time.");
      }
    }
    this.#sweepUnread(now);
    if (this.#connections.size >= this.#limits.connectionsMax) this.#sweepSilent(now);
  }

  /**
   * Availability: where a network forgets connections, TCP needs a quarter of an hour to find that out, and
   * the clients, which have long come back, would be refused for as long.
   */
  #sweepSilent(now: Instant): void {
    for (const connection of this.#connections.values()) {
      if (msBetween(connection.heardAt, now) < this.#limits.silentMs) continue;
      if (connection.isPaused || connection.stage === "closing") continue;
      this.counters.badTotal += 1;
      this.#drop(connection);
    }
  }

  /** Watches those that do not read: each for its time, and all together for their memory. */
  #sweepUnread(now: Instant): void {
    let totalBytes = 0;
    for (const connection of this.#unread) {
      const kernelBytes = connection.socket.writableLength;
      const unreadBytes = kernelBytes + connection.waitingBytes;
      const progress = outputProgress(connection.socket);
      totalBytes += unreadBytes;
      connection.unreadBytes = unreadBytes;
      if (kernelBytes === 0 || connection.socket.destroyed) {
        this.#clearUnread(connection);
      } else if (progress !== connection.progress) {
        connection.progress = progress;
        connection.unreadSince = now;
      } else if (msBetween(connection.unreadSince, now) >= this.#limits.unreadMs) {
        this.#dropSlow(connection);
      }
    }
    this.#owedTotalBytes = totalBytes;
    if (totalBytes <= this.#limits.outputTotalBytesMax) return;
    const worst = [...this.#unread].sort((a, b) => b.unreadBytes - a.unreadBytes);
    for (const connection of worst) {
      if (totalBytes <= this.#limits.outputTotalBytesMax) return;
      totalBytes -= connection.unreadBytes;
      this.#dropSlow(connection);
    }
  }

  /** Stops listening and ends every connection, after what is gathered has been written. */
  close(): Promise<void> {
    this.flush();
    clearInterval(this.#sweeper);
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    const ending: Socket[] = [];
    for (const connection of [...this.#connections.values()]) {
      ending.push(connection.socket);
      connection.socket.destroySoon();
      this.#forget(connection);
    }
    for (const connection of this.#timed) connection.socket.destroy();
    for (const socket of this.#refusing) socket.destroy();
    const lingering = setTimeout(() => {
      for (const socket of ending) socket.destroy();
    }, this.#limits.lingerMs);
    return closed.finally(() => clearTimeout(lingering));
  }

  #onConnection(socket: Socket): void {
    this.counters.connectionsTotal += 1;
    if (this.#connections.size >= this.#limits.connectionsMax) {
      this.#refuse(socket);
      return;
    }
    const connection: Connection = {
      id: this.#ids.next(),
      socket,
      decoder: new FrameDecoder(FRAME_BYTES_MAX),
      stage: "preamble",
      preambleBytes: 0,
      deadline: after(this.#now(), this.#limits.handshakeMs),
      heardAt: this.#now(),
      heldBytes: 0,
      unreadBytes: 0,
      progress: undefined,
      unreadSince: NEVER,
      out: undefined,
      leased: NOTHING_LEASED,
      waiting: NOTHING_WAITS,
      waitingBytes: 0,
      isPaused: false,
    };
    this.#connections.set(connection.id, connection);
    this.counters.connections = this.#connections.size;
    this.#timed.add(connection);
    socket.on("data", (chunk) => this.#onData(connection, chunk));
    socket.on("drain", () => this.#appendWaiting(connection));
    // ECONNRESET, EPIPE, ETIMEDOUT: clients die. "close" follows and does what there is to do.
    socket.on("error", (error) => this.#log.debug({ error, connection: connection.id }, "socket"));
    socket.on("close", () => this.#forget(connection));
  }

  /** At the cap: says so, then hangs up. The one that is refused gets no connection number. */
  #refuse(socket: Socket): void {
    this.counters.refusedTotal += 1;
    socket.on("error", (error) => this.#log.debug({ error }, "refused socket"));
    if (this.#refusing.size >= this.#limits.refusingMax) {
      socket.destroy();
      return;
    }
    this.#refusing.add(socket);
    const lingering = setTimeout(() => socket.destroy(), this.#limits.lingerMs).unref();
    socket.on("close", () => {
      clearTimeout(lingering);
      this.#refusing.delete(socket);
    });
    socket.resume();
    const detail = `This replica has ${this.#limits.connectionsMax} connections, its limit.`;
    const buffer = this.#pool.take();
    buffer.append(this.#errorPayload(0, "overloaded", detail));
    socket.end(buffer.view());
  }

  #onData(connection: Connection, chunk: Buffer): void {
    this.counters.bytesIn += chunk.length;
    connection.heardAt = this.#now();
    // What follows an error is read and dropped, so that the reply is not lost to a reset.
    if (connection.stage === "closing") return;
    let bytes: Uint8Array = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (connection.stage === "preamble") {
      const taken = this.#readPreamble(connection, bytes);
      if (taken === undefined) return;
      bytes = bytes.subarray(taken);
    }
    this.#readFrames(connection, bytes);
  }

  /** Bytes taken when the preamble is complete; undefined when more of it is wanted or it is wrong. */
  #readPreamble(connection: Connection, bytes: Uint8Array): number | undefined {
    let taken = 0;
    while (connection.preambleBytes < PREAMBLE.length) {
      if (taken === bytes.length) return undefined;
      if (bytes[taken] !== PREAMBLE[connection.preambleBytes]) {
        const line = SESSION_PREAMBLE.trim();
        this.#reject(connection, "handshake_failed", `A connection here begins with "${line}".`);
        return undefined;
      }
      taken += 1;
      connection.preambleBytes += 1;
    }
    connection.stage = "open";
    this.#clearDeadline(connection);
    return taken;
  }

  #readFrames(connection: Connection, bytes: Uint8Array): void {
    assert(this.#reading === undefined, "one chunk is read at a time");
    this.#reading = connection;
    this.#framesRead = 0;
    this.#bytesRead = 0;
    try {
      connection.decoder.push(bytes, this.#onPayload);
    } catch (error) {
      // The decoder's own two codes; anything else is a wrong program and goes on up.
      if (!(error instanceof CubbyError)) throw error;
      if (error.code !== "frame_too_long" && error.code !== "bad_frame") throw error;
      this.#reject(connection, error.code, error.message);
    } finally {
      this.#reading = undefined;
    }
    if (connection.stage !== "open") return;
    this.#hold(connection, connection.heldBytes + bytes.length - this.#bytesRead);
    if (connection.heldBytes === 0) {
      if (connection.deadline !== NEVER) this.#clearDeadline(connection);
    } else if (this.#heldTotalBytes > this.#limits.heldTotalBytesMax) {
      this.#reject(connection, "overloaded", "Too many unfinished frames on all connections.");
    } else if (this.#framesRead > 0 || connection.deadline === NEVER) {
      // From the first byte of the frame: one byte now and then does not buy more time.
      this.#expectRest(connection);
    }
  }

  #expectRest(connection: Connection): void {
    if (connection.isPaused) return;
    connection.deadline = after(this.#now(), this.#limits.frameMs);
    this.#timed.add(connection);
  }

  readonly #onPayload = (payload: Uint8Array): void => {
    const connection = this.#reading;
    assert(connection !== undefined, "a payload comes from a connection that is being read");
    if (connection.stage !== "open") return;
    this.#framesRead += 1;
    this.#bytesRead += FRAME_HEADER_BYTES + payload.length;
    // A request may be held for hours. A small one must not keep a whole chunk of the stream alive.
    const isSmall = payload.length <= PLAIN_BYTES_MAX;
    const request = decodeRequest(isSmall ? payload.slice() : payload);
    if (request === undefined) {
      this.#reject(connection, "bad_frame", "A frame does not hold a Request.");
      return;
    }
    const call = request.call;
    if (call === undefined) {
      // A call of a newer version: the connection is sound, the rest of it can be served.
      const detail = "This replica does not know that call.";
      this.#put(connection, this.#errorPayload(request.tag, "unsupported", detail), 0, NEVER);
      return;
    }
    if (payload.length - contentsBytesOf(call) > PLAIN_BYTES_MAX) {
      const error = this.#errorPayload(request.tag, "invalid_argument", PLAIN_TOO_LONG);
      this.#put(connection, error, 0, NEVER);
      return;
    }
    this.counters.requests[call.$case] += 1;
    this.#handler.onRequest(connection.id, request);
  };

  #wouldBeTooMuch(to: Connection, payload: Uint8Array): boolean {
    const { waitingBytesMax, readsTotalBytesMax } = this.#limits;
    if (this.#owedTotalBytes + payload.length > readsTotalBytesMax) return true;
    if (to.waitingBytes + payload.length <= waitingBytesMax) return false;
    return this.#mustWait(to, payload);
  }

  #put(to: Connection, payload: Uint8Array, tag: number, validUntil: Instant): void {
    this.#owedTotalBytes += payload.length;
    if (!this.#mustWait(to, payload)) {
      this.#append(to, payload, tag, validUntil);
      return;
    }
    if (to.waiting.length === 0) to.waiting = [];
    to.waiting.push({ payload, tag, validUntil });
    to.waitingBytes += payload.length;
    if (to.waitingBytes > this.#limits.waitingBytesMax) this.#dropSlow(to);
    else if (to.waiting.length >= this.#limits.waitingRepliesMax) this.#pause(to);
  }

  /** Memory: who asks on and does not read is not heard either, until it has read or its time is over. */
  #pause(connection: Connection): void {
    if (connection.isPaused || connection.stage !== "open") return;
    connection.isPaused = true;
    connection.socket.pause();
    // What we do not read is not late.
    this.#clearDeadline(connection);
  }

  #resume(connection: Connection): void {
    if (!connection.isPaused) return;
    connection.isPaused = false;
    connection.socket.resume();
    if (connection.heldBytes > 0) this.#expectRest(connection);
  }

  #mustWait(to: Connection, payload: Uint8Array): boolean {
    return to.waiting.length > 0 || !this.#hasRoom(to, payload);
  }

  /** One reply has room however long it is, where nothing is before it. */
  #hasRoom({ out, socket }: Connection, payload: Uint8Array): boolean {
    const owed = (out?.position ?? 0) + socket.writableLength;
    return owed === 0 || owed + payload.length <= this.#limits.outputBytesMax;
  }

  /** What waited, once the kernel has taken what was before it. */
  #appendWaiting(connection: Connection): void {
    const { waiting } = connection;
    if (connection.stage === "closing" || waiting.length === 0) return;
    const now = this.#now();
    let taken = 0;
    for (const { payload, tag, validUntil } of waiting) {
      if (!this.#hasRoom(connection, payload)) break;
      taken += 1;
      connection.waitingBytes -= payload.length;
      // Sealed for nothing, it would cost as much as one that leaves.
      if (validUntil > now) this.#append(connection, payload, tag, validUntil);
      else this.#append(connection, this.#errorPayload(tag, "no_quorum", LEASE_ENDED), 0, NEVER);
    }
    waiting.splice(0, taken);
    if (waiting.length === 0) this.#resume(connection);
  }

  #append(to: Connection, payload: Uint8Array, tag: number, validUntil: Instant): void {
    let out = to.out;
    if (out === undefined) {
      out = this.#pool.take();
      to.out = out;
      this.#dirty.push(to);
      this.#flushSoon ??= setImmediate(() => this.flush());
    }
    const start = out.position;
    out.append(payload);
    if (validUntil !== NEVER) {
      if (to.leased.length === 0) to.leased = [];
      to.leased.push({ start, end: out.position, tag, validUntil });
    }
  }

  #write(connection: Connection): void {
    let out = connection.out;
    if (out === undefined) return;
    connection.out = undefined;
    if (connection.leased.length > 0) out = this.#withdrawStale(connection, out);
    if (connection.socket.destroyed || !connection.socket.writable) {
      this.#pool.give(out);
      return;
    }
    this.counters.bytesOut += out.position;
    this.#pool.write(connection.socket, out);
    if (connection.socket.writableLength > 0) this.#unread.add(connection);
    // Less was written than was gathered, if replies were withdrawn: no "drain" comes of that.
    if (!connection.socket.writableNeedDrain) this.#appendWaiting(connection);
  }

  /**
   * Safety: a reply that rests on the master lease must not leave once the lease is over, and this
   * is the last place before the write. Only reads and KeepAlives rest on it, so that not-applied
   * is the truth about them.
   */
  #withdrawStale(connection: Connection, out: FrameBuffer): FrameBuffer {
    const leased = connection.leased;
    connection.leased = NOTHING_LEASED;
    const now = this.#now();
    if (leased.every((frame) => frame.validUntil > now)) return out;
    const kept = this.#pool.take();
    let copied = 0;
    for (const frame of leased) {
      if (frame.validUntil > now) continue;
      kept.appendRaw(out.view(copied, frame.start));
      kept.append(this.#errorPayload(frame.tag, "no_quorum", LEASE_ENDED));
      copied = frame.end;
    }
    kept.appendRaw(out.view(copied));
    this.#pool.give(out);
    return kept;
  }

  /** Answers under tag 0, forgets the connection, and hangs up once the peer has read or a while is over. */
  #reject(connection: Connection, code: ErrorCode, detail: string): void {
    this.counters.badTotal += 1;
    this.#log.info({ connection: connection.id, code, detail }, "session lane: closing");
    this.#append(connection, this.#errorPayload(0, code, detail), 0, NEVER);
    this.#write(connection);
    this.#forget(connection);
    if (connection.socket.destroyed) return;
    connection.socket.end();
    connection.deadline = after(this.#now(), this.#limits.lingerMs);
    this.#timed.add(connection);
  }

  #errorPayload(tag: number, code: ErrorCode, detail: string): Uint8Array {
    countError(this.counters, ERROR_CODES[code].id);
    const value = { code: ERROR_CODES[code].id, detail, masterId: 0, masterAddress: "" };
    const reply: Reply = { tag, clientEpoch: 0, result: { $case: "error", value } };
    return Reply.encode(reply, this.#writer).finish();
  }

  #dropSlow(connection: Connection): void {
    this.counters.slowTotal += 1;
    this.#log.warn(
      { connection: connection.id },
      "session lane: a client does not read its replies",
    );
    this.#clearUnread(connection);
    this.#drop(connection);
  }

  #clearUnread(connection: Connection): void {
    this.#unread.delete(connection);
    connection.unreadBytes = 0;
    connection.progress = undefined;
    connection.unreadSince = NEVER;
  }

  #hold(connection: Connection, heldBytes: number): void {
    this.#heldTotalBytes += heldBytes - connection.heldBytes;
    connection.heldBytes = heldBytes;
  }

  #clearDeadline(connection: Connection): void {
    connection.deadline = NEVER;
    this.#timed.delete(connection);
  }

  /** Cuts a connection off. The socket's "close" follows in a turn of its own, and tells the handler. */
  #drop(connection: Connection): void {
    connection.stage = "closing";
    this.#discardOutput(connection);
    connection.socket.destroy();
  }

  #discardOutput(connection: Connection): void {
    if (connection.out !== undefined) this.#pool.give(connection.out);
    connection.out = undefined;
    connection.leased = NOTHING_LEASED;
    connection.waiting = NOTHING_WAITS;
    connection.waitingBytes = 0;
  }

  /** The connection sends and gets nothing more. Tells the handler the first time. */
  #forget(connection: Connection): void {
    connection.stage = "closing";
    this.#hold(connection, 0);
    this.#unread.delete(connection);
    this.#timed.delete(connection);
    // What follows an error is read and dropped.
    if (connection.isPaused) connection.socket.resume();
    if (!this.#connections.delete(connection.id)) return;
    this.counters.connections = this.#connections.size;
    this.#discardOutput(connection);
    this.#handler.onDisconnected(connection.id);
  }
}

function decodeRequest(payload: Uint8Array): Request | undefined {
  try {
    return Request.decode(payload);
  } catch {
    // The generated decoder throws plain errors of many texts; they all say: these are not our bytes.
    return undefined;
  }
}
