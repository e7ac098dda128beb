import { readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { instant } from "@cubby/base";
import { ERROR_CODES, Reply, Request } from "@cubby/protocol";
import { afterEach, describe, expect, test } from "vitest";
import type { Address } from "./address.ts";
import { type Clock, monotonicNow } from "./clock.ts";
import { CALL_NAMES, pathOfCall } from "./http-calls.ts";
import { HTTP_LANE_LIMITS, HttpLane, type HttpLaneLimits, type HttpPages } from "./http-lane.ts";
import { type CallName, ConnectionIds } from "./lane.ts";
import { SILENT_LOG } from "./silent-log.test-support.ts";

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

type Script = (lane: HttpLane, connection: number, request: Request) => void;

async function startLane(
  script: Script,
  options: {
    limits?: Partial<HttpLaneLimits>;
    pages?: Partial<HttpPages>;
    host?: string;
    now?: Clock;
  } = {},
) {
  const requests: Request[] = [];
  const disconnected: number[] = [];
  let nowMs = 1_000;
  const lane = new HttpLane({
    ids: new ConnectionIds(),
    handler: {
      onRequest: (connection, request) => {
        requests.push(request);
        script(lane, connection, request);
      },
      onDisconnected: (connection) => disconnected.push(connection),
    },
    pages: {
      metrics: async () => ({ contentType: "text/plain", text: "cubby_up 1\n" }),
      live: () => ({ ok: true, reason: "" }),
      ready: () => ({ ok: false, reason: "No master is known." }),
      ...options.pages,
    },
    log: SILENT_LOG,
    limits: { sweepMs: 10, ...options.limits },
    now: options.now ?? (() => instant(nowMs)),
  });
  open.push(lane);
  const address = await lane.listen({ host: options.host ?? "127.0.0.1", port: 0 });
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { lane, address, requests, disconnected, pass };
}

type Answer = { status: number; body: string; json: Record<string, unknown> };

function ask(
  address: Address,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  const { method = "POST", body = "" } = options;
  const headers = { "content-type": "application/json", ...options.headers };
  return new Promise((resolve, reject) => {
    const request = httpRequest({ ...address, path, method, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => {
        const json = text.startsWith("{") ? JSON.parse(text) : {};
        resolve({ status: response.statusCode ?? 0, body: text, json });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

function codeOf(answer: Answer): unknown {
  return (answer.json["error"] as { code?: unknown } | undefined)?.code;
}

function done(request: Request, result: Reply["result"], clientEpoch = 3): Reply {
  return { tag: request.tag, clientEpoch, result };
}

/** Answers with more than the kernel takes from a client that does not read. */
const large: Script = (lane, connection, request) => {
  const value = { contents: new Uint8Array(16 << 20), stat: STAT };
  lane.send(connection, done(request, { $case: "getContentsAndStat", value }));
};

const cancelled: Script = (lane, connection, request) =>
  lane.send(connection, done(request, { $case: "cancel", value: { released: false } }));

async function eventually(reached: () => boolean): Promise<void> {
  while (!reached()) await new Promise((resolve) => setImmediate(resolve));
}

const HANDLE = Uint8Array.of(1, 2, 250);
const STAT = {
  kind: 1,
  instance: 7,
  contentGeneration: 2,
  lockGeneration: 0,
  aclGeneration: 1,
  checksum: "00ff00ff00ff00ff",
  sizeBytes: 3,
  childCount: 0,
  ephemeral: false,
  lockMode: 0,
  lockHolders: 0,
  lockDelayed: false,
  readAcl: "",
  writeAcl: "",
  changeAcl: "",
} as const;

/** Every call, with every field set, and a result of every kind. */
const CALLS: { [Name in CallName]: [NonNullable<Request["call"]>, NonNullable<Reply["result"]>] } =
  {
    locate: [
      { $case: "locate", value: {} },
      {
        $case: "locate",
        value: {
          cellName: "local",
          replicaId: 1,
          masterId: 2,
          masterAddress: "127.0.0.1:2",
          replicas: [{ replicaId: 1, address: "127.0.0.1:1" }],
        },
      },
    ],
    getStatus: [
      { $case: "getStatus", value: {} },
      {
        $case: "getStatus",
        value: Reply.fromJSON({ getStatus: { role: "master", peers: [{ replicaId: 2 }] } }).result
          ?.value as never,
      },
    ],
    createSession: [
      { $case: "createSession", value: { leaseMs: 12_000, caches: true, clientName: "é" } },
      {
        $case: "createSession",
        value: { sessionId: 2 ** 53 - 1, leaseMs: 12_000, inFlightMax: 256 },
      },
    ],
    keepAlive: [
      { $case: "keepAlive", value: { acknowledgedEpoch: 4, answerNow: false } },
      { $case: "keepAlive", value: { leaseMs: 1, heldMs: 0, failOverEpoch: 0 } },
    ],
    endSession: [
      { $case: "endSession", value: {} },
      { $case: "endSession", value: {} },
    ],
    cancel: [
      { $case: "cancel", value: { requestNumber: 8 } },
      { $case: "cancel", value: { released: true } },
    ],
    open: [
      {
        $case: "open",
        value: {
          name: "/ls/local/a",
          directory: HANDLE,
          read: true,
          write: true,
          changeAcl: true,
          create: 2,
          kind: 2,
          ephemeral: true,
          initialContents: Uint8Array.of(0, 255),
          lockDelayMs: 10,
          hasLockDelay: true,
        },
      },
      { $case: "open", value: { handle: HANDLE, created: false, stat: STAT } },
    ],
    close: [
      { $case: "close", value: { handle: HANDLE } },
      { $case: "close", value: {} },
    ],
    getContentsAndStat: [
      { $case: "getContentsAndStat", value: { handle: HANDLE } },
      { $case: "getContentsAndStat", value: { contents: new Uint8Array(0), stat: STAT } },
    ],
    getStat: [
      { $case: "getStat", value: { handle: HANDLE } },
      { $case: "getStat", value: STAT },
    ],
    readDir: [
      { $case: "readDir", value: { handle: HANDLE, after: "b" } },
      { $case: "readDir", value: { entries: [{ name: "a", stat: STAT }], more: false } },
    ],
    setContents: [
      {
        $case: "setContents",
        value: { handle: HANDLE, contents: HANDLE, hasIfGeneration: true, ifGeneration: 6 },
      },
      { $case: "setContents", value: STAT },
    ],
    delete: [
      { $case: "delete", value: { handle: HANDLE } },
      { $case: "delete", value: {} },
    ],
    acquire: [
      { $case: "acquire", value: { handle: HANDLE, mode: 2, wait: true } },
      { $case: "acquire", value: { sequencer: HANDLE, lockGeneration: 5 } },
    ],
    release: [
      { $case: "release", value: { handle: HANDLE } },
      { $case: "release", value: {} },
    ],
    getSequencer: [
      { $case: "getSequencer", value: { handle: HANDLE } },
      { $case: "getSequencer", value: { sequencer: HANDLE } },
    ],
    checkSequencer: [
      { $case: "checkSequencer", value: { sequencer: HANDLE, mode: 1, name: "/ls/local/a" } },
      { $case: "checkSequencer", value: { valid: false, reason: "stale" } },
    ],
  };

describe("an HTTP lane", () => {
  test.each(CALL_NAMES)("carries %s there and back without loss", async (name) => {
    const [call, result] = CALLS[name];
    const { address, requests } = await startLane((lane, connection, request) =>
      lane.send(connection, done(request, result)),
    );
    const envelope = {
      tag: 1,
      sessionId: 2 ** 53 - 1,
      requestNumber: 9,
      lowestUnanswered: 2,
      clientEpoch: 3,
      guard: HANDLE,
    };
    const sent: Request = { ...envelope, call };
    const json = Request.toJSON(sent) as Record<string, unknown>;
    const own = json[name] as object;
    // Flat, but for Cancel, whose requestNumber is not the envelope's.
    const body = name === "cancel" ? json : { ...json, [name]: undefined, ...own };
    const answer = await ask(address, pathOfCall(name), {
      body: JSON.stringify({ ...body, tag: undefined }),
    });
    expect(answer.status).toBe(200);
    expect(answer.json["clientEpoch"]).toBe(3);
    const received = requests[0];
    // `Uint8Array.from` and Buffer compare alike only as plain arrays.
    expect(Request.toJSON(received as Request)).toEqual(Request.toJSON(sent));
    const { clientEpoch, ...fields } = answer.json;
    expect(Reply.fromJSON({ tag: 1, clientEpoch, [name]: fields })).toEqual(
      Reply.fromJSON(Reply.toJSON({ tag: 1, clientEpoch: 3, result })),
    );
  });

  test("answers with fields that are zero, too", async () => {
    const { address } = await startLane((lane, connection, request) =>
      lane.send(connection, done(request, { $case: "getStat", value: { ...STAT, kind: 0 } }, 0)),
    );
    const answer = await ask(address, "/v1/GetStat", { body: "{}" });
    expect(answer.json).toEqual({
      ...STAT,
      kind: "NODE_KIND_UNSPECIFIED",
      lockMode: "FREE",
      clientEpoch: 0,
    });
  });

  test("answers an error with the table's row, and with the master's address", async () => {
    const { address } = await startLane((lane, connection, request) => {
      const value = {
        code: ERROR_CODES.not_master.id,
        detail: "Replica 2 is the master.",
        masterId: 2,
        masterAddress: "127.0.0.1:9",
      };
      lane.send(connection, done(request, { $case: "error", value }));
    });
    const answer = await ask(address, "/v1/GetStat", { body: "{}" });
    expect(answer.status).toBe(421);
    expect(answer.json).toEqual({
      error: {
        code: "not_master",
        id: ERROR_CODES.not_master.id,
        outcome: "not-applied",
        retryable: true,
        detail: "Replica 2 is the master.",
        help: ERROR_CODES.not_master.help,
        masterId: 2,
        masterAddress: "127.0.0.1:9",
      },
      clientEpoch: 3,
    });
  });

  test.each([
    ["a field that is not known", { nmae: "x" }, "nmae"],
    ["a prototype for a field", JSON.parse('{"__proto__": {"name": "x"}}'), "__proto__"],
    ["a string for a switch", { read: "false" }, "read"],
    ["a number for a name", { name: 5 }, "name"],
    ["a number above 2^53", { lockDelayMs: 2 ** 53 }, "lockDelayMs"],
    ["a negative number", { sessionId: -1 }, "sessionId"],
    ["a fraction", { sessionId: "1.5" }, "sessionId"],
    ["bytes that are not base64", { directory: "a b" }, "directory"],
    ["a name that the enum has not", { create: "PERHAPS" }, "PERHAPS"],
    ["a number that the enum has not", { create: 99 }, "99"],
    ["an object for a field", { name: {} }, "name"],
    ["null", { name: null }, "name"],
    ["a list for the call", { open: [] }, "open"],
    ["a name that no file has", { name: "x".repeat(17_000) }, "16384 bytes"],
  ])("refuses %s and names it", async (_what, body, named) => {
    const { address, requests } = await startLane(cancelled);
    const answer = await ask(address, "/v1/Open", { body: JSON.stringify(body) });
    expect(answer.status).toBe(400);
    expect(codeOf(answer)).toBe("invalid_argument");
    expect(JSON.stringify(answer.json)).toContain(named);
    expect(requests).toEqual([]);
  });

  test.each([
    ["no JSON", "{"],
    ["a list", "[]"],
    ["a word", "null"],
    ["nesting without end", "[".repeat(400_000)],
    ["an object nested without end", '{"name":'.repeat(50_000)],
  ])("refuses a body of %s", async (_what, body) => {
    const { address } = await startLane(cancelled);
    const answer = await ask(address, "/v1/Open", { body });
    expect([answer.status, codeOf(answer)]).toEqual([400, "invalid_argument"]);
  });

  test("counts as bad what it hangs up on, and not a call that it answers with what is wrong", async () => {
    const { address, lane } = await startLane(cancelled);
    const socket = raw(address);
    for (const body of ["{", '{"nmae":1}', "{}"]) {
      socket.write(head("/v1/Cancel", body.length) + body);
      await textOf(socket);
    }
    expect([lane.counters.badTotal, lane.counters.connections]).toEqual([0, 1]);
    socket.write("garbage\r\n\r\n");
    await allOf(socket);
    expect(lane.counters.badTotal).toBe(1);
  });

  test("does not count as bad a client that resets after a good answer", async () => {
    const { address, lane } = await startLane(cancelled);
    const socket = raw(address);
    socket.write(head("/v1/Cancel", 0));
    await textOf(socket);
    socket.resetAndDestroy();
    await eventually(() => lane.counters.connections === 0);
    expect(lane.counters.badTotal).toBe(0);
  });

  test("refuses a body that is not UTF-8", async () => {
    const { address } = await startLane(cancelled);
    const socket = raw(address);
    socket.write(`${head("/v1/Open", 12)}{"name":"\xff"}`, "latin1");
    expect(await textOf(socket)).toContain("not JSON in UTF-8");
  });

  test("refuses a body above the limit, declared or chunked, before it is parsed", async () => {
    const { address, requests } = await startLane(cancelled, { limits: { bodyBytesMax: 1_000 } });
    const body = JSON.stringify({ name: "x".repeat(1_000) });
    const declared = await ask(address, "/v1/Open", { body });
    expect([declared.status, codeOf(declared)]).toEqual([413, "frame_too_long"]);
    expect(declared.body).toContain('"outcome":"not-applied"');
    const socket = raw(address);
    const start = head("/v1/Open", 0).replace("content-length: 0", "transfer-encoding: chunked");
    socket.write(`${start}400\r\n${"x".repeat(1_024)}\r\n`);
    expect(await textOf(socket)).toContain("frame_too_long");
    const fits = await ask(address, "/v1/Cancel", { body: "{}".padEnd(1_000) });
    expect(fits.status).toBe(200);
    expect(requests).toHaveLength(1);
  });

  test.each([
    ["above the limit", "content-type: application/json"],
    ["of another type", "content-type: text/plain"],
  ])("does not lose the answer to a body %s while that still comes", async (_what, type) => {
    const { address, lane } = await startLane(cancelled, { limits: { lingerMs: 20_000 } });
    const socket = raw(address);
    const body = Buffer.alloc(16 << 20, " ");
    socket.pause();
    socket.write(
      `POST /v1/Open HTTP/1.1\r\nhost: localhost\r\n${type}\r\ncontent-length: ${body.length}\r\n\r\n`,
    );
    await eventually(() => lane.counters.badTotal === 1);
    const problem = await new Promise((resolve) => socket.write(body, resolve));
    expect(problem ?? undefined).toBeUndefined();
    const answer = allOf(socket);
    socket.resume();
    expect(await answer).toMatch(/^HTTP\/1.1 4\d\d /);
  });

  test("hangs up on who goes on sending a body that was refused", async () => {
    const { address, lane } = await startLane(cancelled, { limits: { lingerMs: 20 } });
    const socket = raw(address);
    socket.write(head("/v1/Open", 1 << 30));
    await textOf(socket);
    await eventually(() => lane.counters.connections === 0);
  });

  test.each([
    ["a form", { "content-type": "application/x-www-form-urlencoded" }],
    ["plain text", { "content-type": "text/plain" }],
    ["JSON's namesake", { "content-type": "application/jsonp" }],
    ["compressed JSON", { "content-encoding": "gzip" }],
  ])("refuses %s", async (_what, headers) => {
    const { address, requests } = await startLane(cancelled);
    const answer = await ask(address, "/v1/Cancel", { headers, body: "{}" });
    expect([answer.status, codeOf(answer)]).toEqual([400, "invalid_argument"]);
    expect(requests).toEqual([]);
  });

  test.each([
    ["another site's name", { host: "evil.example" }],
    ["a name that begins like ours", { host: "localhost.evil.example:80" }],
    ["an address of the network", { host: "10.0.0.1:7422" }],
    ["another site's page", { origin: "http://evil.example" }],
    ["a page without an origin", { origin: "null" }],
    ["a page of another port", { origin: "http://127.0.0.1:3000" }],
  ])("refuses a browser led here by %s", async (_what, headers) => {
    const { address, requests } = await startLane(cancelled);
    for (const path of ["/v1/Cancel", "/metrics", "/livez", "/"]) {
      const method = path === "/v1/Cancel" ? "POST" : "GET";
      const answer = await ask(address, path, { method, headers });
      expect([answer.status, codeOf(answer)]).toEqual([403, "permission_denied"]);
    }
    expect(requests).toEqual([]);
  });

  test("takes the names of this machine, and its own pages", async () => {
    const { address } = await startLane(cancelled);
    for (const host of ["localhost", "LOCALHOST:7422", "127.0.0.1:1", "[::1]:7422", "127.9.9.9"]) {
      const headers = { host, origin: `http://${host}` };
      expect((await ask(address, "/v1/Cancel", { headers })).status).toBe(200);
    }
  });

  test("answers an unknown path, and GET of a call, in the same form", async () => {
    const { address } = await startLane(cancelled);
    for (const [method, path, status] of [
      ["POST", "/v1/Nothing", 404],
      ["POST", "/v1/open", 404],
      ["POST", "/v1/__proto__", 404],
      ["GET", "/", 404],
      ["GET", "/v1/../../etc/passwd", 404],
      ["DELETE", "/metrics", 404],
      ["GET", "/v1/Open", 400],
    ] as const) {
      const answer = await ask(address, path, { method });
      expect([path, answer.status]).toEqual([path, status]);
      expect(codeOf(answer)).toBe(status === 404 ? "not_found" : "invalid_argument");
    }
  });

  test("serves the pages for operators", async () => {
    const { address } = await startLane(cancelled);
    const metrics = await ask(address, "/metrics?x=1", { method: "GET" });
    expect([metrics.status, metrics.body]).toEqual([200, "cubby_up 1\n"]);
    const live = await ask(address, "/livez", { method: "GET" });
    expect([live.status, live.json]).toEqual([200, { ok: true, reason: "" }]);
    const ready = await ask(address, "/readyz", { method: "GET" });
    expect([ready.status, ready.json]).toEqual([503, { ok: false, reason: "No master is known." }]);
  });

  test("answers internal when the metrics fail", async () => {
    const { address } = await startLane(cancelled, {
      pages: { metrics: () => Promise.reject(new Error("no")) },
    });
    expect((await ask(address, "/metrics", { method: "GET" })).status).toBe(500);
  });

  test("holds a call until its reply, and ends its virtual connection after that", async () => {
    const held: (() => void)[] = [];
    const { address, disconnected, lane } = await startLane((_lane, connection, request) => {
      held.push(() => cancelled(lane, connection, request));
    });
    const first = ask(address, "/v1/KeepAlive");
    const second = ask(address, "/v1/Cancel");
    await eventually(() => held.length === 2);
    expect([lane.has(1), lane.has(2), disconnected]).toEqual([true, true, []]);
    held[1]?.();
    held[1]?.();
    expect(disconnected).toEqual([]);
    expect((await second).status).toBe(200);
    held[0]?.();
    expect((await first).status).toBe(200);
    await eventually(() => disconnected.length === 2);
    expect([lane.has(1), lane.has(2)]).toEqual([false, false]);
  });

  test("tells the core of a client that leaves", async () => {
    const { address, requests, disconnected, lane } = await startLane(() => undefined);
    const socket = raw(address);
    socket.write(head("/v1/KeepAlive", 0));
    await eventually(() => requests.length === 1);
    socket.destroy();
    await eventually(() => disconnected.length === 1);
    lane.send(1, { tag: 1, clientEpoch: 0, result: { $case: "endSession", value: {} } });
  });

  test("refuses a call behind one that is held, once that is answered, and hangs up", async () => {
    const held: (() => void)[] = [];
    const { address, lane } = await startLane((_lane, connection, request) => {
      held.push(() => cancelled(lane, connection, request));
    });
    const socket = raw(address);
    socket.write(`${head("/v1/KeepAlive", 0)}${head("/v1/Cancel", 0)}`);
    const all = allOf(socket);
    await eventually(() => lane.counters.badTotal === 1);
    expect(held).toHaveLength(1);
    held[0]?.();
    const [, first, second] = (await all).split("HTTP/1.1 ");
    expect(first).toMatch(/^200 /);
    expect(second).toMatch(/^503 /);
    expect(second).toContain('"code":"overloaded"');
  });

  test("hangs up on a client that sends calls without end and waits for no answer", async () => {
    const { address, requests, lane } = await startLane(() => undefined);
    const socket = raw(address);
    socket.write(head("/v1/KeepAlive", 0) + head("/v1/GetContentsAndStat", 0).repeat(399));
    expect(await allOf(socket)).toBe("");
    expect([requests.length <= 1, lane.has(1)]).toEqual([true, false]);
  });

  test("takes one call after the other on a connection, and cuts none that is held", async () => {
    const { address, requests, lane, pass } = await startLane((on, connection, request) => {
      if (request.call?.$case === "cancel") cancelled(on, connection, request);
    });
    const socket = raw(address);
    for (let calls = 0; calls < 5; calls += 1) {
      socket.write(head("/v1/Cancel", 0));
      expect(await textOf(socket)).toContain("HTTP/1.1 200");
    }
    socket.write(head("/v1/KeepAlive", 0));
    await eventually(() => requests.length === 6);
    pass(1_000_000);
    lane.sweep();
    await new Promise(setImmediate);
    expect(lane.has(6)).toBe(true);
  });

  test("bounds the memory of unfinished bodies over all connections", async () => {
    const { address, requests } = await startLane(cancelled, {
      limits: { bodyTotalBytesMax: 1_000 },
    });
    const sockets = [raw(address), raw(address)];
    for (const socket of sockets) socket.write(head("/v1/Cancel", 601) + " ".repeat(600));
    const refused = await Promise.race(
      sockets.map(async (each) => ({ each, text: await textOf(each) })),
    );
    expect(refused.text).toContain('"code":"overloaded"');
    for (const socket of sockets.filter((each) => each !== refused.each)) socket.destroy();
    // What was held for them is free again.
    const padded = `{}${" ".repeat(898)}`;
    const free = async () => (await ask(address, "/v1/Cancel", { body: padded })).status === 200;
    while (!(await free())) await new Promise(setImmediate);
    expect(await free()).toBe(true);
    expect(requests).toHaveLength(2);
  });

  test("turns away calls above the cap", async () => {
    const { address, requests } = await startLane(() => undefined, {
      limits: { connectionsMax: 2 },
    });
    const socket = raw(address);
    socket.write(head("/v1/KeepAlive", 0));
    await eventually(() => requests.length === 1);
    const answer = await ask(address, "/v1/KeepAlive");
    expect([answer.status, codeOf(answer)]).toEqual([503, "overloaded"]);
  });

  test("keeps connections free for the pages, however many calls are held", async () => {
    const { address, requests, lane } = await startLane(() => undefined, {
      limits: { connectionsMax: 16 },
    });
    const sockets = Array.from({ length: 15 }, () => raw(address));
    // Headers first: none of them can be refused for calls that came before it.
    for (const socket of sockets) socket.write(head("/v1/KeepAlive", 2));
    await eventually(() => lane.counters.connections === 15);
    for (const socket of sockets) socket.write("{}");
    expect(await Promise.race(sockets.map((socket) => allOf(socket)))).toContain(
      '"code":"overloaded"',
    );
    await eventually(() => requests.length === 14 && lane.counters.connections === 14);
    expect((await ask(address, "/livez", { method: "GET" })).status).toBe(200);
    expect([lane.counters.refusedTotal, lane.counters.badTotal]).toEqual([1, 0]);
  });

  test.skipIf(process.platform !== "linux")(
    "has the kernel ask whether a silent client's machine still lives",
    async () => {
      const { address } = await startLane(cancelled);
      const socket = raw(address);
      socket.write(head("/v1/Cancel", 0));
      await textOf(socket);
      await eventually(() => hasKeepAliveTimer(address.port));
    },
  );

  test("sends no_quorum for a reply whose lease has ended", async () => {
    const started = await startLane((lane, connection, request) => {
      const reply = done(request, { $case: "getStat", value: STAT });
      lane.send(connection, reply, instant(1_000));
    });
    const answer = await ask(started.address, "/v1/GetStat");
    expect([answer.status, codeOf(answer)]).toEqual([503, "no_quorum"]);
  });

  test("ends a client that does not read its answer", async () => {
    const { address, requests, disconnected, lane, pass } = await startLane(large);
    const socket = raw(address);
    socket.pause();
    socket.write(head("/v1/GetContentsAndStat", 0));
    await eventually(() => requests.length === 1);
    lane.sweep();
    pass(HTTP_LANE_LIMITS.unreadMs);
    lane.sweep();
    await eventually(() => disconnected.length === 1);
    expect(lane.counters.slowTotal).toBe(1);
  });

  test("is not deceived by empty lines from a client that does not read", async () => {
    const { address, disconnected, lane } = await startLane(large, {
      limits: { unreadMs: 500, sweepMs: 20 },
      now: monotonicNow,
    });
    const socket = raw(address);
    socket.pause();
    socket.write(head("/v1/GetContentsAndStat", 0));
    dribble(socket);
    await eventually(() => disconnected.length === 1);
    expect(lane.counters.slowTotal).toBe(1);
  });

  test("lets a client be slow that does read", async () => {
    const { address, requests, lane, pass } = await startLane(large);
    const socket = raw(address);
    socket.pause();
    socket.write(head("/v1/GetContentsAndStat", 0));
    await eventually(() => requests.length === 1);
    let read = 0;
    socket.on("data", (chunk) => {
      read += chunk.length;
      socket.pause();
    });
    for (const mark of [0, 8, 16, 20]) {
      pass(HTTP_LANE_LIMITS.unreadMs - 1);
      lane.sweep();
      // More each time than the kernels of both sides hold of it.
      for (; read < mark << 20 && !socket.destroyed; await new Promise(setImmediate)) {
        socket.resume();
      }
    }
    expect(lane.counters.slowTotal).toBe(0);
  });

  test("ends a connection that is idle, whatever it sends that is no request", async () => {
    const { address, lane } = await startLane(cancelled, {
      limits: { idleMs: 20, headersMs: 30, sweepMs: 5 },
      now: monotonicNow,
    });
    const socket = raw(address);
    socket.write(head("/v1/Cancel", 0));
    expect(await textOf(socket)).toContain("HTTP/1.1 200");
    dribble(socket);
    await eventually(() => lane.counters.connections === 0);
    expect([lane.counters.slowTotal, lane.counters.badTotal]).toEqual([0, 0]);
  });

  test("counts the time of an idle connection from its last answer", async () => {
    const { address, lane, pass } = await startLane(cancelled);
    const { idleMs, headersMs } = HTTP_LANE_LIMITS;
    const socket = raw(address);
    for (let calls = 0; calls < 3; calls += 1) {
      pass(idleMs + headersMs - 1);
      lane.sweep();
      socket.write(head("/v1/Cancel", 0));
      expect(await textOf(socket)).toContain("HTTP/1.1 200");
    }
    pass(idleMs + headersMs);
    lane.sweep();
    await eventually(() => lane.counters.connections === 0);
  });

  test("ends headers and bodies that do not come to their end in time", async () => {
    const { address } = await startLane(cancelled, {
      limits: { headersMs: 30, requestMs: 60 },
    });
    const headers = raw(address);
    headers.write("POST /v1/Open HTTP/1.1\r\nHost: localhost\r\nX-Drip:");
    expect(await textOf(headers)).toContain("408");
    const body = raw(address);
    body.write(`${head("/v1/Open", 100)}{`);
    expect(await textOf(body)).toContain("408");
  });

  test.each([
    ["headers that do not end", "GET / HTTP/1.1\r\nHost: local"],
    ["garbage", "garbage\r\n\r\n"],
  ])("hangs up after %s on a client that does not", async (_what, bytes) => {
    const { address, lane } = await startLane(cancelled, {
      limits: { headersMs: 30, lingerMs: 30 },
    });
    const socket = connect({ ...address, allowHalfOpen: true });
    open.push({ close: () => socket.destroy() });
    socket.write(bytes);
    expect(await textOf(socket)).toContain('"code":"invalid_argument"');
    await eventually(() => lane.counters.connections === 0);
  });

  test.each([
    ["garbage", "\x00\x01\x02\x03\r\n\r\n", "400"],
    ["the session lane", "CUBBY/1 session\n\x00\x00", "400"],
    ["endless headers", `GET / HTTP/1.1\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, "431"],
    [
      "a call with two lengths",
      "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
      "400",
    ],
  ])("answers %s and lives", async (_what, bytes, status) => {
    const { address } = await startLane(cancelled);
    const socket = raw(address);
    socket.write(bytes);
    const text = await textOf(socket);
    expect(text).toContain(`HTTP/1.1 ${status}`);
    expect(text).toMatch(/"code":"invalid_argument".*"outcome":"not-applied"/);
  });
});

function raw(address: Address): Socket {
  const socket = connect(address);
  socket.on("error", () => socket.destroy());
  open.push({ close: () => socket.destroy() });
  return socket;
}

function head(path: string, bodyBytes: number): string {
  return `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${bodyBytes}\r\n\r\n`;
}

/** Of an accepted connection; its timer is of kind 2 when nothing else is under way. */
function hasKeepAliveTimer(port: number): boolean {
  const local = port.toString(16).toUpperCase().padStart(4, "0");
  const established = `^ *\\d+: [0-9A-F]+:${local} \\S+ 01 \\S+ 02:`;
  return new RegExp(established, "m").test(readFileSync("/proc/net/tcp", "utf8"));
}

/** Empty lines, which are no request, for as long as the connection lives. */
function dribble(socket: Socket): void {
  const lines = setInterval(() => socket.write("\r\n"), 5);
  socket.once("close", () => clearInterval(lines));
  open.push({ close: () => clearInterval(lines) });
}

/** What comes until the other side hangs up. */
function allOf(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.on("close", () => resolve(text));
  });
}

/** What comes until an answer is whole: its headers, and a body that ends in a brace. */
function textOf(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if (text.includes("\r\n\r\n") && text.endsWith("}")) resolve(text);
    });
    socket.on("close", () => resolve(text));
  });
}
