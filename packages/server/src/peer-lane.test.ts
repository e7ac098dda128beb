import dns from "node:dns";
import { connect, createServer, type Server, type Socket } from "node:net";
import { instant } from "@cubby/base";
import { encodeFrame, FrameDecoder, PEER_PREAMBLE } from "@cubby/protocol";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Address } from "./address.ts";
import type { Log } from "./log.ts";
import { decodeHello, encodeHello, type PeerHello } from "./peer-hello.ts";
import { type PeerIdentity, PeerLane, type PeerLaneLimits, type PeerState } from "./peer-lane.ts";
import { dialDelayMs } from "./peer-outbound.ts";
import { SILENT_LOG } from "./silent-log.test-support.ts";

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function startReplica(
  replicaId: number,
  options: {
    identity?: Partial<PeerIdentity>;
    limits?: Partial<PeerLaneLimits>;
    port?: number;
  } = {},
) {
  const frames: { from: number; incarnation: string; bytes: number[] }[] = [];
  let largestBytes = 0;
  const states: { peer: number; state: PeerState }[] = [];
  const warnings: string[] = [];
  const log: Log = {
    ...SILENT_LOG,
    warn: (fields, message) => warnings.push(`${message} ${JSON.stringify(fields)}`),
  };
  let nowMs = 1_000;
  const lane = new PeerLane({
    self: { cellId: "cell-1", replicaId, incarnation: `life-${replicaId}`, ...options.identity },
    peers: [],
    handler: {
      onFrame: (from, incarnation, bytes) => {
        largestBytes = Math.max(largestBytes, bytes.length);
        frames.push({ from, incarnation, bytes: [...bytes.subarray(0, 8)] });
      },
      onPeerState: (peer, state) => states.push({ peer, state }),
    },
    log,
    limits: { sweepMs: 0, dialFirstMs: 2, dialMsMax: 10, ...options.limits },
    now: () => instant(nowMs),
    random: () => 0.5,
  });
  open.push(lane);
  const address = await lane.listen({ host: "127.0.0.1", port: options.port ?? 0 });
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return {
    lane,
    address,
    frames,
    states,
    warnings,
    pass,
    at: { replicaId, ...address },
    largestBytes: () => largestBytes,
  };
}

type Looked = (error: NodeJS.ErrnoException | null, addresses: dns.LookupAddress[]) => void;

type Replica = Awaited<ReturnType<typeof startReplica>>;

function acquaint(...replicas: Replica[]): void {
  for (const replica of replicas) {
    replica.lane.setPeers(replicas.filter((other) => other !== replica).map(({ at }) => at));
  }
}

/** A socket that pretends to be a replica. */
function impostor(
  address: Address,
  options: { allowHalfOpen?: boolean } = {},
): { socket: Socket; received: PeerHello[] } {
  const socket = connect({ ...address, ...options });
  const received: PeerHello[] = [];
  const decoder = new FrameDecoder();
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => decoder.push(chunk, (bytes) => received.push(decodeHello(bytes))));
  open.push({ close: () => socket.destroy() });
  return { socket, received };
}

/** One that is refused, and does not hang up. */
function clinging(address: Address): ReturnType<typeof impostor> {
  const one = impostor(address, { allowHalfOpen: true });
  one.socket.write("GET / HTTP/1.1\r\n\r\n");
  return one;
}

function hello(fields: Partial<PeerHello & { kind: "hello" }> = {}): Uint8Array {
  return encodeFrame(
    encodeHello({
      kind: "hello",
      version: 1,
      cellId: "cell-1",
      replicaId: 2,
      incarnation: "life-2",
      ...fields,
    }),
  );
}

/** One that says hello and reads nothing after it. */
async function deafPeer(): Promise<{ address: Address; held: Socket[] }> {
  const listener: Server = createServer();
  const held: Socket[] = [];
  listener.on("connection", (socket) => {
    held.push(socket);
    socket.on("error", () => socket.destroy());
    socket.once("data", () => {
      socket.pause();
      socket.write(hello());
    });
  });
  const address = await new Promise<Address>((resolve) => {
    listener.listen(0, "127.0.0.1", () => {
      const bound = listener.address();
      resolve({ host: "127.0.0.1", port: typeof bound === "object" ? (bound?.port ?? 0) : 0 });
    });
  });
  open.push({
    close: () => {
      for (const socket of held) socket.destroy();
      listener.close();
    },
  });
  return { address, held };
}

