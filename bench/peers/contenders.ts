/**
 * The cells that take turns: each of as many members as it is used with, on loopback, durable as its
 * makers have it by default, each member a process with a directory of its own.
 */

import {
  type ChildProcess,
  execFileSync,
  type SpawnOptions,
  spawn,
  spawnSync,
} from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { basename, join } from "node:path";
import { DeadManSwitch } from "../../packages/cli/src/process/dead-man-switch.ts";
import { findFreePorts } from "../../packages/cli/src/process/free-ports.ts";
import { poll } from "../../packages/cli/src/process/sleep.ts";
import { VERSION } from "../../packages/cli/src/version.ts";
import { REPLICAS, startCell } from "../bench-cell.ts";
import { installedProgram } from "../fetched-packages.ts";
import type { Scope } from "../scope.ts";
import { debianFolders, NPM_VERSIONS, npmFolder, program } from "./packages.ts";

export const CONTENDERS = ["cubby", "etcd", "zookeeper", "antietcd", "redis"] as const;
export type ContenderName = (typeof CONTENDERS)[number];

export type Contender = {
  readonly name: ContenderName;
  readonly version: string;
  readonly members: number;
  /** As its clients take them. */
  readonly addresses: readonly string[];
  /** Of those that elect a leader and are watched as they do so. */
  readonly failOver?: FailOver;
};

export type FailOver = {
  /** Once all members serve: the number of the one that leads. */
  leader(): Promise<number>;
  /** kill -9; returns when it is dead. */
  kill(member: number): Promise<void>;
  start(member: number): Promise<void>;
};

const READY_MS_MAX = 60_000;
const ASK_MS_MAX = 2_000;
const ANTIETCD_MEMBERS = 3;
const REDIS_PACKAGES = ["redis-server", "redis-tools", "libjemalloc2", "liblzf1", "libatomic1"];
const ZOOKEEPER_PACKAGES = [
  "libzookeeper-java",
  "libnetty-java",
  "libslf4j-java",
  "libsnappy-java",
  "liblog4j1.2-java",
  "libdropwizard-metrics-java",
  "libcommons-cli-java",
  "libcommons-io-java",
  "libjackson2-core-java",
  "libjackson2-databind-java",
  "libjackson2-annotations-java",
  "libjetty9-java",
];

/** Starts it, and waits until it serves. Throws with the reason where this machine cannot have it. */
export async function startContender(
  scope: Scope,
  name: ContenderName,
  directory: string,
): Promise<Contender> {
  mkdirSync(directory, { recursive: true });
  const start = { cubby, etcd, zookeeper, antietcd, redis }[name];
  return start(scope, directory);
}

async function cubby(scope: Scope, directory: string): Promise<Contender> {
  const cell = await startCell(scope, directory);
  const failOver: FailOver = {
    leader: () => cell.waitReady(),
    kill: async (replica) => {
      await cell.kill(replica);
    },
    start: (replica) => cell.start(replica),
  };
  const addresses = [cell.url];
  return { name: "cubby", version: VERSION, members: REPLICAS, addresses, failOver };
}

async function etcd(scope: Scope, directory: string): Promise<Contender> {
  const members = new Members(scope);
  const path = program("etcd", "etcd-server");
  const ports = await findFreePorts(2 * REPLICAS);
  const [clientPorts, peerPorts] = [ports.slice(0, REPLICAS), ports.slice(REPLICAS)];
  const peers = peerPorts.map((port, i) => `m${i}=http://127.0.0.1:${port}`).join(",");
  clientPorts.forEach((port, i) => {
    const client = `http://127.0.0.1:${port}`;
    const peer = `http://127.0.0.1:${peerPorts[i]}`;
    const settings = {
      name: `m${i}`,
      "data-dir": join(directory, `m${i}`),
      "listen-client-urls": client,
      "advertise-client-urls": client,
      "listen-peer-urls": peer,
      "initial-advertise-peer-urls": peer,
      "initial-cluster": peers,
      "log-level": "error",
    };
    const args = Object.entries(settings).map(([key, value]) => `--${key}=${value}`);
    members.start(path, args, { log: join(directory, `m${i}.log`) });
  });
  const leader = async (): Promise<number> => {
    for (const port of clientPorts) await members.ready(() => etcdIsHealthy(port));
    const lead = await Promise.all(clientPorts.map(etcdLeads));
    return lead.indexOf(true);
  };
  await leader();
  members.serving();
  const said = execFileSync(path, ["--version"], { encoding: "utf8" });
  const addresses = clientPorts.map((port) => `127.0.0.1:${port}`);
  const version = wordAfter(said, "Version:");
  const failOver = members.failOver(leader);
  return { name: "etcd", version, members: REPLICAS, addresses, failOver };
}

