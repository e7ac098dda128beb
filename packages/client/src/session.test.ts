import type { Request } from "@cubby/protocol";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connect } from "./connect.ts";
import { FakeReplica, failure, until } from "./test-support/fake-replica.ts";

const PATH = "/ls/local/a";
const CALLS_OF_A_NODE = new Set(["getContentsAndStat", "setContents", "readDir", "delete"]);

let replica: FakeReplica;

beforeEach(async () => {
  replica = await FakeReplica.start();
});

afterEach(() => replica.close());

describe("a session", () => {
  it("ends, for everyone who closes it, though whoever hears of a lost lock closes it too", async () => {
    const cell = await connect(replica.url);
    const file = await cell.open(PATH, { create: true });
    const { signal } = await file.acquire();
    let closing: Promise<void> | undefined;
    signal.addEventListener("abort", () => {
      closing = cell.close();
    });
    await cell.close();
    await closing;
    expect(closing).toBeDefined();
    expect(replica.numbersOf("endSession")).toHaveLength(1);
  });

  it("knows how long it has been in jeopardy, also when it has heard of it only now", async () => {
    let frozenMs = 0;
    const clock = performance.now.bind(performance);
    vi.spyOn(performance, "now").mockImplementation(() => clock() + frozenMs);
    // None may run once the clock has gone back.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      await using cell = await connect(replica.url);
      expect(cell.jeopardyMs).toBeUndefined();
      frozenMs = replica.leaseMs + 30_000;
      expect(cell.state).toBe("jeopardy");
      expect(cell.jeopardyMs).toBeGreaterThanOrEqual(30_000);
      expect(cell.jeopardyMs).toBeLessThan(45_000);
      frozenMs = replica.leaseMs + 50_000;
      expect([cell.state, cell.jeopardyMs]).toEqual(["expired", undefined]);
    } finally {
      vi.useRealTimers();
      vi.restoreAllMocks();
    }
  });

  it("opens under the sequencer that it is given, and a directory's own goes before", async () => {
    await using cell = await connect(replica.url);
    await using directory = await cell.open(PATH, { create: true });
    const { sequencer } = await directory.acquire();
    replica.intercept = ({ call, guard }) =>
      call?.$case === "open" && guard.length === 1 ? failure("sequencer_stale") : "default";
    const how = { create: true, contents: "x", sequencer: new Uint8Array([7]) };
    const stale = { code: "sequencer_stale", outcome: "not-applied" };
    await expect(cell.open("/ls/local/b", how)).rejects.toMatchObject(stale);
    await expect(directory.open("b", how)).rejects.toMatchObject(stale);
    expect([...replica.files.keys()]).toEqual([PATH]);
    directory.setSequencer(sequencer);
    await directory.open("b", how);
  });

  it("calls a listener as often as it was added, and not once it was taken off", async () => {
    const cell = await connect(replica.url);
    const notices: string[] = [];
    const listener = (notice: string): unknown => notices.push(notice);
    const stop = cell.onState(listener);
    cell.onState(listener);
    cell.onState(listener);
    stop();
    cell.onState(() => stopLast());
    const stopLast = cell.onState(() => notices.push("taken off by the one before"));
    await cell.close();
    expect(notices).toEqual(["closed", "closed"]);
  });

  it("that is closed as a lock is granted tells of its loss at once", async () => {
    const cell = await connect(replica.url);
    const file = await cell.open(PATH, { create: true });
    const node = await cell.open("/ls/local/b", { create: true });
    const lost = await node.acquire();
    let closing: Promise<void> | undefined;
    lost.signal.addEventListener("abort", () => {
      closing = cell.close();
    });
    let acquire: Request | undefined;
    replica.intercept = (request) => {
      const kind = request.call?.$case;
      if (kind === "acquire") acquire = request;
      const [socket] = replica.openSockets;
      if (kind === "getStat" && socket !== undefined && acquire !== undefined) {
        // Both answers arrive in one chunk; that to EndSession never does.
        socket.cork();
        replica.reply(socket, request, failure("stale_handle"));
        replica.intercept = () => "default";
        replica.reply(socket, acquire);
        replica.intercept = () => undefined;
        socket.uncork();
      }
      return kind === "acquire" || kind === "getStat" ? undefined : "default";
    };
    const acquiring = file.acquire();
    await until(() => acquire !== undefined);
    await node.getStat().catch(() => undefined);
    const { held, signal } = await acquiring;
    expect(held).toBe(false);
    expect(signal.reason).toMatchObject({ message: expect.stringMatching(/was closed/) });
    await closing;
  });

  it("takes a node that is deleted between open and call for one that is not there", async () => {
    await using cell = await connect(replica.url);
    const calls = {
      read: () => cell.read(PATH),
      remove: () => cell.remove(PATH),
      list: () => cell.list(PATH),
      swap: () => cell.write(PATH, "x", { ifGeneration: 1 }),
    };
    replica.intercept = ({ call }) => {
      if (!CALLS_OF_A_NODE.has(call?.$case ?? "")) return "default";
      replica.files.delete(PATH);
      return failure("stale_handle", "it was deleted");
    };
    for (const [name, call] of Object.entries(calls)) {
      replica.files.set(PATH, { contents: new Uint8Array(0), generation: 1 });
      const gone = { code: "not_found", outcome: "not-applied", cause: { code: "stale_handle" } };
      await expect(call(), name).rejects.toMatchObject(gone);
    }
    replica.files.set(PATH, { contents: new Uint8Array(0), generation: 1 });
    // What is written without a condition is made anew, like what was never there.
    expect((await cell.write(PATH, "anew")).sizeBytes).toBe(4);
  });

  it("says not-applied of a call whose open got no answer, unless that could make a node", async () => {
    await using cell = await connect(replica.url, { closeTimeoutMs: 0, requestTimeoutMs: 20 });
    replica.intercept = ({ call }) => (call?.$case === "open" ? undefined : "default");
    const calls = [
      cell.read(PATH),
      cell.stat(PATH),
      cell.list(PATH),
      cell.remove(PATH),
      cell.write(PATH, "x"),
      cell.open(PATH, { write: true }),
    ];
    for (const call of calls) {
      const late = { code: "deadline_exceeded", outcome: "not-applied" };
      await expect(call).rejects.toMatchObject(late);
    }
    for (const call of [cell.mkdir(PATH), cell.open(PATH, { create: true })]) {
      await expect(call).rejects.toMatchObject({ outcome: "unknown" });
    }
  });

  it.each(["setContents", "open"])(
    "has one time for all parts of a write, the last of them %s",
    async (last) => {
      await using cell = await connect(replica.url);
      if (last === "setContents") await cell.write(PATH, "x");
      replica.intercept = ({ call }) => {
        if (call?.$case === "setContents") return undefined;
        if (call?.$case !== "open") return "default";
        if (call.value.create !== 0) return undefined;
        // The first part takes its share.
        for (const until = performance.now() + 110; performance.now() < until; );
        return "default";
      };
      const error = await cell.write(PATH, "y", { timeoutMs: 300 }).catch((e: unknown) => e);
      expect(error).toMatchObject({ code: "deadline_exceeded" });
      const [, part, ms] = /(\w+) was not answered within (\d+) ms/.exec(String(error)) ?? [];
      expect(part).toBe(last);
      expect(Number(ms)).toBeLessThan(200);
    },
  );
});
