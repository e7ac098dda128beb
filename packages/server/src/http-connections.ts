import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type Instant, msBetween, NEVER } from "@cubby/base";
import type { Clock } from "./clock.ts";
import { outputProgress } from "./output-progress.ts";

export type HttpConnectionTimes = {
  /** An answer of which the kernel takes nothing for so long ends the connection. */
  readonly unreadMs: number;
  /** From an answer to the whole headers of the next request. */
  readonly idleMs: number;
};

type Connection = {
  /** Requests that have no answer yet. */
  unanswered: number;
  /** The answer to the first of them; undefined while none is waited for. */
  current: ServerResponse | undefined;
  isAnswering: boolean;
  /** As the sweep last saw it. */
  progress: number;
  /** The last byte taken, or the last answer that came to its end. */
  since: Instant;
};

/**
 * The connections of the HTTP lane and their times. The timeouts of Node's sockets would not do: they
 * begin anew with every byte that comes, so that empty lines keep a connection for ever.
 */
export class HttpConnections {
  readonly #connections = new Map<Socket, Connection>();
  readonly #times: HttpConnectionTimes;
  readonly #now: Clock;

  constructor(times: HttpConnectionTimes, now: Clock) {
    this.#times = times;
    this.#now = now;
  }

  add(socket: Socket): void {
    this.#connections.set(socket, {
      unanswered: 0,
      current: undefined,
      isAnswering: false,
      progress: 0,
      since: this.#now(),
    });
    socket.on("close", () => this.#connections.delete(socket));
  }

  /** Ends the one that has been without a request the longest; false where all have one. */
  endIdlest(): boolean {
    let idlest: Socket | undefined;
    let since = NEVER;
    for (const [socket, connection] of this.#connections) {
      if (connection.unanswered > 0 || socket.destroyed || connection.since >= since) continue;
      idlest = socket;
      since = connection.since;
    }
    idlest?.destroy();
    return idlest !== undefined;
  }

  /** Takes note of a request; answers how many before it have no answer yet. */
  onRequest(socket: Socket, response: ServerResponse): number {
    const connection = this.#connections.get(socket);
    if (connection === undefined) return 0;
    const before = connection.unanswered;
    connection.unanswered += 1;
    if (before === 0) {
      connection.current = response;
      response.on("finish", () => this.#onFinish(connection));
    }
    return before;
  }

  /** An answer begins to leave, unless it has to wait for the one before it. */
  onAnswer(response: ServerResponse): void {
    const connection = this.#connections.get(response.req.socket);
    if (connection?.current !== response) return;
    connection.isAnswering = true;
    connection.since = this.#now();
  }

  /** Ends what does not move. Returns how many did not read their answer. */
  sweep(): number {
    const now = this.#now();
    let slow = 0;
    for (const [socket, connection] of this.#connections) {
      if (socket.destroyed) continue;
      const stillMs = msBetween(connection.since, now);
      if (connection.isAnswering) {
        const progress = outputProgress(socket);
        if (progress !== connection.progress) {
          connection.progress = progress;
          connection.since = now;
        } else if (stillMs >= this.#times.unreadMs) {
          slow += 1;
          socket.destroy();
        }
      } else if (connection.unanswered === 0 && stillMs >= this.#times.idleMs) {
        socket.destroy();
      }
    }
    return slow;
  }

  #onFinish(connection: Connection): void {
    connection.since = this.#now();
    // After a refusal this connection has had its last turn, and that answer leaves now.
    if (connection.unanswered > 1) return;
    connection.unanswered = 0;
    connection.current = undefined;
    connection.isAnswering = false;
  }
}
