import { connect, type Socket } from "node:net";
import { instant } from "@cubby/base";
import {
  ERROR_CODES,
  encodeFrame,
  FRAME_BYTES_MAX,
  FrameDecoder,
  Reply,
  Request,
  SESSION_PREAMBLE,
} from "@cubby/protocol";
import { afterEach, describe, expect, test } from "vitest";
import type { Address } from "./address.ts";
import { ConnectionIds, type LaneHandler } from "./lane.ts";
import { SessionLane, type SessionLaneLimits } from "./session-lane.ts";
import { SILENT_LOG } from "./silent-log.test-support.ts";

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

/** A lane with a scripted core and a clock that the test moves. */
async function startLane(
  limits: Partial<SessionLaneLimits> = {},
  onRequest?: (lane: SessionLane, connection: number, request: Request) => void,
) {
  let nowMs = 1_000;
  const requests: { connection: number; request: Request }[] = [];
  const disconnected: number[] = [];
  const handler: LaneHandler = {
    onRequest: (connection, request) => {
      requests.push({ connection, request });
      if (onRequest === undefined) lane.send(connection, located(request.tag));
      else onRequest(lane, connection, request);
    },
    onDisconnected: (connection) => disconnected.push(connection),
  };
  const lane = new SessionLane({
    ids: new ConnectionIds(),
    handler,
    log: SILENT_LOG,
    limits: { sweepMs: 0, lingerMs: 50, ...limits },
    now: () => instant(nowMs),
  });
  open.push(lane);
  const address = await lane.listen({ host: "127.0.0.1", port: 0 });
  return {
    lane,
    address,
    requests,
    disconnected,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

/** A client that writes what it is told and keeps what it is sent. */
function dial(address: Address) {
  const socket: Socket = connect(address);
  const decoder = new FrameDecoder();
  const replies: Reply[] = [];
  let wake: (() => void) | undefined;
  let closed = false;
  const changed = (): void => wake?.();
  socket.on("data", (chunk) => {
    decoder.push(chunk, (payload) => replies.push(Reply.decode(payload)));
    changed();
  });
  socket.on("error", () => changed());
  socket.on("close", () => {
    closed = true;
    changed();
  });
  open.push({ close: () => socket.destroy() });
  const until = async (done: () => boolean): Promise<void> => {
    while (!done()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return {
    socket,
    replies,
    write: (bytes: Uint8Array | string) => socket.write(bytes),
    replied: (count: number) => until(() => replies.length >= count),
    closed: () => until(() => closed),
  };
}

function locate(tag: number): Uint8Array {
  const request = Request.create({ tag, call: { $case: "locate", value: {} } });
  return encodeFrame(Request.encode(request).finish());
}

function located(tag: number, cellName = "local"): Reply {
  const value = { cellName, replicaId: 1, masterId: 0, masterAddress: "", replicas: [] };
  return { tag, clientEpoch: 0, result: { $case: "locate", value } };
}

function contents(tag: number, sizeBytes: number): Reply {
  const value = { contents: new Uint8Array(sizeBytes), stat: undefined };
  return { tag, clientEpoch: 0, result: { $case: "getContentsAndStat", value } };
}

function errorOf(reply: Reply | undefined): { tag: number; code: number; detail: string } {
  const result = reply?.result;
  if (result?.$case !== "error") throw new Error("the reply is an error");
  return { tag: reply?.tag ?? -1, code: result.value.code, detail: result.value.detail };
}

/** Waits for what happens on the lane's side of a loopback socket. */
async function eventually(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}

describe("a session lane", () => {
  test("answers each request on its connection, under its tag", async () => {
    const { address, requests } = await startLane();
    const client = dial(address);
    client.write(SESSION_PREAMBLE);
    client.write(locate(7));
    client.write(locate(8));
    await client.replied(2);
    expect(client.replies).toEqual([located(7), located(8)]);
    expect(requests.map(({ connection }) => connection)).toEqual([1, 1]);
  });

  test("reads a preamble and frames that come one byte at a time", async () => {
    const { address, requests } = await startLane();
    const client = dial(address);
    client.socket.setNoDelay(true);
    const bytes = Buffer.concat([Buffer.from(SESSION_PREAMBLE), locate(1)]);
    for (const byte of bytes) {
      client.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.replied(1);
    expect(client.replies).toEqual([located(1)]);
    expect(requests).toHaveLength(1);
  });

  test("gathers the replies of one turn into one write", async () => {
    const { address, lane } = await startLane();
    const client = dial(address);
    client.write(Buffer.concat([Buffer.from(SESSION_PREAMBLE), locate(1), locate(2), locate(3)]));
    await client.replied(3);
    const frameBytes = encodeFrame(Reply.encode(located(1)).finish()).length;
    expect(lane.counters.bytesOut).toBe(3 * frameBytes);
  });

  test.each([
    ["HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"],
    ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01"],
    ["a peer", "CUBBY/1 replica\n"],
  ])("tells a client that speaks %s what this port is for", async (_what, bytes) => {
    const { address, requests, disconnected } = await startLane();
    const client = dial(address);
    client.write(bytes);
    await client.closed();
    const { tag, code } = errorOf(client.replies[0]);
    expect({ tag, code }).toEqual({ tag: 0, code: ERROR_CODES.handshake_failed.id });
    expect(requests).toEqual([]);
    expect(disconnected).toEqual([1]);
  });

  test("refuses a frame that is too long by its header alone", async () => {
    const { address, disconnected } = await startLane();
    const client = dial(address);
    const header = new Uint8Array(8);
    new DataView(header.buffer).setUint32(0, FRAME_BYTES_MAX + 1, true);
    client.write(SESSION_PREAMBLE);
    client.write(header);
    await client.closed();
    const { tag, code } = errorOf(client.replies[0]);
    expect({ tag, code }).toEqual({ tag: 0, code: ERROR_CODES.frame_too_long.id });
    expect(disconnected).toEqual([1]);
  });

  test("refuses a frame with a wrong checksum, and one that holds no Request", async () => {
    const { address, requests } = await startLane();
    const flipped = locate(1);
    flipped[8] = (flipped[8] ?? 0) ^ 1;
    for (const bytes of [flipped, encodeFrame(Uint8Array.of(0x0a, 0xff, 0xff))]) {
      const client = dial(address);
      client.write(SESSION_PREAMBLE);
      client.write(bytes);
      await client.closed();
      expect(errorOf(client.replies[0]).code).toBe(ERROR_CODES.bad_frame.id);
    }
    expect(requests).toEqual([]);
  });

  test("answers a call of a newer version as unsupported and reads on", async () => {
    const { address } = await startLane();
    const client = dial(address);
    client.write(SESSION_PREAMBLE);
    client.write(encodeFrame(Request.encode(Request.create({ tag: 5 })).finish()));
    client.write(locate(6));
    await client.replied(2);
    const { tag, code } = errorOf(client.replies[0]);
    expect({ tag, code }).toEqual({ tag: 5, code: ERROR_CODES.unsupported.id });
    expect(client.replies[1]).toEqual(located(6));
  });

  test("survives random bytes", async () => {
    const { address, lane } = await startLane();
    for (let seed = 1; seed <= 20; seed += 1) {
      const bytes = Uint8Array.from({ length: 200 }, (_, i) => (i * seed * 37 + seed) & 0xff);
      const client = dial(address);
      if (seed % 2 === 0) client.write(SESSION_PREAMBLE);
      client.write(bytes);
      client.socket.end();
      await client.closed();
    }
    await eventually(() => lane.size === 0);
  });

  test("ends half a frame followed by silence, however slowly the bytes drip", async () => {
    const { address, lane, pass, disconnected } = await startLane({ frameMs: 10_000 });
    const client = dial(address);
    client.write(SESSION_PREAMBLE);
    client.write(locate(1));
    await client.replied(1);
    const frame = locate(2);
    client.write(frame.subarray(0, 3));
    await eventually(() => lane.counters.bytesIn === SESSION_PREAMBLE.length + frame.length + 3);
    pass(9_000);
    client.write(frame.subarray(3, 4));
    await eventually(() => lane.counters.bytesIn === SESSION_PREAMBLE.length + frame.length + 4);
    lane.sweep();
    expect(disconnected).toEqual([]);
    pass(1_000);
    lane.sweep();
    expect(disconnected).toEqual([1]);
    await client.replied(2);
    expect(errorOf(client.replies[1]).code).toBe(ERROR_CODES.bad_frame.id);
    await client.closed();
  });

  test("ends a connection without a preamble, and lets an idle one be", async () => {
    const { address, lane, pass, disconnected } = await startLane({ handshakeMs: 5_000 });
    const silent = dial(address);
    await eventually(() => lane.size === 1);
    const idle = dial(address);
    idle.write(SESSION_PREAMBLE);
    await eventually(() => lane.counters.bytesIn === SESSION_PREAMBLE.length);
    pass(3_600_000);
    lane.sweep();
    await silent.replied(1);
    expect(errorOf(silent.replies[0]).code).toBe(ERROR_CODES.handshake_failed.id);
    expect(disconnected).toEqual([1]);
    idle.write(locate(1));
    await idle.replied(1);
    expect(idle.replies).toEqual([located(1)]);
  });

  test("hangs up on a peer that does not, once it has lingered", async () => {
    const { address, lane, pass } = await startLane({ lingerMs: 1_000 });
    const socket = connect({ ...address, allowHalfOpen: true });
    open.push({ close: () => socket.destroy() });
    let ended = false;
    socket.on("error", () => socket.destroy());
    socket.on("end", () => {
      ended = true;
    });
    socket.resume();
    socket.write("nonsense nonsense");
    await eventually(() => ended);
    pass(1_000);
    lane.sweep();
    // A reset after the end of the stream is only seen by the write that follows it.
    await eventually(() => socket.destroyed || !socket.write("more"));
    await eventually(() => socket.destroyed);
  });

  test("turns away a connection above the cap, in words", async () => {
    const { address, lane, disconnected } = await startLane({ connectionsMax: 2 });
    const first = dial(address);
    const second = dial(address);
    await eventually(() => lane.size === 2);
    const third = dial(address);
    await third.closed();
    const { code, detail } = errorOf(third.replies[0]);
    expect(code).toBe(ERROR_CODES.overloaded.id);
    expect(detail).toContain("2 connections");
    expect(lane.counters.refusedTotal).toBe(1);
    first.socket.destroy();
    await eventually(() => lane.size === 1);
    expect(disconnected).toEqual([1]);
    second.write(SESSION_PREAMBLE);
    second.write(locate(1));
    await second.replied(1);
  });

  test("takes the place of who has been silent for long, if all places are taken", async () => {
    const started = await startLane({ connectionsMax: 2, silentMs: 45_000 });
    const [first, second] = [dial(started.address), dial(started.address)];
    for (const client of [first, second]) {
      client.write(SESSION_PREAMBLE);
      client.write(locate(1));
      await client.replied(1);
    }
    started.pass(44_000);
    second.write(locate(2));
    await second.replied(2);
    started.lane.sweep();
    expect(started.lane.size).toBe(2);
    started.pass(1_000);
    started.lane.sweep();
    await first.closed();
    await eventually(() => started.lane.size === 1);
    started.pass(100_000);
    started.lane.sweep();
    second.write(locate(3));
    await second.replied(3);
  });

  test("disconnects a client that does not read, and tells the core later, once", async () => {
    const during: number[][] = [];
    const limits = { outputBytesMax: 1 << 20, waitingBytesMax: 4 << 20 };
    const started = await startLane(limits, (lane, connection, request) => {
      // Twice what the connection may owe.
      for (let i = 0; i < 10; i += 1)
        lane.send(connection, located(request.tag, "x".repeat(1 << 20)));
      during.push([...started.disconnected]);
    });
    const socket = connect(started.address);
    open.push({ close: () => socket.destroy() });
    socket.pause();
    socket.on("error", () => socket.destroy());
    socket.write(SESSION_PREAMBLE);
    socket.write(locate(1));
    await eventually(() => started.disconnected.length > 0);
    expect(started.disconnected).toEqual([1]);
    expect(during).toEqual([[]]);
    expect(started.lane.counters.slowTotal).toBe(1);
    expect(started.lane.has(1)).toBe(false);
    started.lane.send(1, located(2));
  });

  test("answers a client that asks at once for more than the output holds, and reads", async () => {
    const started = await startLane({ outputBytesMax: 1 << 20 }, (lane, connection, request) =>
      lane.send(connection, located(request.tag, "x".repeat(1 << 18))),
    );
    const client = dial(started.address);
    const tags = Array.from({ length: 60 }, (_, i) => i + 1);
    client.write(Buffer.concat([Buffer.from(SESSION_PREAMBLE), ...tags.map(locate)]));
    await client.replied(60);
    expect(client.replies.map((reply) => reply.tag)).toEqual(tags);
    expect(started.lane.counters.slowTotal).toBe(0);
  });

  test("hears no more of a client that asks on and does not read, until it has read", async () => {
    const limits = { outputBytesMax: 1 << 16, waitingRepliesMax: 100, unreadMs: 30_000 };
    const started = await startLane(limits, (lane, connection, { tag }) =>
      lane.send(connection, located(tag, "x".repeat(1_000))),
    );
    const client = dial(started.address);
    client.socket.pause();
    const asked = 20_000;
    const tags = Array.from({ length: asked }, (_, i) => i + 1);
    client.write(Buffer.concat([Buffer.from(SESSION_PREAMBLE), ...tags.map(locate)]));
    let seen = -1;
    while (seen < started.requests.length) {
      seen = started.requests.length;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    // What the kernels' buffers hold of the replies, and some chunks of requests.
    expect(seen).toBeLessThan(15_000);
    // Half a frame may lie here meanwhile: it is not late, since it is not read.
    started.pass(20_000);
    started.lane.sweep();
    expect(started.lane.counters.badTotal).toBe(0);
    client.socket.resume();
    await client.replied(asked);
    expect(client.replies.map((reply) => reply.tag)).toEqual(tags);
    expect(started.lane.counters.slowTotal).toBe(0);
  });

  test("refuses reads beyond what may wait on one connection, which are asked for again", async () => {
    const limits = { outputBytesMax: 1 << 20, waitingBytesMax: 4 << 20 };
    const started = await startLane(limits, (lane, connection, { tag }) =>
      lane.send(connection, contents(tag, 1 << 18)),
    );
    const client = dial(started.address);
    const tags = Array.from({ length: 60 }, (_, i) => i + 1);
    client.write(SESSION_PREAMBLE);
    const answered = new Set<number>();
    let asked = tags;
    for (let round = 0; asked.length > 0 && round < 10; round += 1) {
      const before = client.replies.length;
      client.write(Buffer.concat(asked.map(locate)));
      await client.replied(before + asked.length);
      for (const reply of client.replies.slice(before)) {
        if (reply.result?.$case === "getContentsAndStat") answered.add(reply.tag);
        else expect(errorOf(reply).code).toBe(ERROR_CODES.overloaded.id);
      }
      asked = tags.filter((tag) => !answered.has(tag));
    }
    expect(answered.size).toBe(60);
    expect(client.replies.length).toBeGreaterThan(60);
    expect(started.lane.counters.slowTotal).toBe(0);
  });

  test("refuses reads beyond what all connections may owe, also within one turn", async () => {
    const started = await startLane({ readsTotalBytesMax: 4 << 20 }, () => undefined);
    const clients = Array.from({ length: 20 }, () => dial(started.address));
    for (const client of clients) {
      client.write(SESSION_PREAMBLE);
      client.write(locate(1));
    }
    await eventually(() => started.requests.length === 20);
    for (const { connection } of started.requests) {
      started.lane.send(connection, contents(1, (1 << 19) - 1_000));
    }
    for (const client of clients) await client.replied(1);
    const kinds = clients.map(({ replies }) => replies[0]?.result?.$case);
    expect(kinds.filter((kind) => kind === "getContentsAndStat")).toHaveLength(8);
    expect(kinds.filter((kind) => kind === "error")).toHaveLength(12);
    // All was read meanwhile.
    started.lane.sweep();
    for (const { connection } of started.requests) {
      started.lane.send(connection, contents(2, 1_000));
    }
    for (const client of clients) await client.replied(2);
    expect(clients.every(({ replies }) => replies[1]?.result?.$case !== "error")).toBe(true);
  });

  test("sends no_quorum for a reply that waited for longer than its lease", async () => {
    const started = await startLane({ outputBytesMax: 1 << 20 }, (lane, connection, request) =>
      lane.send(connection, located(request.tag, "x".repeat(1 << 18)), instant(1_500)),
    );
    const client = dial(started.address);
    client.socket.pause();
    const tags = Array.from({ length: 60 }, (_, i) => i + 1);
    client.write(Buffer.concat([Buffer.from(SESSION_PREAMBLE), ...tags.map(locate)]));
    await eventually(() => started.requests.length === 60 && started.lane.counters.bytesOut > 0);
    started.pass(500);
    client.socket.resume();
    await client.replied(60);
    expect(client.replies.map((reply) => reply.tag)).toEqual(tags);
    const kinds = client.replies.map((reply) => reply.result?.$case);
    const lastInTime = kinds.lastIndexOf("locate");
    expect(lastInTime).toBeGreaterThanOrEqual(0);
    expect(kinds.indexOf("error")).toBe(lastInTime + 1);
    expect(errorOf(client.replies.at(-1)).code).toBe(ERROR_CODES.no_quorum.id);
  });

  test("sends all that waits behind replies that were withdrawn before the write", async () => {
    const started = await startLane({ outputBytesMax: 1 << 20 }, (lane, connection, { tag }) => {
      lane.send(connection, located(tag, "x".repeat(1 << 18)), instant(1_500));
      if (tag === 20) started.pass(500);
    });
    const client = dial(started.address);
    const tags = Array.from({ length: 20 }, (_, i) => i + 1);
    client.write(Buffer.concat([Buffer.from(SESSION_PREAMBLE), ...tags.map(locate)]));
    await client.replied(20);
    expect(client.replies.map((reply) => errorOf(reply).tag)).toEqual(tags);
  });

  test("reuses no buffer that the kernel has not taken, however slowly a client reads", async () => {
    const started = await startLane({ outputBytesMax: 64 << 20 }, () => undefined);
    const slow = dial(started.address);
    const quick = dial(started.address);
    for (const client of [slow, quick]) {
      client.write(SESSION_PREAMBLE);
      client.write(locate(1));
    }
    await eventually(() => started.requests.length === 2);
    const [first, second] = started.requests.map(({ connection }) => connection);
    slow.socket.pause();
    // Turn after turn, the two share the lane's buffers; a wrong byte fails a frame's checksum.
    for (let tag = 1; tag <= 400; tag += 1) {
      started.lane.send(first ?? 0, located(tag, "s".repeat(30_000)));
      started.lane.send(second ?? 0, located(tag, "q".repeat(100)));
      started.lane.flush();
      if (tag % 100 === 0) {
        slow.socket.resume();
        await new Promise((resolve) => setImmediate(resolve));
        slow.socket.pause();
      }
    }
    slow.socket.resume();
    await slow.replied(400);
    await quick.replied(400);
    for (let tag = 1; tag <= 400; tag += 1) {
      expect(slow.replies[tag - 1]).toEqual(located(tag, "s".repeat(30_000)));
      expect(quick.replies[tag - 1]).toEqual(located(tag, "q".repeat(100)));
    }
  });

  test("ends a reader that has stopped, once its time is up or memory is short", async () => {
    const limits = { outputBytesMax: 64 << 20, outputTotalBytesMax: 40 << 20, unreadMs: 30_000 };
    const started = await startLane(limits, (lane, connection, request) =>
      lane.send(connection, located(request.tag, "x".repeat(16 << 20))),
    );
    const { lane, pass, disconnected } = started;
    const stopped = [1, 2].map((tag) => {
      const socket = connect(started.address);
      open.push({ close: () => socket.destroy() });
      socket.on("error", () => socket.destroy());
      socket.pause();
      socket.write(SESSION_PREAMBLE);
      socket.write(locate(tag));
      return socket;
    });
    await eventually(() => started.requests.length === 2);
    await new Promise((resolve) => setImmediate(resolve));
    lane.sweep();
    pass(29_999);
    lane.sweep();
    expect(lane.counters.slowTotal).toBe(0);
    stopped[0]?.write(Buffer.concat([locate(3), locate(4)]));
    await eventually(() => started.requests.length === 4);
    await new Promise((resolve) => setImmediate(resolve));
    // The first owes more than all may owe together; the other goes on.
    lane.sweep();
    await eventually(() => disconnected.length === 1);
    expect(disconnected).toEqual([1]);
    pass(1);
    lane.sweep();
    await eventually(() => disconnected.length === 2);
    expect(lane.counters.slowTotal).toBe(2);
  });

  test("takes what a reader that has stopped still asks for as no sign that it reads", async () => {
    const limits = { outputBytesMax: 64 << 20, unreadMs: 30_000 };
    const started = await startLane(limits, (lane, connection, request) =>
      lane.send(connection, located(request.tag, "x".repeat(request.tag === 1 ? 16 << 20 : 100))),
    );
    const { lane, pass, disconnected } = started;
    const socket = connect(started.address);
    open.push({ close: () => socket.destroy() });
    socket.on("error", () => socket.destroy());
    socket.pause();
    socket.write(SESSION_PREAMBLE);
    for (let tag = 1; tag <= 4; tag += 1) {
      socket.write(locate(tag));
      await eventually(() => started.requests.length === tag);
      await new Promise((resolve) => setImmediate(resolve));
      lane.sweep();
      expect(lane.counters.slowTotal).toBe(tag === 4 ? 1 : 0);
      pass(10_000);
    }
    await eventually(() => disconnected.length === 1);
  });

  test("keeps a reader that is slow and does not stop, though its reply is one long write", async () => {
    const started = await startLane(
      { outputBytesMax: 64 << 20, unreadMs: 30_000 },
      (lane, id, { tag }) => lane.send(id, located(tag, "x".repeat(32 << 20))),
    );
    const socket = connect(started.address);
    open.push({ close: () => socket.destroy() });
    let read = 0;
    socket.on("data", (bytes: Uint8Array) => {
      read += bytes.length;
      socket.pause();
    });
    socket.pause();
    socket.write(SESSION_PREAMBLE);
    socket.write(locate(1));
    await eventually(() => started.requests.length === 1);
    for (let step = 1; step <= 8; step += 1) {
      started.lane.sweep();
      started.pass(10_000);
      for (const wanted = read + (2 << 20); read < wanted; ) {
        socket.resume();
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    started.lane.sweep();
    expect(started.lane.counters.slowTotal).toBe(0);
    expect(started.disconnected).toEqual([]);
  });

  test("bounds the memory of unfinished frames over all connections", async () => {
    const { address, lane, disconnected } = await startLane({ heldTotalBytesMax: 500_000 });
    const header = new Uint8Array(8);
    new DataView(header.buffer).setUint32(0, 400_000, true);
    const clients = [1, 2].map(() => dial(address));
    for (const [i, client] of clients.entries()) {
      client.write(SESSION_PREAMBLE);
      client.write(Buffer.concat([locate(1), header, new Uint8Array(300_000)]));
      if (i === 0) await client.replied(1);
      await eventually(() => lane.counters.bytesIn >= (i + 1) * 300_000);
    }
    await clients[1]?.closed();
    expect(errorOf(clients[1]?.replies.at(-1)).code).toBe(ERROR_CODES.overloaded.id);
    expect(disconnected).toEqual([2]);
    // What the second had held is free again.
    const third = dial(address);
    third.write(SESSION_PREAMBLE);
    third.write(Buffer.concat([header, new Uint8Array(100_000)]));
    await eventually(() => lane.counters.bytesIn >= 700_000);
    expect(disconnected).toEqual([2]);
  });

  test("sends no_quorum for a reply whose lease ended before the write, and only for that", async () => {
    const started = await startLane({}, (lane, connection, request) => {
      lane.send(connection, located(request.tag), instant(5_000));
      lane.send(connection, located(request.tag + 1), instant(2_000));
      lane.send(connection, located(request.tag + 2));
      // The loop stalls between the decision and the write.
      started.pass(1_000);
    });
    const client = dial(started.address);
    client.write(SESSION_PREAMBLE);
    client.write(locate(1));
    await client.replied(3);
    expect(client.replies[0]).toEqual(located(1));
    const { tag, code } = errorOf(client.replies[1]);
    expect({ tag, code }).toEqual({ tag: 2, code: ERROR_CODES.no_quorum.id });
    expect(client.replies[2]).toEqual(located(3));
  });

  test("survives a client that resets the connection while it is written to", async () => {
    const started = await startLane({}, (lane, connection, request) => {
      lane.send(connection, located(request.tag, "x".repeat(100_000)));
    });
    for (let i = 0; i < 10; i += 1) {
      const socket = connect(started.address);
      socket.on("error", () => socket.destroy());
      socket.write(SESSION_PREAMBLE);
      for (let tag = 1; tag <= 20; tag += 1) socket.write(locate(tag));
      await eventually(() => started.requests.length > i);
      socket.resetAndDestroy();
    }
    await eventually(() => started.lane.size === 0);
    expect(started.disconnected).toHaveLength(10);
  });

  test("lets an error of the core pass: it is no fault of the client", async () => {
    const core = new Error("an invariant of the core is broken");
    const thrown: unknown[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.once("uncaughtException", (error) => thrown.push(error));
    try {
      const { address } = await startLane({}, () => {
        throw core;
      });
      const client = dial(address);
      client.write(SESSION_PREAMBLE);
      client.write(locate(1));
      await eventually(() => thrown.length > 0);
    } finally {
      for (const listener of listeners) process.on("uncaughtException", listener);
    }
    expect(thrown).toEqual([core]);
  });

  test("says whose port is taken", async () => {
    const { address } = await startLane();
    const second = new SessionLane({
      ids: new ConnectionIds(),
      handler: { onRequest: () => undefined, onDisconnected: () => undefined },
      log: SILENT_LOG,
    });
    await expect(second.listen(address)).rejects.toMatchObject({ code: "address_in_use" });
  });
});
