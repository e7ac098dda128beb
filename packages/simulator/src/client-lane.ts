import { type Instant, NEVER } from "@cubby/base";
import type { ConnectionId } from "@cubby/client/core";
import { ERROR_CODES, type Reply, type Request } from "@cubby/protocol";
import type { OutgoingReply } from "@cubby/server/core";
import type { ClientProcess } from "./client-process.ts";
import type { Network } from "./network.ts";
import {
  disconnectedInput,
  type ReplicaProcess,
  replicaAt,
  requestInput,
} from "./replica-process.ts";
import { Violation } from "./violation.ts";
import type { VirtualTime } from "./virtual-time.ts";

type Stream = {
  readonly queue: { readonly at: number; readonly run: () => void }[];
  lastAt: number;
  isPumping: boolean;
};

type Connection = {
  readonly id: number;
  readonly process: ClientProcess;
  readonly clientId: ConnectionId;
  readonly replica: ReplicaProcess;
  /** The life of the replica that accepted it; 0 before. */
  life: number;
  readonly up: Stream;
  readonly down: Stream;
  isClosed: boolean;
  /** Requests by tag, for who checks their answers. */
  readonly asked: Map<number, Request>;
};

export interface LaneObserver {
  /** A reply is about to leave: what it says is now promised to somebody. */
  onAnswers(replica: ReplicaProcess, request: Request, reply: Reply, validUntil: Instant): void;
  /** A request arrives on a connection that its client has left. */
  onLate(request: Request): void;
}

/** A quarter of an hour, about. */
const TRIES_MAX = 40;

/** Connections between clients and replicas: in order, reset by who dies, silent where cut. */
export class ClientLane {
  readonly #time: VirtualTime;
  readonly #network: Network;
  readonly #observer: LaneObserver;
  readonly #replicas: readonly ReplicaProcess[];
  readonly #connections = new Map<number, Connection>();
  readonly #byClient = new Map<ClientProcess, Map<ConnectionId, Connection>>();
  #nextId = 1;
  /** N5: whether the connection breaks before this answer to a numbered request arrives. */
  losesReply: (from: ReplicaProcess) => boolean = () => false;

  constructor(
    time: VirtualTime,
    network: Network,
    observer: LaneObserver,
    replicas: readonly ReplicaProcess[],
  ) {
    this.#time = time;
    this.#network = network;
    this.#observer = observer;
    this.#replicas = replicas;
  }