/** A replica that is connected to one. */
async function besideDeafPeer(limits: Partial<PeerLaneLimits> = {}) {
  const { address, held } = await deafPeer();
  const one = await startReplica(1, { limits });
  one.lane.setPeers([{ replicaId: 2, ...address }]);
  await eventually(() => one.lane.connected(2));
  return { one, held };
}

async function eventually(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}

describe("a peer lane", () => {
  test("carries frames both ways, in order, with the sender's identity", async () => {
    const one = await startReplica(1);
    const two = await startReplica(2);
    acquaint(one, two);
    await eventually(() => one.lane.connected(2) && two.lane.connected(1));
    one.lane.send(2, Uint8Array.of(1));
    one.lane.send(2, Uint8Array.of(2, 3));
    two.lane.send(1, Uint8Array.of(9));
    await eventually(() => two.frames.length === 2 && one.frames.length === 1);
    expect(two.frames).toEqual([
      { from: 1, incarnation: "life-1", bytes: [1] },
      { from: 1, incarnation: "life-1", bytes: [2, 3] },
    ]);
    expect(one.frames).toEqual([{ from: 2, incarnation: "life-2", bytes: [9] }]);
    expect(one.states).toEqual([{ peer: 2, state: { kind: "connected", incarnation: "life-2" } }]);
    expect(one.lane.peers()).toEqual([{ replicaId: 2, connected: true }]);
  });

  test("carries a frame larger than any socket buffer", async () => {
    const one = await startReplica(1);
    const two = await startReplica(2);
    acquaint(one, two);
    await eventually(() => one.lane.connected(2));
    const size = 12 * 1024 * 1024;
    const large = new Uint8Array(size).fill(7);
    one.lane.send(2, large);
    await eventually(() => two.frames.length === 1);
    expect(two.largestBytes()).toBe(size);
  });

  test("reaches a restarted peer, at another port too, and knows it by its new incarnation", async () => {
    const one = await startReplica(1);
    const two = await startReplica(2);
    acquaint(one, two);
    await eventually(() => one.lane.connected(2) && two.lane.connected(1));
    await two.lane.close();
    await eventually(() => !one.lane.connected(2));
    one.lane.send(2, Uint8Array.of(1));
    expect(one.lane.counters.droppedTotal).toBe(1);
    const again = await startReplica(2, { identity: { incarnation: "life-2b" } });
    acquaint(one, again);
    await eventually(() => one.lane.connected(2));
    one.lane.send(2, Uint8Array.of(2));
    await eventually(() => again.frames.length === 1);
    expect(again.frames[0]?.bytes).toEqual([2]);
    expect(one.states.at(-1)?.state).toEqual({ kind: "connected", incarnation: "life-2b" });
  });

  test("dials at once when a peer that was away dials it", async () => {
    const limits = { dialFirstMs: 3_600_000, dialMsMax: 3_600_000 };
    const one = await startReplica(1, { limits });
    const two = await startReplica(2, { limits });
    await two.lane.close();
    one.lane.setPeers([two.at]);
    // The first dial fails; the next would be in an hour.
    await eventually(() => one.states.length === 1);
    const again = await startReplica(2, { limits, port: two.address.port });
    again.lane.setPeers([one.at]);
    await eventually(() => one.lane.connected(2) && again.lane.connected(1));
  });

  test.each([
    ["another cell", { cellId: "cell-2" }, "cell-2"],
    ["another version", { version: 7 }, "version 7"],
    ["its own id", { replicaId: 1 }, "which is this one"],
    ["an id that is no peer's", { replicaId: 5 }, "not among the peers"],
  ])("refuses a hello of %s, in words", async (_what, fields, words) => {
    const one = await startReplica(1);
    one.lane.setPeers([{ replicaId: 2, host: "127.0.0.1", port: 1 }]);
    const { socket, received } = impostor(one.address);
    socket.write(PEER_PREAMBLE);
    socket.write(hello(fields));
    await eventually(() => received.length === 1);
    expect(received[0]).toMatchObject({ kind: "refused" });
    expect(JSON.stringify(received[0])).toContain(words);
    expect(one.warnings.join("\n")).toContain(words);
    expect(one.lane.counters.refusedTotal).toBe(1);
  });

  test("reaches a peer whose name takes longer to look up than a connection may take", async () => {
    const one = await startReplica(1);
    const two = await startReplica(2);
    two.lane.setPeers([one.at]);
    const waiting: (() => void)[] = [];
    const { lookup } = dns;
    const slowLookup = (host: string, options: dns.LookupAllOptions, callback: Looked): void => {
      waiting.push(() => lookup(host, options, callback));
    };
    vi.spyOn(dns, "lookup").mockImplementation(slowLookup as typeof lookup);
    open.push({ close: () => vi.restoreAllMocks() });
    one.lane.setPeers([{ ...two.at, host: "localhost" }]);
    for (let second = 1; second <= 5; second += 1) {
      one.pass(1_000);
      one.lane.sweep();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(waiting).toHaveLength(1);
    for (const answer of waiting) answer();
    await eventually(() => one.lane.connected(2));
  });

  test("does not speak to a replica that is not the one it dialed", async () => {
    const one = await startReplica(1);
    const three = await startReplica(3);
    three.lane.setPeers([one.at]);
    one.lane.setPeers([{ ...three.at, replicaId: 2 }]);
    await eventually(() => one.states.length > 0);
    expect(one.lane.connected(2)).toBe(false);
    expect(one.states[0]?.state).toEqual({
      kind: "disconnected",
      reason: "At its address is replica 3, not 2.",
    });
  });

  test.each([
    ["another preamble", "GET / HTTP/1.1\r\n\r\n"],
    [
      "garbage for a hello",
      Buffer.concat([Buffer.from(PEER_PREAMBLE), encodeFrame(Uint8Array.of(9, 9))]),
    ],
    [
      "a hello that is too long",
      Buffer.concat([Buffer.from(PEER_PREAMBLE), encodeFrame(new Uint8Array(5_000))]),
    ],
    [
      "a refusal for a hello",
      Buffer.concat([
        Buffer.from(PEER_PREAMBLE),
        encodeFrame(encodeHello({ kind: "refused", reason: "no" })),
      ]),
    ],
  ])("refuses %s and lives", async (_what, bytes) => {
    const one = await startReplica(1);
    const { socket, received } = impostor(one.address);
    socket.write(bytes);
    await eventually(() => received.length === 1);
    expect(received[0]?.kind).toBe("refused");
    expect(one.lane.counters.refusedTotal).toBe(1);
  });

  test("closes though a connection that it refused stays open on its other side", async () => {
    const one = await startReplica(1);
    const { socket, received } = clinging(one.address);
    await eventually(() => received.length === 1);
    await one.lane.close();
    await eventually(() => socket.readableEnded);
  });

  test("keeps no refused connection that made room for another", async () => {
    const one = await startReplica(1);
    const refused = Array.from({ length: 70 }, () => clinging(one.address));
    await eventually(() => one.lane.counters.refusedTotal === 70);
    // A socket that is gone there resets who writes to it.
    await eventually(() => {
      for (const { socket } of refused) if (!socket.destroyed) socket.write("x");
      return refused.filter(({ socket }) => socket.destroyed).length === 6;
    });
  });

  test("refuses a frame beyond the cap by its header, after a good hello", async () => {
    const one = await startReplica(1);
    one.lane.setPeers([{ replicaId: 2, host: "127.0.0.1", port: 1 }]);
    const { socket, received } = impostor(one.address);
    socket.write(PEER_PREAMBLE);
    socket.write(hello());
    await eventually(() => received.length === 1);
    const header = new Uint8Array(8);
    new DataView(header.buffer).setUint32(0, 16 * 1024 * 1024 + 1, true);
    socket.write(header);
    await eventually(() => received.length === 2);
    expect(received[1]?.kind).toBe("refused");
    expect(one.frames).toEqual([]);
  });

  test("ends a connection whose hello or whose frame does not come to its end", async () => {
    const one = await startReplica(1, { limits: { handshakeMs: 2_000, frameMs: 20_000 } });
    one.lane.setPeers([{ replicaId: 2, host: "127.0.0.1", port: 1 }]);
    const silent = impostor(one.address);
    silent.socket.write(PEER_PREAMBLE);
    const half = impostor(one.address);
    half.socket.write(PEER_PREAMBLE);
    half.socket.write(hello());
    await eventually(() => half.received.length === 1);
    const before = one.lane.counters.bytesIn;
    half.socket.write(Uint8Array.of(200, 0, 0));
    await eventually(() => one.lane.counters.bytesIn === before + 3);
    one.pass(2_000);
    one.lane.sweep();
    await eventually(() => silent.socket.destroyed);
    expect(half.socket.destroyed).toBe(false);
    one.pass(18_000);
    one.lane.sweep();
    await eventually(() => half.socket.destroyed);
  });

  test("drops frames for a peer that does not read, then the connection, and dials anew", async () => {
    const limits = { outputBytesMax: 4 << 20, stuckMs: 2_000 };
    const { one, held } = await besideDeafPeer(limits);
    const frame = new Uint8Array(1 << 20);
    for (let i = 0; i < 40; i += 1) {
      one.lane.send(2, frame);
      one.lane.flush();
    }
    expect(one.lane.counters.droppedTotal).toBeGreaterThan(0);
    one.pass(1_999);
    one.lane.sweep();
    expect(one.lane.connected(2)).toBe(true);
    one.pass(1);
    one.lane.sweep();
    expect(one.states.at(-1)?.state.kind).toBe("disconnected");
    await eventually(() => one.lane.connected(2));
    expect(held).toHaveLength(2);
  });

  test("dials anew when a peer that spoke has fallen silent, and not again before it speaks", async () => {
    const one = await startReplica(1, { limits: { quietMs: 3_000 } });
    const two = await startReplica(2);
    acquaint(one, two);
    await eventually(() => one.lane.connected(2) && two.lane.connected(1));
    const sweepFor = (ms: number): void => {
      for (let passed = 0; passed < ms; passed += 250) {
        one.pass(250);
        one.lane.sweep();
      }
    };
    // A replica whose connections are all it has said may have nothing to say yet.
    sweepFor(60_000);
    expect(one.lane.counters.dialsTotal).toBe(1);
    two.lane.send(1, Uint8Array.of(1));
    await eventually(() => one.frames.length === 1);
    sweepFor(3_000);
    expect(one.lane.connected(2)).toBe(true);
    sweepFor(250);
    expect(one.states.at(-1)?.state).toEqual({
      kind: "disconnected",
      reason: "Nothing came from it any more.",
    });
    await eventually(() => one.lane.connected(2));
    sweepFor(60_000);
    expect(one.lane.connected(2)).toBe(true);
  });

  test("dials anew when a peer does that hears its connection no more, once", async () => {
    const one = await startReplica(1, { limits: { quietMs: 3_000 } });
    const two = await startReplica(2);
    acquaint(one, two);
    await eventually(() => one.lane.connected(2) && two.lane.connected(1));
    const dialAgain = async (): Promise<void> => {
      const { socket, received } = impostor(one.address);
      socket.write(PEER_PREAMBLE);
      socket.write(hello());
      await eventually(() => received.length === 1);
    };
    one.pass(2_999);
    await dialAgain();
    expect(one.lane.counters.dialsTotal).toBe(1);
    one.pass(1);
    await dialAgain();
    await eventually(() => one.lane.connected(2));
    await dialAgain();
    expect(one.lane.counters.dialsTotal).toBe(2);
    expect(one.states.at(-2)?.state).toEqual({ kind: "disconnected", reason: "It dialed anew." });
  });

  test("does not take its own standstill for the silence of a peer", async () => {
    const one = await startReplica(1, { limits: { quietMs: 3_000 } });
    const two = await startReplica(2);
    acquaint(one, two);
    await eventually(() => one.lane.connected(2) && two.lane.connected(1));
    two.lane.send(1, Uint8Array.of(1));
    await eventually(() => one.frames.length === 1);
    one.pass(250);
    one.lane.sweep();
    one.pass(10_000);
    one.lane.sweep();
    expect(one.lane.connected(2)).toBe(true);
  });

  test("keeps the connection of a peer that takes nothing for seconds, as over a slow link", async () => {
    const { one, held } = await besideDeafPeer();
    for (let i = 0; i < 40; i += 1) one.lane.send(2, new Uint8Array(1 << 20));
    one.lane.flush();
    one.pass(10_000);
    one.lane.sweep();
    expect(one.lane.connected(2)).toBe(true);
    expect(held).toHaveLength(1);
  });

  test("queues no more large frames for a peer that is behind, and small ones all the same", async () => {
    const { one } = await besideDeafPeer();
    const part = new Uint8Array(1 << 20);
    for (let i = 0; i < 20; i += 1) one.lane.send(2, part);
    one.lane.flush();
    one.pass(249);
    one.lane.send(2, part);
    expect(one.lane.counters.droppedTotal).toBe(0);
    one.pass(1);
    one.lane.send(2, part);
    expect(one.lane.counters.droppedTotal).toBe(1);
    one.lane.send(2, new Uint8Array(1_000));
    expect(one.lane.counters.droppedTotal).toBe(1);
  });

  test("counts the frames that a connection takes along when it ends", async () => {
    const { one, held } = await besideDeafPeer();
    for (let i = 0; i < 40; i += 1) one.lane.send(2, new Uint8Array(1 << 20));
    one.lane.flush();
    for (let i = 0; i < 3; i += 1) one.lane.send(2, Uint8Array.of(i));
    for (const socket of held) socket.destroy();
    await eventually(() => !one.lane.connected(2));
    const { framesOut, droppedTotal } = one.lane.counters;
    expect(droppedTotal).toBeGreaterThan(3);
    expect(framesOut + droppedTotal).toBe(43);
    // No more than the buffers of two sockets hold.
    expect(framesOut).toBeLessThan(40);
  });

  test("lets a peer in past a flood of connections that say nothing", async () => {
    const one = await startReplica(1);
    one.lane.setPeers([{ replicaId: 2, host: "127.0.0.1", port: 1 }]);
    const silent = Array.from({ length: 70 }, () => impostor(one.address));
    await eventually(() => silent.filter(({ socket }) => socket.destroyed).length === 6);
    const peer = impostor(one.address);
    peer.socket.write(PEER_PREAMBLE);
    peer.socket.write(hello());
    await eventually(() => peer.received.length === 1);
    expect(peer.received[0]?.kind).toBe("hello");
  });

  test("keeps the connections of two incarnations, so that one cannot cut off the other", async () => {
    const one = await startReplica(1);
    one.lane.setPeers([{ replicaId: 2, host: "127.0.0.1", port: 1 }]);
    const right = impostor(one.address);
    right.socket.write(PEER_PREAMBLE);
    right.socket.write(hello());
    await eventually(() => right.received.length === 1);
    const wiped = impostor(one.address);
    wiped.socket.write(PEER_PREAMBLE);
    wiped.socket.write(hello({ incarnation: "another" }));
    await eventually(() => wiped.received.length === 1);
    right.socket.write(encodeFrame(Uint8Array.of(1)));
    await eventually(() => one.frames.length === 1);
    wiped.socket.write(encodeFrame(Uint8Array.of(2)));
    await eventually(() => one.frames.length === 2);
    expect(one.frames.map(({ incarnation }) => incarnation)).toEqual(["life-2", "another"]);
  });
});

describe("the delay between dials", () => {
  test("starts within 100 ms and never passes its cap", () => {
    const delays = [0, 1, 2, 5, 6, 100].map((failures) => dialDelayMs(failures, 20, 1_000, 0.999));
    expect(delays).toEqual([20, 40, 80, 640, 1_000, 1_000]);
    expect(dialDelayMs(0, 20, 1_000, 0)).toBe(10);
    expect(dialDelayMs(50, 20, 1_000, 0)).toBe(500);
  });
});
