/** Each contender's operations, through the client that a Node.js program would take. */

import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect } from "@cubby/client";
import { WORKERS_MAX } from "../closed-loop.ts";
import { lockPair, openFiles } from "../operations.ts";
import type { ContenderName } from "./contenders.ts";
import { load } from "./packages.ts";

export const OPERATION_NAMES = ["write", "read", "lock"] as const;
export type OperationName = (typeof OPERATION_NAMES)[number];

/** One operation of worker `worker`, which has what it works on to itself. */
export type Operation = (worker: number, contents: Uint8Array) => Promise<unknown>;

export type Operations = Readonly<Partial<Record<OperationName, Operation>>>;

/** What is measured as which operation, for a reader who would compare. */
export const MEANINGS: Readonly<Record<ContenderName, Readonly<Record<OperationName, string>>>> = {
  cubby: {
    write: "setContents",
    read: "linearizable, under the master lease",
    lock: "acquire + release, with a sequencer",
  },
  etcd: {
    write: "put",
    read: "linearizable",
    lock: "Lock of etcd3: a lease, put-if-absent, revoke",
  },
  zookeeper: {
    write: "setData",
    read: "of the member asked, may be stale",
    lock: "ephemeral create + delete; the client has no lock",
  },
  antietcd: { write: "put", read: "of the member asked, may be stale", lock: "none" },
  redis: {
    write: "set, on one server, each in its log on disk",
    read: "get, on one server",
    lock: "redlock lock + unlock, on one server; nothing to fence with",
  },
};

/** Connects, and makes for each worker what it works on. */
export async function openOperations(
  name: ContenderName,
  addresses: readonly string[],
): Promise<Operations> {
  const open = { cubby, etcd, zookeeper, antietcd, redis }[name];
  return open(addresses);
}

async function cubby([url = ""]: readonly string[]): Promise<Operations> {
  // One session may not wait for so many locks at once.
  const files = await openFiles([await connect(url), await connect(url)]);
  const of = (worker: number) => {
    const file = files[worker];
    if (file === undefined) throw new RangeError(`no file for worker ${worker}`);
    return file;
  };
  return {
    write: (worker, contents) => of(worker).setContents(contents),
    read: (worker) => of(worker).getContentsAndStat(),
    lock: (worker) => lockPair(of(worker)),
  };
}

async function etcd(addresses: readonly string[]): Promise<Operations> {
  type Held = { release(): Promise<void> };
  type Client = {
    put(key: string): { value(value: Buffer): Promise<unknown> };
    get(key: string): { buffer(): Promise<Buffer | null> };
    lock(key: string): { ttl(seconds: number): { acquire(): Promise<Held> } };
  };
  type Module = { readonly Etcd3: new (options: { hosts: readonly string[] }) => Client };
  const { Etcd3 } = load<Module>("etcd3");
  const client = new Etcd3({ hosts: addresses.map((address) => `http://${address}`) });
  await forEachWorker((worker) => client.put(`bench/${worker}`).value(Buffer.from("0")));
  return {
    write: (worker, contents) => client.put(`bench/${worker}`).value(bufferOf(contents)),
    read: (worker) => client.get(`bench/${worker}`).buffer(),
    lock: async (worker) => {
      const held = await client.lock(`lock/${worker}`).ttl(10).acquire();
      await held.release();
    },
  };
}

async function zookeeper(addresses: readonly string[]): Promise<Operations> {
  type Done = (error: Error | null, result: unknown) => void;
  type Client = NodeJS.EventEmitter & {
    connect(): void;
    create(path: string, data: Buffer, mode: number, done: Done): void;
    setData(path: string, data: Buffer, version: number, done: Done): void;
    getData(path: string, done: Done): void;
    remove(path: string, version: number, done: Done): void;
  };
  type Module = {
    createClient(addresses: string): Client;
    readonly CreateMode: { readonly PERSISTENT: number; readonly EPHEMERAL: number };
  };
  const { createClient, CreateMode } = load<Module>("node-zookeeper-client");
  const client = createClient(addresses.join(","));
  const connected = once(client, "connected");
  client.connect();
  await connected;
  const answered = (call: (done: Done) => void): Promise<unknown> =>
    new Promise((resolve, reject) => {
      call((error, result) =>
        error === null || error === undefined ? resolve(result) : reject(error),
      );
    });
  const empty = Buffer.alloc(0);
  const make = (path: string, mode: number): Promise<unknown> =>
    answered((done) => client.create(path, empty, mode, done));
  await forEachWorker((worker) => make(`/bench-${worker}`, CreateMode.PERSISTENT));
  return {
    write: (worker, contents) =>
      answered((done) => client.setData(`/bench-${worker}`, bufferOf(contents), -1, done)),
    read: (worker) => answered((done) => client.getData(`/bench-${worker}`, done)),
    lock: async (worker) => {
      const path = `/lock-${worker}`;
      await make(path, CreateMode.EPHEMERAL);
      await answered((done) => client.remove(path, -1, done));
    },
  };
}

/** It has no client for Node.js: its HTTP, on connections that stay. */
async function antietcd(addresses: readonly string[]): Promise<Operations> {
  const agent = new Agent({ keepAlive: true, maxSockets: WORKERS_MAX });
  const ports = addresses.map((address) => Number(address.split(":")[1]));
  const call = async (worker: number, path: string, body: object): Promise<void> => {
    const bytes = JSON.stringify(body);
    const headers = { "content-type": "application/json", "content-length": bytes.length };
    const port = ports[worker % ports.length];
    const sent = request({ agent, headers, host: "127.0.0.1", method: "POST", path, port });
    sent.end(bytes);
    const [answer] = await once(sent, "response");
    let said = "";
    for await (const chunk of answer) said += chunk;
    if (answer.statusCode !== 200) throw new Error(`antietcd: ${answer.statusCode} ${said}`);
  };
  const keyOf = (worker: number): string => Buffer.from(`bench/${worker}`).toString("base64");
  return {
    write: (worker, contents) =>
      call(worker, "/v3/kv/put", {
        key: keyOf(worker),
        value: bufferOf(contents).toString("base64"),
      }),
    read: (worker) => call(worker, "/v3/kv/range", { key: keyOf(worker) }),
  };
}

async function redis([address = ""]: readonly string[]): Promise<Operations> {
  type Client = {
    set(key: string, value: Buffer): Promise<unknown>;
    getBuffer(key: string): Promise<unknown>;
  };
  type Held = { unlock(): Promise<void> };
  type Locks = { lock(key: string, ttlMs: number): Promise<Held> };
  const Redis = load<new (port: number, host: string) => Client>("ioredis");
  const Redlock = load<new (clients: readonly Client[]) => Locks>("redlock");
  const [host = "", port = ""] = address.split(":");
  const client = new Redis(Number(port), host);
  const locks = new Redlock([client]);
  await forEachWorker((worker) => client.set(`bench/${worker}`, Buffer.from("0")));
  return {
    write: (worker, contents) => client.set(`bench/${worker}`, bufferOf(contents)),
    read: (worker) => client.getBuffer(`bench/${worker}`),
    lock: async (worker) => {
      const held = await locks.lock(`lock/${worker}`, 10_000);
      await held.unlock();
    },
  };
}

async function forEachWorker(make: (worker: number) => Promise<unknown>): Promise<void> {
  await Promise.all(Array.from({ length: WORKERS_MAX }, (_, worker) => make(worker)));
}

/** The same bytes, as these clients take them. */
function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
