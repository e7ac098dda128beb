import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { assert, EMPTY_BYTES, type Instant, NEVER } from "@cubby/base";
import { CubbyError, ERROR_CODES, FRAME_BYTES_MAX, quoted, type Reply } from "@cubby/protocol";
import { type Address, isLoopback, listenOn } from "./address.ts";
import { type Clock, monotonicNow } from "./clock.ts";
import type { Health } from "./health.ts";
import { bodyOfReply, callOfPath, errorBody, requestOfBody } from "./http-calls.ts";
import { HttpConnections } from "./http-connections.ts";
import {
  type CallName,
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
import { platformCode } from "./platform-errors.ts";

/** What the lane serves beside the calls. */
export type HttpPages = {
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** The process can do its work: the event loop turns and the disk answers. */
  live(): Health;
  /** The replica can serve: another is known as master, or it is the master and its lease is live. */
  ready(): Health;
};

export type HttpLaneLimits = {
  /** Of these an eighth, and at least one, is kept from calls, which may be held for hours. */
  readonly connectionsMax: number;
  readonly bodyBytesMax: number;
  /** Of the bodies that have not come to their end, over all connections. */
  readonly bodyTotalBytesMax: number;
  readonly headerBytesMax: number;
  readonly headersMs: number;
  /** From the first byte of a request to its last. A held call is not bound by it. */
  readonly requestMs: number;
  /** An answer of which its client reads nothing for so long ends the connection. */
  readonly unreadMs: number;
  /** From the answer to what was no request, or not all of one, to the end of its connection. */
  readonly lingerMs: number;
  readonly idleMs: number;
  readonly sweepMs: number;
};

export const HTTP_LANE_LIMITS: HttpLaneLimits = {
  connectionsMax: 1_024,
  bodyBytesMax: FRAME_BYTES_MAX,
  bodyTotalBytesMax: 64 * 1024 * 1024,
  headerBytesMax: 16 * 1024,
  headersMs: 5_000,
  requestMs: 10_000,
  unreadMs: 30_000,
  lingerMs: 1_000,
  idleMs: 5_000,
  sweepMs: 1_000,
};

export type HttpLaneOptions = {
  readonly ids: ConnectionIds;
  readonly handler: LaneHandler;
  readonly pages: HttpPages;
  readonly log: Log;
  readonly limits?: Partial<HttpLaneLimits>;
  readonly now?: Clock;
};

/** A request under way. To the core it is a connection of its own that carries one call. */
type HeldCall = {
  readonly socket: Socket;
  readonly response: ServerResponse;
  /** An Acquire that may be held for as long as others hold the lock. */
  readonly isClaim: boolean;
};

/** Connections beyond the cap for which another one is being ended. */
const OVER_MAX = 16;

const TAG = 1;
const JSON_TYPE = "application/json; charset=utf-8";

/**
 * The HTTP lane: every call of the schema as POST /v1/<Call>, and the pages for operators. Each call
 * is a virtual connection out of the same numbers as the session lane's, which ends with the reply
 * or with the client.
 */
export class HttpLane {
  readonly counters: LaneCounters = createLaneCounters();
  readonly #ids: ConnectionIds;
  readonly #handler: LaneHandler;
  readonly #pages: HttpPages;
  readonly #log: Log;
  readonly #limits: HttpLaneLimits;
  /** Calls that have not been answered: the pages find a connection whatever is held. */
  readonly #callsMax: number;
  readonly #now: Clock;
  readonly #server: Server;
  readonly #calls = new Map<number, HeldCall>();
  #claims = 0;
  readonly #connections: HttpConnections;
  #sweeper: NodeJS.Timeout | undefined;
  #bodyBytes = 0;
  #loopbackOnly = true;

  constructor(options: HttpLaneOptions) {
    this.#ids = options.ids;
    this.#handler = options.handler;
    this.#pages = options.pages;
    this.#log = options.log;
    this.#limits = { ...HTTP_LANE_LIMITS, ...options.limits };
    this.#now = options.now ?? monotonicNow;
    const { connectionsMax } = this.#limits;
    this.#callsMax = connectionsMax - Math.max(1, Math.floor(connectionsMax / 8));
    const { unreadMs, idleMs, headersMs } = this.#limits;
    this.#connections = new HttpConnections({ unreadMs, idleMs: idleMs + headersMs }, this.#now);
    this.#server = createServer({
      maxHeaderSize: this.#limits.headerBytesMax,
      headersTimeout: this.#limits.headersMs,
      requestTimeout: this.#limits.requestMs,
      keepAliveTimeout: this.#limits.idleMs,
      connectionsCheckingInterval: this.#limits.sweepMs,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
    });
    this.#server.maxConnections = connectionsMax + OVER_MAX;
    this.#server.on("request", (request, response) => this.#onRequest(request, response));
    this.#server.on("clientError", (error, socket) => this.#onClientError(error, socket));
    this.#server.on("connection", (socket) => this.#onConnection(socket));
    this.#server.on("drop", () => {
      this.counters.refusedTotal += 1;
    });
  }

  async listen(address: Address): Promise<Address> {
    this.#loopbackOnly = isLoopback(address.host);
    const bound = await listenOn(this.#server, "httpAddress", address);
    // An accept that fails (EMFILE, ECONNABORTED) costs that connection, not the lane (P30).
    this.#server.on("error", (error) => this.#log.warn({ error }, "HTTP lane: accept failed"));
    this.#sweeper = setInterval(() => this.sweep(), this.#limits.sweepMs).unref();
    return bound;
  }

  /** Ends connections that are idle or do not read for too long. */
  sweep(): void {
    this.counters.slowTotal += this.#connections.sweep();
  }

  /** True while the call is unanswered and its client is there. */
  has(connection: number): boolean {
    return this.#calls.has(connection);
  }

  /** Answers a call. As in the session lane, a reply that has outlived its lease does not leave. */
  send(connection: number, reply: Reply, validUntil: Instant = NEVER): void {
    const call = this.#calls.get(connection);
    if (call === undefined || call.response.headersSent) return;
    if (reply.result?.$case === "error") countError(this.counters, reply.result.value.code);
    const { status, body } = bodyOfReply(reply);
    if (this.#now() < validUntil) {
      this.#answer(call.response, status, body);
    } else {
      this.#answerError(call.response, new CubbyError("no_quorum", LEASE_ENDED));
    }
  }

  /** Ends a call whose client should ask elsewhere. `onDisconnected` comes later. */
  disconnect(connection: number): void {
    this.#calls.get(connection)?.socket.destroy();
  }

  close(): Promise<void> {
    clearInterval(this.#sweeper);
    if (!this.#server.listening) return Promise.resolve();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #onConnection(socket: Socket): void {
    this.counters.connectionsTotal += 1;
    // Availability: idle ones are kept for their clients' convenience, and whoever asks whether this
    // replica lives may have it restarted where he is not let in.
    const isFull = this.counters.connections >= this.#limits.connectionsMax;
    if (isFull && !this.#connections.endIdlest()) {
      this.counters.refusedTotal += 1;
      socket.on("error", (error) => this.#log.debug({ error }, "refused HTTP socket"));
      socket.destroy();
      return;
    }
    this.counters.connections += 1;
    this.#connections.add(socket);
    socket.on("close", () => {
      this.counters.connections -= 1;
      this.counters.bytesIn += socket.bytesRead;
      this.counters.bytesOut += socket.bytesWritten;
    });
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    // Errors of a request end as "close" or in `clientError`.
    request.on("error", (error) => this.#log.debug({ error }, "HTTP request"));
    response.on("error", (error) => this.#log.debug({ error }, "HTTP response"));
    if (!this.#takesTurn(request, response)) return;
    const problem = this.#originProblem(request);
    if (problem !== undefined) {
      this.#reject(request, response, new CubbyError("permission_denied", problem));
      return;
    }
    const path = (request.url ?? "").split("?", 1)[0] ?? "";
    const call = callOfPath(path);
    if (call !== undefined) {
      this.#onCall(call, request, response);
    } else if (request.method === "GET" || request.method === "HEAD") {
      this.#onPage(path, request, response);
    } else {
      this.#reject(request, response, new CubbyError("not_found", `No call ${quoted(path)}.`));
    }
  }

  /**
   * One request at a time: the answers to those behind a held call would pile up here, and be bound
   * by no time. No client in use sends so; one that does may ask once too often, not without end.
   */
  #takesTurn(request: IncomingMessage, response: ServerResponse): boolean {
    const { socket } = request;
    const before = this.#connections.onRequest(socket, response);
    if (before === 0) return true;
    if (before === 1) {
      response.setHeader("Connection", "close");
      const detail = "Send one request at a time on a connection, or use several.";
      this.#reject(request, response, new CubbyError("overloaded", detail));
    } else {
      socket.destroy();
    }
    return false;
  }

  /**
   * A page of another site must not drive this replica through the user's browser, neither by a
   * name that it points at 127.0.0.1 (DNS rebinding), nor by a request of its own (CSRF).
   */
  #originProblem(request: IncomingMessage): string | undefined {
    const { host, origin } = request.headers;
    // Every browser names one; what asks in HTTP/1.0, as load balancers do, need not.
    if (this.#loopbackOnly && host !== undefined && !isLoopbackHost(host)) {
      return `The Host ${quoted(host)} is not a loopback address, and this replica serves no other.`;
    }
    if (origin === undefined) return undefined;
    if (host !== undefined && origin === `http://${host}`) return undefined;
    return `Pages of ${quoted(origin)} may not call this replica.`;
  }

  #onCall(name: CallName, request: IncomingMessage, response: ServerResponse): void {
    const problem = this.#callProblem(name, request);
    if (problem !== undefined) {
      this.#reject(request, response, problem);
      return;
    }
    if (this.#isCallTooMany(response)) return;
    // Copied together: chunks kept one by one, of a byte each, would cost hundreds of times as much.
    let held: Uint8Array = EMPTY_BYTES;
    let heldBytes = 0;
    const letGo = (): void => {
      this.#bodyBytes -= heldBytes;
      heldBytes = 0;
      held = EMPTY_BYTES;
    };
    request.on("data", (chunk: Uint8Array) => {
      if (response.headersSent) return;
      const start = heldBytes;
      heldBytes += chunk.length;
      this.#bodyBytes += chunk.length;
      const excess = this.#bodyExcess(heldBytes);
      if (excess !== undefined) {
        letGo();
        this.#reject(request, response, excess);
        return;
      }
      if (heldBytes > held.length) {
        const grown = new Uint8Array(Math.max(heldBytes, 2 * held.length));
        grown.set(held.subarray(0, start));
        held = grown;
      }
      held.set(chunk, start);
    });
    request.on("end", () => {
      const body = held.subarray(0, heldBytes);
      letGo();
      if (response.headersSent || request.socket.destroyed) return;
      this.#onBody(name, request.socket, response, body);
    });
    request.on("close", letGo);
  }

  #bodyExcess(heldBytes: number): CubbyError | undefined {
    if (heldBytes > this.#limits.bodyBytesMax) return this.#tooLong();
    if (this.#bodyBytes <= this.#limits.bodyTotalBytesMax) return undefined;
    return new CubbyError("overloaded", "Too many bodies are under way here.");
  }

  /** What can be refused before a byte of the body is read. */
  #callProblem(name: CallName, request: IncomingMessage): CubbyError | undefined {
    if (request.method !== "POST") {
      return new CubbyError("invalid_argument", `Use POST for ${name}, not ${request.method}.`);
    }
    const type = request.headers["content-type"];
    const declared = Number(request.headers["content-length"] ?? "0");
    if (declared > this.#limits.bodyBytesMax) return this.#tooLong();
    if (type === undefined ? hasBody(request) : !/^application\/json\s*(;|$)/i.test(type)) {
      return new CubbyError(
        "invalid_argument",
        `Send the body as "Content-Type: application/json", not ${quoted(type ?? "nothing")}.`,
      );
    }
    const encoding = request.headers["content-encoding"] ?? "identity";
    if (encoding !== "identity") {
      return new CubbyError("invalid_argument", `Send the body plain, not as ${quoted(encoding)}.`);
    }
    return undefined;
  }

  /** Refuses a call above the cap, and its connection with it. */
  #isCallTooMany(response: ServerResponse): boolean {
    if (this.#calls.size < this.#callsMax) return false;
    this.#refuse(response, `${this.#calls.size} calls wait here, the limit.`);
    return true;
  }

  #refuse(response: ServerResponse, detail: string): void {
    this.counters.refusedTotal += 1;
    response.setHeader("Connection", "close");
    this.#answerError(response, new CubbyError("overloaded", detail));
  }

  #onBody(name: CallName, socket: Socket, response: ServerResponse, body: Uint8Array): void {
    // Again: others may have come while the body did.
    if (this.#isCallTooMany(response)) return;
    const request = this.#parse(name, response, body);
    if (request === undefined) return;
    const isClaim = request.call?.$case === "acquire" && request.call.value.wait;
    // Or there would be no place for the Release that they wait for.
    if (isClaim && this.#claims >= this.#callsMax / 2) {
      this.#refuse(response, `${this.#claims} Acquires wait here, the limit.`);
      return;
    }
    if (isClaim) this.#claims += 1;
    const id = this.#ids.next();
    this.#calls.set(id, { socket, response, isClaim });
    response.on("close", () => this.#finish(id));
    this.counters.requests[name] += 1;
    this.#handler.onRequest(id, request);
  }

  #parse(name: CallName, response: ServerResponse, body: Uint8Array) {
    try {
      const request = requestOfBody(name, body, TAG);
      const base64Bytes = 4 * Math.ceil(contentsBytesOf(request.call) / 3);
      const plainBytes = body.length - base64Bytes;
      if (plainBytes > PLAIN_BYTES_MAX) throw new CubbyError("invalid_argument", PLAIN_TOO_LONG);
      return request;
    } catch (error) {
      if (!(error instanceof CubbyError)) throw error;
      this.#answerError(response, error);
      return undefined;
    }
  }

  /** The virtual connection is over, by its reply or because the client left. */
  #finish(id: number): void {
    const call = this.#calls.get(id);
    if (call === undefined) return;
    this.#calls.delete(id);
    if (call.isClaim) this.#claims -= 1;
    this.#handler.onDisconnected(id);
  }

  #onPage(path: string, request: IncomingMessage, response: ServerResponse): void {
    switch (path) {
      case "/livez":
        this.#answerHealth(response, this.#pages.live());
        return;
      case "/readyz":
        this.#answerHealth(response, this.#pages.ready());
        return;
      case "/metrics":
        this.#onMetrics(response);
        return;
      default:
        this.#reject(request, response, new CubbyError("not_found", `No page ${quoted(path)}.`));
    }
  }

  #onMetrics(response: ServerResponse): void {
    this.#pages.metrics().then(
      ({ contentType, text }) => this.#answer(response, 200, text, contentType),
      (error: unknown) => {
        this.#log.error({ error }, "HTTP lane: metrics failed");
        this.#answerError(response, new CubbyError("internal", "The metrics failed."));
      },
    );
  }

  #answerHealth(response: ServerResponse, health: Health): void {
    this.#answer(response, health.ok ? 200 : 503, JSON.stringify(health));
  }

  /** Refuses a request whose body may not have been read: the connection ends with the answer. */
  #reject(request: IncomingMessage, response: ServerResponse, error: CubbyError): void {
    if (!request.complete && hasBody(request)) response.setHeader("Connection", "close");
    if (response.hasHeader("Connection")) this.counters.badTotal += 1;
    this.#answerError(response, error);
  }

  #tooLong(): CubbyError {
    const detail = `A body here is at most ${this.#limits.bodyBytesMax} bytes.`;
    return new CubbyError("frame_too_long", detail, { outcome: "not-applied" });
  }

  #answerError(response: ServerResponse, error: CubbyError): void {
    countError(this.counters, ERROR_CODES[error.code].id);
    const { status, body } = errorBody(error);
    this.#answer(response, status, body);
  }

  #answer(response: ServerResponse, status: number, body: string, type = JSON_TYPE): void {
    assert(!response.headersSent, "a request is answered once");
    this.#connections.onAnswer(response);
    response.writeHead(status, {
      "Content-Type": type,
      "Content-Length": Buffer.byteLength(body),
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
    });
    if (response.req.complete || !response.hasHeader("Connection")) response.end(body);
    else this.#endAfterRequest(response, body);
  }

  /** The rest of the request is read and dropped for a while: a reset would take the answer along. */
  #endAfterRequest(response: ServerResponse, body: string): void {
    response.write(body);
    const { req } = response;
    const lingering = setTimeout(() => response.end(), this.#limits.lingerMs).unref();
    req.on("close", () => {
      clearTimeout(lingering);
      response.end();
    });
    req.resume();
  }

  /** Bytes that are not HTTP, headers too long or too late: answered by hand, then hung up. */
  #onClientError(error: Error, socket: Duplex): void {
    const code = platformCode(error);
    // Else it is the socket's own: a client may reset after a good answer, or its machine die.
    const isOfRequest = code.startsWith("HPE_") || code === "ERR_HTTP_REQUEST_TIMEOUT";
    if (isOfRequest) this.counters.badTotal += 1;
    if (!isOfRequest || !socket.writable) {
      socket.destroy();
      return;
    }
    const [status, detail] = clientErrorStatus(code);
    // Also of a call that waits: its client may take these for the answer to it.
    const isCarryingOut = [...this.#calls.values()].some((call) => call.socket === socket);
    const outcome = isCarryingOut ? "unknown" : "not-applied";
    const { body } = errorBody(new CubbyError("invalid_argument", detail, { outcome }));
    const head = [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
      `Content-Type: ${JSON_TYPE}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      "Connection: close",
    ];
    socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
    // The server's sockets allow half-open connections: a client that does not hang up would stay.
    setTimeout(() => socket.destroy(), this.#limits.lingerMs).unref();
  }
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function clientErrorStatus(code: string): [number, string] {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return [431, "The headers are too long."];
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return [408, "The request did not come to its end in time."];
    default:
      return [400, "These bytes are not an HTTP request."];
  }
}

/** The Host header, with any port, as a browser or `curl` on this machine sends it. */
function isLoopbackHost(host: string): boolean {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]+))(?::\d{1,5})?$/.exec(host);
  const name = match?.[1] ?? match?.[2];
  return name !== undefined && isLoopback(name.toLowerCase());
}
