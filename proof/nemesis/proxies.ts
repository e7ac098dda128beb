import { connect, createServer, type Server, type Socket } from "node:net";
import { findFreePorts } from "../../packages/cli/src/process/free-ports.ts";
import { monotonicMs } from "../../packages/cli/src/process/monotonic.ts";
import { sleep } from "../../packages/cli/src/process/sleep.ts";
import type { Address, Endpoint, Network } from "./network.ts";
import type { FaultKind } from "./schedule.ts";

const HOST = "127.0.0.1";
const DELAY_MS = 60;
const CONNECTIONS_MAX = 64;

type Pair = {
  readonly near: Socket;
  readonly far: Socket;
  /** Chunks on their way, in order. */
  waiting: number;
  last: Promise<void>;
};

type Link = {
  readonly server: Server;
  readonly from: Endpoint;
  readonly pairs: Set<Pair>;
  isCut: boolean;
};

/**
 * Where there are no namespaces: a proxy in this process for every directed link between replicas,
 * since each replica dials each other for what it has to say. Bytes stall, wait, or lose their
 * connection; packets cannot be touched, nor can what clients send.
 */
export class Proxies implements Network {
  readonly kind = "proxies";
  readonly description =
    "loopback proxies; loss resets connections, and clients are not cut off or slowed";
  readonly lacks: ReadonlyMap<FaultKind, string> = new Map([
    ["client cut", "clients follow the replicas' own addresses, past any proxy"],
  ]);
  readonly problem = undefined;
  readonly #ports: ReadonlyMap<string, number>;
  readonly #links = new Map<string, Link>();
  readonly #slow = new Set<Endpoint>();

  private constructor(ports: ReadonlyMap<string, number>) {
    this.#ports = ports;
  }

  static async create(replicas: readonly Endpoint[]): Promise<Proxies> {
    const names = replicas.flatMap((to) => [
      `session ${to}`,
      `peer ${to}`,
      ...replicas.filter((from) => from !== to).map((from) => `${from}>${to}`),
    ]);
    const free = await findFreePorts(names.length);
    const proxies = new Proxies(new Map(names.map((name, index) => [name, free[index] ?? 0])));
    for (const from of replicas) {
      for (const to of replicas) if (from !== to) await proxies.#open(from, to);
    }
    return proxies;
  }

  prefix(): readonly string[] {
    return [];
  }

  address(replica: Endpoint, lane: "session" | "peer"): Address {
    return { host: HOST, port: this.#ports.get(`${lane} ${replica}`) ?? 0 };
  }

  peerAddress(from: Endpoint, to: Endpoint): Address {
    if (from === to) return this.address(to, "peer");
    return { host: HOST, port: this.#ports.get(`${from}>${to}`) ?? 0 };
  }

  cut(from: Endpoint, to: Endpoint): void {
    const link = this.#links.get(`${from}>${to}`);
    if (link === undefined) return;
    link.isCut = true;
    for (const { near } of link.pairs) near.pause();
  }

  /** What has waited arrives at once, as it does after a stall. */
  heal(from: Endpoint, to: Endpoint): void {
    const link = this.#links.get(`${from}>${to}`);
    if (link === undefined) return;
    link.isCut = false;
    for (const { near } of link.pairs) near.resume();
  }

  lose(from: Endpoint, to: Endpoint): void {
    const pairs = this.#links.get(`${from}>${to}`)?.pairs ?? [];
    for (const { near, far } of pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  slow(replica: Endpoint, isSlow: boolean): void {
    if (isSlow) this.#slow.add(replica);
    else this.#slow.delete(replica);
  }

  async close(): Promise<void> {
    for (const { server, pairs } of this.#links.values()) {
      for (const { near, far } of pairs) {
        near.destroy();
        far.destroy();
      }
      await new Promise((resolve) => server.close(resolve));
    }
  }

  async #open(from: Endpoint, to: Endpoint): Promise<void> {
    const server = createServer({ noDelay: true });
    const link: Link = { server, from, pairs: new Set(), isCut: false };
    server.maxConnections = CONNECTIONS_MAX;
    server.on("connection", (near) => this.#join(link, near, this.address(to, "peer")));
    this.#links.set(`${from}>${to}`, link);
    const { port } = this.peerAddress(from, to);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: HOST, port }, resolve);
    });
  }

  #join(link: Link, near: Socket, { host, port }: Address): void {
    const far = connect({ host, port, noDelay: true });
    const pair: Pair = { near, far, waiting: 0, last: Promise.resolve() };
    link.pairs.add(pair);
    near.on("data", (chunk) => this.#pass(link, pair, chunk));
    // The other direction carries no more than the answer to a greeting.
    far.on("data", (chunk) => near.write(chunk));
    const ends = [
      [near, far],
      [far, near],
    ] as const;
    for (const [socket, other] of ends) {
      socket.on("error", () => undefined);
      socket.on("close", () => {
        other.destroy();
        link.pairs.delete(pair);
      });
    }
    if (link.isCut) near.pause();
  }

  #pass(link: Link, pair: Pair, chunk: Uint8Array): void {
    const isSlow = this.#slow.has(link.from);
    if (!isSlow && pair.waiting === 0) {
      pair.far.write(chunk);
      return;
    }
    const dueMs = monotonicMs() + (isSlow ? DELAY_MS : 0);
    pair.waiting += 1;
    pair.last = pair.last.then(async () => {
      await sleep(Math.max(0, dueMs - monotonicMs()));
      pair.waiting -= 1;
      if (!pair.far.destroyed) pair.far.write(chunk);
    });
  }
}