async function etcdIsHealthy(port: number): Promise<boolean> {
  const signal = AbortSignal.timeout(ASK_MS_MAX);
  const answer = await fetch(`http://127.0.0.1:${port}/health`, { signal });
  return (await answer.text()).includes('"true"');
}

async function etcdLeads(port: number): Promise<boolean> {
  const url = `http://127.0.0.1:${port}/v3/maintenance/status`;
  const signal = AbortSignal.timeout(ASK_MS_MAX);
  const answer = await fetch(url, { method: "POST", body: "{}", signal });
  type Status = { readonly leader: string; readonly header: { readonly member_id: string } };
  const { leader, header } = (await answer.json()) as Status;
  return leader === header.member_id;
}

async function zookeeper(scope: Scope, directory: string): Promise<Contender> {
  const members = new Members(scope);
  const unpacked = debianFolders(ZOOKEEPER_PACKAGES);
  const java = installedProgram("java");
  if (java === undefined) throw new Error("There is no Java here.");
  const ports = await findFreePorts(3 * REPLICAS);
  const [clientPorts, peerPorts] = [ports.slice(0, REPLICAS), ports.slice(REPLICAS)];
  const servers = clientPorts.map(
    (_, i) => `server.${i + 1}=127.0.0.1:${peerPorts[2 * i]}:${peerPorts[2 * i + 1]}`,
  );
  clientPorts.forEach((port, i) => {
    const data = join(directory, `m${i}`);
    mkdirSync(data);
    writeFileSync(join(data, "myid"), `${i + 1}`);
    const settings = [
      ...[`dataDir=${data}`, `clientPort=${port}`, "clientPortAddress=127.0.0.1"],
      ...["tickTime=2000", "initLimit=10", "syncLimit=5", "maxClientCnxns=0"],
      ...["admin.enableServer=false", "4lw.commands.whitelist=srvr", ...servers],
    ];
    const file = join(directory, `m${i}.cfg`);
    writeFileSync(file, settings.join("\n"));
    const main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
    const args = ["-Xmx512m", "-cp", unpacked.classPath, main, file];
    members.start(java, args, { log: join(directory, `m${i}.log`) });
  });
  const said: string[] = [];
  const leader = async (): Promise<number> => {
    for (const [i, port] of clientPorts.entries()) {
      await members.ready(async () => {
        said[i] = await ask(port, "srvr");
        return said[i].includes("Mode:");
      });
    }
    return said.findIndex((text) => text.includes("Mode: leader"));
  };
  await leader();
  members.serving();
  const version = wordAfter(said[0] ?? "", "Zookeeper version:").replace(/-.*/, "");
  const addresses = clientPorts.map((port) => `127.0.0.1:${port}`);
  const failOver = members.failOver(leader);
  return { name: "zookeeper", version, members: REPLICAS, addresses, failOver };
}

async function antietcd(scope: Scope, directory: string): Promise<Contender> {
  const members = new Members(scope);
  const folder = npmFolder("antietcd");
  const ports = await findFreePorts(ANTIETCD_MEMBERS);
  const cluster = ports.map((port, i) => `m${i}=http://127.0.0.1:${port}`).join(",");
  ports.forEach((port, i) => {
    const settings = {
      ip: "127.0.0.1",
      port,
      data: join(directory, `m${i}.gz`),
      node_id: `m${i}`,
      cluster_key: "bench",
      cluster,
    };
    const args = Object.entries(settings).flatMap(([key, value]) => [`--${key}`, `${value}`]);
    const path = join(folder, "antietcd-app.js");
    members.start(process.execPath, [path, ...args], { log: join(directory, `m${i}.log`) });
  });
  const body = JSON.stringify({ key: "eA==", value: "eA==" });
  for (const port of ports) {
    await members.ready(async () => {
      const headers = { "content-type": "application/json" };
      const url = `http://127.0.0.1:${port}/v3/kv/put`;
      const signal = AbortSignal.timeout(ASK_MS_MAX);
      const answer = await fetch(url, { method: "POST", headers, body, signal });
      return answer.ok;
    });
  }
  members.serving();
  const addresses = ports.map((port) => `127.0.0.1:${port}`);
  const version = NPM_VERSIONS.antietcd;
  return { name: "antietcd", version, members: ANTIETCD_MEMBERS, addresses };
}

