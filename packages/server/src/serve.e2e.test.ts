import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  CreateMode,
  CubbyError,
  ERROR_CODES,
  encodeFrame,
  FrameDecoder,
  NodeKind,
  Reply,
  Request,
  SESSION_PREAMBLE,
} from "@cubby/protocol";
import { afterEach, describe, expect, test } from "vitest";
import { type Address, addressText } from "./address.ts";
import type { ServerConfig } from "./config.ts";
import { loadConfig } from "./config-load.ts";
import type { ReplicaLog } from "./log.ts";
import { formatDirectory } from "./replica-directory.ts";
import { type ServedReplica, serve } from "./serve.ts";
import { SILENT_LOG } from "./silent-log.test-support.ts";

const CUBBY = fileURLToPath(new URL("../../cli/bin/cubby.js", import.meta.url));
const MIB = 1024 * 1024;
const NOBODY = 65_534;

const cleanUps: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

function freshDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "cubby-serve-"));
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function configOf(dataDir: string, flags: Record<string, string> = {}): ServerConfig {
  const addresses = { sessionAddress: "127.0.0.1:0", peerAddress: "127.0.0.1:0" };
  const small = { httpAddress: "none", segmentBytes: String(MIB) };
  return loadConfig({ flags: { dataDir, ...addresses, ...small, ...flags } }).config;
}

async function served(config: ServerConfig, log: ReplicaLog = SILENT_LOG): Promise<ServedReplica> {
  const replica = await serve(config, log);
  cleanUps.push(() => replica.stop());
  return replica;
}

/** The error with which a replica refuses to start. */
async function refusal(config: ServerConfig): Promise<CubbyError> {
  try {
    const replica = await serve(config, SILENT_LOG);
    await replica.stop();
  } catch (error) {
    if (error instanceof CubbyError) return error;
    throw error;
  }
  throw new Error("it started");
}

/** A test that is not run says so on the terminal, and not in the list of results alone. */
function loudly(reason: string): string {
  process.stderr.write(`SKIPPED: ${reason}.\n`);
  return reason;
}