  get open(): readonly number[] {
    return [...this.#connections.keys()];
  }

  connect(process: ClientProcess, clientId: ConnectionId, address: string): void {
    const replica = this.#replicas[replicaAt(address) - 1];
    if (replica === undefined) return;
    const connection: Connection = {
      id: this.#nextId,
      process,
      clientId,
      replica,
      life: 0,
      up: { queue: [], lastAt: 0, isPumping: false },
      down: { queue: [], lastAt: 0, isPumping: false },
      isClosed: false,
      asked: new Map(),
    };
    this.#nextId += 1;
    this.#connections.set(connection.id, connection);
    const mine = this.#byClient.get(process) ?? new Map<ConnectionId, Connection>();
    this.#byClient.set(process, mine);
    mine.set(clientId, connection);
    this.#up(connection, () => {
      if (!replica.isUp) {
        this.#end(connection);
        this.#down(connection, () => process.onDisconnected(clientId, "unreachable"));
        return;
      }
      connection.life = replica.life;
      this.#down(connection, () => process.onConnected(clientId));
    });
  }

  send(process: ClientProcess, clientId: ConnectionId, request: Request): void {
    const connection = this.#byClient.get(process)?.get(clientId);
    if (connection === undefined || connection.isClosed) return;
    this.#up(connection, () => {
      const { replica } = connection;
      if (connection.isClosed) return;
      if (!replica.isUp || replica.life !== connection.life) {
        // Nobody there knows this connection.
        this.#reset(connection);
        return;
      }
      if (this.#byClient.get(process)?.get(clientId) !== connection) this.#observer.onLate(request);
      connection.asked.set(request.tag, request);
      replica.input(requestInput(connection.id, request));
    });
  }

  /** The client closes it. */
  disconnect(process: ClientProcess, clientId: ConnectionId): void {
    const connection = this.#byClient.get(process)?.get(clientId);
    if (connection === undefined) return;
    this.#byClient.get(process)?.delete(clientId);
    this.#up(connection, () => {
      this.#tellReplica(connection);
      this.#end(connection);
    });
  }

  reply(from: ReplicaProcess, { to, reply, validUntil }: OutgoingReply): void {
    const connection = this.#connections.get(to);
    if (connection === undefined || connection.isClosed) return;
    const { process, clientId } = connection;
    const isStale = validUntil <= from.localNow();
    const sent = isStale ? noQuorum(reply.tag) : reply;
    const request = connection.asked.get(reply.tag);
    connection.asked.delete(reply.tag);
    if (request === undefined) {
      const detail = `replica ${from.id} answers ${reply.tag} of ${process.name}, which is asked no more`;
      throw new Violation(10, "one-answer", detail);
    }
    this.#observer.onAnswers(from, request, sent, isStale ? NEVER : validUntil);
    if (request.requestNumber > 0 && this.losesReply(from)) {
      this.breakOff(to);
      return;
    }
    this.#down(connection, () => process.onReply(clientId, sent));
  }

  /** A replica process has ended; its kernel resets its connections, unless the machine went too. */
  onReplicaStopped(replica: ReplicaProcess, isMachineGone: boolean): void {
    if (isMachineGone) return;
    for (const connection of this.#connections.values()) {
      if (connection.replica === replica && !connection.isClosed) this.#reset(connection);
    }
  }

  onClientDied(process: ClientProcess, isMachineGone: boolean): void {
    for (const connection of this.#byClient.get(process)?.values() ?? []) {
      if (isMachineGone) continue;
      this.#up(connection, () => {
        this.#tellReplica(connection);
        this.#end(connection);
      });
    }
    this.#byClient.delete(process);
  }

  /** N5: both ends find it closed. */
  breakOff(id: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined || connection.isClosed) return;
    this.#tellReplica(connection);
    this.#reset(connection);
  }

  #reset(connection: Connection): void {
    const { process, clientId } = connection;
    this.#end(connection);
    this.#byClient.get(process)?.delete(clientId);
    this.#down(connection, () => process.onDisconnected(clientId, "connection_lost"));
  }

  #tellReplica({ id, replica, life }: Connection): void {
    if (replica.isUp && replica.life === life && life > 0) {
      replica.input(disconnectedInput(id));
    }
  }

  #end(connection: Connection): void {
    connection.isClosed = true;
    this.#connections.delete(connection.id);
  }

  #up(connection: Connection, run: () => void): void {
    const { process, replica } = connection;
    this.#push(connection.up, -process.id, replica.id, run);
  }

  #down(connection: Connection, run: () => void): void {
    const { process, replica } = connection;
    this.#push(connection.down, replica.id, -process.id, run);
  }

  #push(stream: Stream, from: number, to: number, run: () => void): void {
    const at = Math.max(this.#network.streamArrival(from, to), stream.lastAt);
    stream.lastAt = at;
    stream.queue.push({ at, run });
    if (stream.isPumping) return;
    stream.isPumping = true;
    this.#time.at(at, () => this.#pump(stream, from, to, 0));
  }

  /** TCP: what a cut link holds back arrives when it is open again, in order. */
  #pump(stream: Stream, from: number, to: number, tries: number): void {
    const { now } = this.#time;
    while (stream.queue.length > 0) {
      const head = stream.queue[0];
      if (head === undefined) break;
      if (head.at > now) {
        this.#time.at(head.at, () => this.#pump(stream, from, to, 0));
        return;
      }
      if (this.#network.isCut(from, to)) {
        if (tries >= TRIES_MAX) {
          stream.queue.length = 0;
          stream.isPumping = false;
          return;
        }
        this.#time.at(this.#network.retryAt(tries), () => this.#pump(stream, from, to, tries + 1));
        return;
      }
      stream.queue.shift();
      head.run();
    }
    stream.isPumping = false;
  }
}

function noQuorum(tag: number): Reply {
  const { id: code } = ERROR_CODES.no_quorum;
  const value = { code, detail: "the lease ended", masterId: 0, masterAddress: "" };
  return { tag, clientEpoch: 0, result: { $case: "error", value } };
}