/** One server: there is no cell of several that keeps what it acknowledged. */
async function redis(scope: Scope, directory: string): Promise<Contender> {
  const members = new Members(scope);
  const unpacked = debianFolders(REDIS_PACKAGES);
  // One program under three names, of which it looks at the one that it was called by.
  const path = program("redis-check-rdb", "redis-tools");
  const argv0 = "redis-server";
  const env = { ...process.env, LD_LIBRARY_PATH: unpacked.libraryPath };
  const [port = 0] = await findFreePorts(1);
  const settings = {
    port,
    bind: "127.0.0.1",
    dir: directory,
    appendonly: "yes",
    appendfsync: "always",
    save: "",
  };
  const args = Object.entries(settings).flatMap(([key, value]) => [`--${key}`, `${value}`]);
  members.start(path, args, { log: join(directory, "m0.log"), argv0, env });
  await members.ready(async () => (await ask(port, "PING\r\n")).includes("PONG"));
  members.serving();
  const said = spawnSync(path, ["--version"], { argv0, encoding: "utf8", env }).stdout;
  const version = wordAfter(said, "v=");
  return { name: "redis", version, members: 1, addresses: [`127.0.0.1:${port}`] };
}

type Member = { readonly run: () => ChildProcess; process: ChildProcess; isToEnd: boolean };

/** The members of one contender. They end with the scope, which stops when one ends by itself. */
class Members {
  readonly #scope: Scope;
  readonly #members: Member[] = [];
  /** While they start it is only this contender that there is not. */
  #failure: Error | undefined;
  #isServing = false;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  start(
    path: string,
    args: readonly string[],
    { log, ...options }: { readonly log: string } & Pick<SpawnOptions, "argv0" | "env">,
  ): void {
    const run = (): ChildProcess => {
      const output = openSync(log, "a");
      const child = spawn(path, args, {
        ...options,
        // As Cubby's replicas are: Linux shares out the processor by sessions.
        detached: true,
        stdio: ["ignore", output, output],
      });
      closeSync(output);
      const onEnd = (why: unknown): void => {
        if (member?.isToEnd === true) return;
        const said = readFileSync(log, "utf8").trim().split("\n").at(-1);
        this.#failure ??= new Error(`${basename(path)} ended (${why}): ${said}`);
        if (this.#isServing) this.#scope.stop(this.#failure.message);
      };
      const deadMan = child.pid === undefined ? undefined : DeadManSwitch.arm({ pid: child.pid });
      child.once("exit", (code, signal) => {
        deadMan?.disarm();
        onEnd(code ?? signal);
      });
      child.once("error", onEnd);
      return child;
    };
    let member: Member | undefined;
    member = { run, process: run(), isToEnd: false };
    this.#members.push(member);
    this.#scope.onEnd(() => kill(member));
  }

  failOver(leader: () => Promise<number>): FailOver {
    const of = (number: number): Member => {
      const member = this.#members[number];
      if (member === undefined) throw new RangeError(`There is no member ${number}.`);
      return member;
    };
    return {
      leader,
      kill: (number) => kill(of(number)),
      start: async (number) => {
        const member = of(number);
        member.isToEnd = false;
        member.process = member.run();
      },
    };
  }

  /** From now on none may end unasked. */
  serving(): void {
    this.#isServing = true;
  }

  async ready(isReady: () => Promise<boolean>): Promise<void> {
    await poll(
      async () => {
        if (this.#failure !== undefined) throw this.#failure;
        // Until it listens, whatever asks it fails.
        return (await isReady().catch(() => false)) || undefined;
      },
      {
        timeoutMs: READY_MS_MAX,
        everyMs: 200,
        describe: () => "it does not serve",
        signal: this.#scope.signal,
      },
    );
  }
}

async function kill(member: Member): Promise<void> {
  const { process: child } = member;
  member.isToEnd = true;
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

/** What is answered, to the end of its first line; rejects when nothing is. */
async function ask(port: number, text: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port });
  socket.setTimeout(ASK_MS_MAX, () => socket.destroy(new Error("no answer")));
  socket.write(text);
  let said = "";
  for await (const chunk of socket) {
    said += chunk;
    if (said.includes("\r\n")) break;
  }
  return said;
}

function wordAfter(text: string, mark: string): string {
  const at = text.indexOf(mark);
  return at < 0
    ? "?"
    : (text
        .slice(at + mark.length)
        .trim()
        .split(/\s/)[0] ?? "?");
}