/** Asks until it holds; for what another process does. */
async function until(condition: () => boolean, withinMs = 20_000): Promise<void> {
  for (const end = Date.now() + withinMs; !condition(); ) {
    if (Date.now() > end) throw new Error("it did not come about in time");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** One session over a real connection, one call after the other. */
class Session {
  readonly #socket: Socket;
  readonly #answers = new Map<number, (reply: Reply) => void>();
  #tag = 0;
  #number = 0;
  #id = 0;
  #epoch = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const decoder = new FrameDecoder();
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      decoder.push(chunk, (payload) => {
        const reply = Reply.decode(payload.slice());
        this.#answers.get(reply.tag)?.(reply);
      });
    });
  }

  static async begin({ host, port }: Address): Promise<Session> {
    const socket = connect(port, host).setMaxListeners(0);
    cleanUps.push(() => socket.destroy());
    socket.write(SESSION_PREAMBLE);
    const session = new Session(socket);
    const value = { leaseMs: 60_000, caches: false, clientName: "" };
    for (const end = Date.now() + 20_000; Date.now() < end; ) {
      const reply = await session.#ask({ $case: "createSession", value });
      if (reply?.result?.$case === "createSession") {
        session.#id = reply.result.value.sessionId;
        session.#epoch = reply.clientEpoch;
        return session;
      }
      // Not master yet: a replica alone elects itself within moments.
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error("no session came about in time");
  }

  async open(path: string): Promise<Uint8Array> {
    const nothing = new Uint8Array(0);
    const mode = { read: true, write: true, changeAcl: false, create: CreateMode.IF_ABSENT };
    const rest = {
      ephemeral: false,
      initialContents: nothing,
      lockDelayMs: 0,
      hasLockDelay: false,
    };
    const value = { name: path, directory: nothing, ...mode, kind: NodeKind.FILE, ...rest };
    const reply = await this.#ask({ $case: "open", value });
    if (reply?.result?.$case !== "open") throw new Error(JSON.stringify(reply));
    return reply.result.value.handle;
  }

  /** Undefined when the connection ended before an answer came. */
  async set(handle: Uint8Array, contents: Uint8Array): Promise<Reply | undefined> {
    const value = { handle, contents, hasIfGeneration: false, ifGeneration: 0 };
    return this.#ask({ $case: "setContents", value });
  }

  async get(handle: Uint8Array): Promise<Uint8Array> {
    const reply = await this.#ask({ $case: "getContentsAndStat", value: { handle } });
    if (reply?.result?.$case !== "getContentsAndStat") throw new Error(JSON.stringify(reply));
    return reply.result.value.contents;
  }

  #ask(call: NonNullable<Request["call"]>): Promise<Reply | undefined> {
    this.#tag += 1;
    const tag = this.#tag;
    if (this.#id !== 0) this.#number += 1;
    const numbers = { requestNumber: this.#number, lowestUnanswered: this.#number };
    const session = { sessionId: this.#id, clientEpoch: this.#epoch };
    const request = { ...Request.create(), tag, ...numbers, ...session, call };
    return new Promise((resolve) => {
      this.#answers.set(tag, resolve);
      this.#socket.once("close", () => resolve(undefined));
      this.#socket.write(encodeFrame(Request.encode(request).finish()));
    });
  }
}

type Running = {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  text: string;
};

/** `cubby serve` in a process of its own. */
function spawned(dataDir: string, options: { uid?: number; gid?: number } = {}): Running {
  const addresses = ["--session-address", "127.0.0.1:0", "--peer-address", "127.0.0.1:0"];
  const small = ["--http-address", "none", "--segment-bytes", String(MIB)];
  const args = [CUBBY, "serve", "--json", "--data", dataDir, ...addresses, ...small];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  const running: Running = {
    child,
    text: "",
    ended: new Promise((resolve) => {
      child.once("close", (code) => resolve(code));
    }),
  };
  cleanUps.push(() => {
    child.kill("SIGKILL");
    return running.ended;
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (data: Buffer) => {
      running.text += data.toString();
    });
  }
  return running;
}

async function addressOf(running: Running): Promise<Address> {
  await until(() => running.text.includes('"ready"'));
  const port = Number(/"session": ?"127\.0\.0\.1:(\d+)"/.exec(running.text)?.[1]);
  return { host: "127.0.0.1", port };
}

/**
 * Below the range that outgoing connections draw from: one of those may take the port of a replica that
 * is stopped, and is to come back on it.
 */
async function freePorts(count: number): Promise<number[]> {
  const servers = new Map<number, Server>();
  for (let tries = 0; servers.size < count && tries < 500; tries += 1) {
    const port = 20_000 + Math.floor(12_000 * Math.random());
    const server = createServer();
    const isFree = await new Promise((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (isFree) servers.set(port, server);
  }
  for (const server of servers.values()) await new Promise((resolve) => server.close(resolve));
  if (servers.size < count) throw new Error(`${servers.size} of ${count} ports are free`);
  return [...servers.keys()];
}

const PEERS = "1@127.0.0.1:1,2@127.0.0.1:2,3@127.0.0.1:3";

describe("a directory that a replica must not run on", () => {
  test("is refused when it is not formatted and the cell has other replicas", async () => {
    const error = await refusal(configOf(freshDirectory(), { peers: PEERS }));
    expect(error.code).toBe("not_formatted");
    expect(error.message).toContain("cubby init");
  });

  test("is refused when it was not even made, and is not made by it", async () => {
    const dataDir = join(freshDirectory(), "missing");
    expect((await refusal(configOf(dataDir, { peers: PEERS }))).code).toBe("not_formatted");
    expect(() => readdirSync(dataDir)).toThrow("ENOENT");
  });

  test("is refused when it is another replica's, or of another cell", async () => {
    const dataDir = freshDirectory();
    await formatDirectory({ dataDir, cellName: "local", replicaId: 2, segmentBytes: MIB });
    const asFirst = await refusal(configOf(dataDir, { peers: PEERS, replicaId: "1" }));
    expect(asFirst.code).toBe("wrong_directory");
    expect(asFirst.message).toContain("replica 2, but 1");
    const ofOther = await refusal(configOf(dataDir, { cellName: "other", replicaId: "2" }));
    expect(ofOther.code).toBe("wrong_directory");
    expect(ofOther.message).toContain("cellName local, but other");
  });

  test("is refused when peers names other members than it records, and both are told", async () => {
    const dataDir = freshDirectory();
    const alone = await served(configOf(dataDir));
    await until(() => alone.status().role === "master");
    await alone.stop();
    const error = await refusal(configOf(dataDir, { peers: PEERS }));
    expect(error.code).toBe("config_invalid");
    expect(error.message).toContain(`${dataDir} records replica 1 as the whole cell, but`);
    expect(error.message).toContain("peers names 1, 2, 3");
    expect(error.message).toContain("cubby init");
    const replica = await served(configOf(dataDir, { peers: "1@127.0.0.1:1" }));
    await Session.begin(replica.sessionAddress);
  });

  test("is refused without peers when it records others", async () => {
    const { configs, replicas } = await cellOfThree();
    const [config] = configs;
    if (config === undefined) throw new Error("there are three");
    await replicas[0]?.stop();
    for (const wrong of [[], config.peers.slice(0, 2)]) {
      const error = await refusal({ ...config, peers: wrong });
      expect(error.code).toBe("config_invalid");
      expect(error.message).toContain("records the replicas 1, 2, 3 as the cell");
      expect(error.message).toContain(`peers names ${wrong.length === 0 ? "none" : "1, 2"}`);
    }
    const again = await served(config);
    await until(() => again.status().masterId !== 0);
  });

  test("is not formatted for a name or a number that no configuration may have", async () => {
    const dataDir = join(freshDirectory(), "data");
    for (const wrong of [{ cellName: "Two Words" }, { replicaId: 0 }, { replicaId: 5_000 }]) {
      const request = { dataDir, cellName: "local", replicaId: 1, segmentBytes: MIB, ...wrong };
      await expect(formatDirectory(request)).rejects.toMatchObject({ code: "config_invalid" });
    }
    expect(() => readdirSync(dataDir)).toThrow("ENOENT");
  });

  test("is refused where a process may run on it that cannot be seen, with what to do", async () => {
    const dataDir = freshDirectory();
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    writeFileSync(join(dataDir, "lock"), `1 1 ${boot} pid:[1] -`);
    const error = await refusal(configOf(dataDir));
    expect(error.code).toBe("directory_in_use");
    expect(error.message).toContain(`Make sure that no replica runs on it, then remove ${dataDir}`);
  });

  test("is refused while another process runs on it, and taken over once that is killed", async () => {
    const dataDir = freshDirectory();
    const other = spawned(dataDir);
    const session = await Session.begin(await addressOf(other));
    const handle = await session.open("/ls/local/kept");
    await session.set(handle, Uint8Array.of(1, 2, 3));
    const error = await refusal(configOf(dataDir));
    expect(error.code).toBe("directory_in_use");
    expect(error.message).toContain(`process ${other.child.pid}`);
    other.child.kill("SIGKILL");
    await other.ended;
    const replica = await served(configOf(dataDir));
    const again = await Session.begin(replica.sessionAddress);
    expect([...(await again.get(await again.open("/ls/local/kept")))]).toEqual([1, 2, 3]);
  });

  test("is refused without permission", async ({ skip }) => {
    const isRoot = process.getuid?.() === 0;
    if (isRoot && !canRunAsNobody()) skip(loudly("root cannot run the command as nobody"));
    const dataDir = freshDirectory();
    await formatDirectory({ dataDir, cellName: "local", replicaId: 1, segmentBytes: MIB });
    chmodSync(dataDir, isRoot ? 0o700 : 0o000);
    const running = spawned(dataDir, isRoot ? { uid: NOBODY, gid: NOBODY } : {});
    const status = await running.ended;
    chmodSync(dataDir, 0o700);
    expect(running.text).toContain("[directory_denied]");
    expect(running.text).toContain(dataDir);
    expect(status).toBe(ERROR_CODES.directory_denied.exitCode);
  });

  test("is refused without permission to a file in it, which is named, and no disk is blamed", async ({
    skip,
  }) => {
    const isRoot = process.getuid?.() === 0;
    if (isRoot && !canRunAsNobody()) skip(loudly("root cannot run the command as nobody"));
    const dataDir = freshDirectory();
    await formatDirectory({ dataDir, cellName: "local", replicaId: 1, segmentBytes: MIB });
    // As root left it whose directory was given away, but not what is in it.
    if (isRoot) chownSync(dataDir, NOBODY, NOBODY);
    else for (const file of readdirSync(dataDir)) chmodSync(join(dataDir, file), 0o000);
    const running = spawned(dataDir, isRoot ? { uid: NOBODY, gid: NOBODY } : {});
    expect(await running.ended).toBe(ERROR_CODES.directory_denied.exitCode);
    expect(running.text).toMatch(/\[directory_denied\] \w+ of [a-z0-9-]+ in .*EACCES/);
    expect(running.text).toContain(dataDir);
  });
});

describe("the settings at the ends of what they may be", () => {
  const quick = { masterLeaseRenewMs: "10", heartbeatMs: "10" };
  const slow = { masterLeaseMs: "60000", electionTimeoutMs: "60000" };
  test.each<Record<string, string>>([
    { ...quick, masterLeaseMs: "100", electionTimeoutMs: "30" },
    { ...slow, masterLeaseRenewMs: "13500", heartbeatMs: "10000" },
    { sessionsMax: "1", nodesMax: "1", childrenMax: "1", connectionsMax: "2" },
    { sessionsMax: "1000000", nodesMax: "10000000", childrenMax: "1000000" },
    { snapshotEvery: "100", snapshotJournalBytes: "1MiB", reads: "quorum" },
    { snapshotEvery: "100000000", snapshotJournalBytes: "256MiB", connectionsMax: "1000000" },
  ])("serve a session: %j", async (flags) => {
    const replica = await served(configOf(freshDirectory(), flags));
    await Session.begin(replica.sessionAddress);
  });
});

function canRunAsNobody(): boolean {
  try {
    const options = { uid: NOBODY, gid: NOBODY, stdio: "ignore" } as const;
    execFileSync(process.execPath, [CUBBY, "--help"], options);
    return true;
  } catch {
    return false;
  }
}

describe("an address that is none to others", () => {
  test.each([
    ["of all interfaces", "0.0.0.0:0"],
    ["of all interfaces in IPv6", "[::]:0"],
    ["with a port that is chosen when it listens", "127.0.0.1:0"],
  ])("is told to no client: one %s", async (_what, sessionAddress) => {
    const flags = { sessionAddress, httpAddress: "127.0.0.1:0", insecureRemote: "true" };
    const replica = await served(configOf(freshDirectory(), flags));
    await until(() => replica.status().role === "master");
    const url = `http://127.0.0.1:${replica.httpAddress?.port}/v1/Locate`;
    const answer = (await (await fetch(url, { method: "POST" })).json()) as object;
    expect(answer).toMatchObject({ masterId: 1, masterAddress: "", replicas: [] });
  });
});

describe("an address that is taken", () => {
  test.each(["sessionAddress", "peerAddress", "httpAddress"])(
    "as %s is named, and nothing is left behind by the attempt",
    async (setting) => {
      const dataDir = freshDirectory();
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      cleanUps.push(() => new Promise((resolve) => server.close(resolve)));
      const at = server.address();
      const port = at !== null && typeof at === "object" ? at.port : 0;
      const error = await refusal(configOf(dataDir, { [setting]: `127.0.0.1:${port}` }));
      expect(error.code).toBe("address_in_use");
      expect(error.message).toContain(`127.0.0.1:${port}`);
      const replica = await served(configOf(dataDir));
      await Session.begin(replica.sessionAddress);
    },
  );
});

/** A directory in which somebody wrote, and nobody runs. */
async function written(writes: number, flags: Record<string, string> = {}): Promise<string> {
  const dataDir = freshDirectory();
  const replica = await serve(configOf(dataDir, flags), SILENT_LOG);
  const session = await Session.begin(replica.sessionAddress);
  const handle = await session.open("/ls/local/file");
  for (let n = 1; n <= writes; n += 1) await session.set(handle, Uint8Array.of(n % 256));
  await replica.stop();
  return dataDir;
}

describe("damage", () => {
  test("by a flipped bit in the middle of the journal is named by file and offset", async () => {
    const dataDir = await written(50);
    const file = join(dataDir, "segment-00000001");
    const bytes = readFileSync(file);
    bytes[9_000] = (bytes[9_000] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    const error = await refusal(configOf(dataDir));
    expect(error.code).toBe("data_damaged");
    expect(error.message).toMatch(/segment-00000001 at byte \d+, slot \d+: /);
    // It stays so, and the directory is as it was.
    expect((await refusal(configOf(dataDir))).message).toBe(error.message);
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  test("of a segment's header leaves no segment, and the file is named all the same", async () => {
    const dataDir = await written(50);
    const file = join(dataDir, "segment-00000001");
    const bytes = readFileSync(file);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    const { code, message } = await refusal(configOf(dataDir));
    expect(code).toBe("data_damaged");
    expect(message).toMatch(/; segment-00000001 at byte 0, slot 0: .*\(header: /);
  });

  test("of a snapshot cut short is noted by name, and the journal makes up for it", async () => {
    const dataDir = await written(250, { snapshotEvery: "100" });
    const snapshots = readdirSync(dataDir).filter((name) => name.startsWith("snapshot-"));
    const newest = snapshots.sort().at(-1) ?? "";
    const file = join(dataDir, newest);
    writeFileSync(file, readFileSync(file).subarray(0, 90));
    const warnings: object[] = [];
    const log = { ...SILENT_LOG, warn: (fields: object) => warnings.push(fields) };
    const replica = await served(configOf(dataDir), log);
    const note = { kind: "snapshotDamaged", file: newest, problem: "truncated", offset: 90 };
    expect(warnings).toContainEqual(note);
    const session = await Session.begin(replica.sessionAddress);
    expect([...(await session.get(await session.open("/ls/local/file")))]).toEqual([250]);
  });
});

describe("a disk without room", () => {
  test("ends the replica with its own status, and a line that says why", async ({ skip }) => {
    const directory = freshDirectory();
    if (!mount(directory)) skip(loudly("only root can mount a small disk to fill"));
    cleanUps.push(() => execFileSync("umount", [directory]));
    const running = spawned(join(directory, "data"));
    const session = await Session.begin(await addressOf(running));
    const handle = await session.open("/ls/local/file");
    const contents = new Uint8Array(100_000);
    let acknowledged = 0;
    for (; acknowledged < 200; acknowledged += 1) {
      const reply = await session.set(handle, contents.fill(acknowledged + 1));
      if (reply === undefined) break;
      expect(reply.result?.$case).toBe("setContents");
    }
    expect(await running.ended).toBe(ERROR_CODES.disk_full.exitCode);
    expect(running.text).toMatch(/\[disk_full\] write of segment-\d{8} failed: ENOSPC/);
    expect(acknowledged).toBeGreaterThan(0);
    execFileSync("mount", ["-o", "remount,size=16m", directory]);
    const replica = await served(configOf(join(directory, "data")));
    const again = await Session.begin(replica.sessionAddress);
    const read = await again.get(await again.open("/ls/local/file"));
    expect([acknowledged, acknowledged + 1]).toContain(read[0]);
    await replica.stop();
  });
});

/** Six megabytes of memory as a file system; gone with the test. */
function mount(directory: string): boolean {
  try {
    const size = "size=6m,mode=0700";
    execFileSync("mount", ["-t", "tmpfs", "-o", size, "tmpfs", directory], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const CELL_ID = "00112233445566778899aabbccddeeff";

/** A cell of three in this process, with a master. */
async function cellOfThree(log: ReplicaLog = SILENT_LOG, settings: Record<string, string> = {}) {
  const ports = await freePorts(3);
  const peers = ports.map((port, at) => `${at + 1}@127.0.0.1:${port}`).join(",");
  const configs = ports.map((port, at) => {
    const own = { replicaId: String(at + 1), peerAddress: `127.0.0.1:${port}` };
    return configOf(freshDirectory(), { peers, ...own, ...settings });
  });
  const replicas: ServedReplica[] = [];
  for (const config of configs) {
    await formatDirectory({ ...config, cellId: CELL_ID });
    replicas.push(await served(config, log));
  }
  const isMaster = (replica: ServedReplica) => replica.status().role === "master";
  await until(() => replicas.filter(isMaster).length === 1);
  await until(() => replicas.every(({ status }) => status().peers.every((at) => at.connected)));
  const master = replicas.findIndex(isMaster);
  return { configs, replicas, isMaster, master };
}

describe("a master that is cut off from its quorum", () => {
  test("is not ready, and says so of itself", async () => {
    const { replicas, master } = await cellOfThree(SILENT_LOG, { httpAddress: "127.0.0.1:0" });
    const cutOff = replicas[master];
    if (cutOff?.httpAddress === undefined) throw new Error("it serves HTTP");
    const url = `http://${addressText(cutOff.httpAddress)}`;
    for (const other of replicas) if (other !== cutOff) await other.stop();
    await until(() => {
      const { role, masterId, replicaId } = cutOff.status();
      return role !== "master" && (masterId === 0 || masterId === replicaId);
    });
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain("\ncubby_has_leader 0\n");
  });
});

describe("a graceful stop", () => {
  test("of the master hands mastership over before the replica is gone", async () => {
    const traces: string[] = [];
    const log = { ...SILENT_LOG, debug: (_: object, kind: string) => traces.push(kind) };
    const { replicas, isMaster, master } = await cellOfThree(log);
    await replicas[master]?.stop();
    expect(traces).toContain("handedOver");
    await until(() => replicas.some((replica, at) => at !== master && isMaster(replica)));
  });
});

describe("a directory that was wiped and formatted again", () => {
  test("is refused by its peers under the old id, and the replica ends with that", async () => {
    const { configs, replicas, master } = await cellOfThree();
    const victim = (master + 1) % 3;
    const config = configs[victim];
    if (config === undefined) throw new Error("there are three");
    await replicas[victim]?.stop();
    rmSync(config.dataDir, { recursive: true });
    await formatDirectory({ ...config, cellId: CELL_ID });
    const again = await served(config);
    const ended = await again.ended;
    expect(ended.code).toBe("identity_refused");
    expect(ended.detail).toMatch(/^Replica \d refuses this directory: /);
  });

  test("for another cell of the same name is not even spoken to", async () => {
    const { configs, replicas, master } = await cellOfThree();
    const victim = (master + 1) % 3;
    const config = configs[victim];
    if (config === undefined) throw new Error("there are three");
    await replicas[victim]?.stop();
    rmSync(config.dataDir, { recursive: true });
    await formatDirectory({ ...config, cellId: CELL_ID.replaceAll("0", "f") });
    const warnings: string[] = [];
    const warn = (fields: object, message: string) =>
      warnings.push(`${message} ${JSON.stringify(fields)}`);
    const foreign = await served(config, { ...SILENT_LOG, warn });
    await until(() => warnings.some((line) => line.includes("cell")));
    expect(foreign.status().role).toBe("waiting");
    expect(foreign.status().peers.some((peer) => peer.connected)).toBe(false);
  });
});
