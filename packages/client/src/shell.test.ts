import { setTimeout as delay } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import { CubbyError, type Request } from "@cubby/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "./connect.ts";
import { ConnectionPool } from "./pool.ts";
import { FakeReplica, failure, until } from "./test-support/fake-replica.ts";

const PATH = "/ls/local/a";
const GRANTED = {
  $case: "acquire",
  value: { sequencer: new Uint8Array([1]), lockGeneration: 9 },
} as const;

let replica: FakeReplica;

beforeEach(async () => {
  replica = await FakeReplica.start();
});

afterEach(() => replica.close());

describe("the client over a socket", () => {
  it("opens a session, writes and reads a file, holds and releases its lock", async () => {
    await using cell = await connect(replica.url);
    expect(cell.state).toBe("safe");
    expect(cell.root).toBe("/ls/local");
    await using file = await cell.open(PATH, { create: true, lockDelay: "10s" });
    expect(file.created).toBe(true);
    await file.setContents("hello");
    const { contents, stat } = await file.getContentsAndStat();
    expect(contents.constructor).toBe(Uint8Array);
    expect(new TextDecoder().decode(contents)).toBe("hello");
    expect(stat.contentGeneration).toBe(2);
    {
      await using lock = await file.acquire();
      lock.assertHeld();
      expect(lock.held).toBe(true);
      expect(lock.sequencerText).toMatch(/^cs1\./);
      expect(replica.holders.size).toBe(1);
    }
    expect(replica.holders.size).toBe(0);
    expect(replica.numbersOf("keepAlive")).toEqual([0]);
  });

  it("leaves no connection behind once the session is closed", async () => {
    const cell = await connect(replica.url);
    await cell.close();
    await cell.close();
    expect(cell.state).toBe("closed");
    await expect(cell.stat(PATH)).rejects.toMatchObject({ code: "client_closed" });
    await until(() => replica.openSockets.length === 0);
  });

  it("leaves no timer behind that would keep the process alive", async () => {
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;
    const before = timers();
    const cell = await connect(replica.url);
    await cell.close();
    // The replica may know that the connection has ended a turn before the client does.
    await until(() => replica.openSockets.length === 0 && timers() <= before);
  });

  it("carries all calls of a turn in one write, answered in any order", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    let chunks = 0;
    for (const socket of replica.openSockets) {
      socket.on("data", () => {
        chunks += 1;
      });
    }
    const stats = await Promise.all(
      Array.from({ length: 100 }, (_, i) => file.setContents(`${i}`)),
    );
    expect(stats.at(-1)?.contentGeneration).toBe(101);
    expect(chunks).toBeLessThan(5);
  });

  it("shares one connection among the sessions of a pool", async () => {
    const pool = new ConnectionPool();
    await using first = await connect(replica.url, { pool });
    await using second = await connect(replica.url, { pool });
    expect(first.id).not.toBe(second.id);
    expect(replica.connectionCount).toBe(1);
    await using file = await first.open(PATH, { create: true });
    await using other = await second.open(PATH);
    await using _lock = await file.acquire();
    expect(await other.tryAcquire()).toBeUndefined();
    await first.close();
    expect(second.state).toBe("safe");
    expect(await other.tryAcquire()).toBeDefined();
  });

  it("repeats a write under its number when the connection breaks", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    let drops = 1;
    replica.intercept = (request) => {
      if (request.call?.$case !== "setContents" || drops === 0) return "default";
      drops -= 1;
      replica.cut();
      return undefined;
    };
    const stat = await file.setContents("x");
    expect(stat.contentGeneration).toBe(2);
    expect(replica.numbersOf("setContents")).toEqual([2, 2]);
    expect(replica.connectionCount).toBe(2);
  });

  it("makes a file together with its contents, in one step", async () => {
    await using cell = await connect(replica.url);
    const stat = await cell.write(PATH, "first");
    expect(stat.contentGeneration).toBe(1);
    expect(replica.numbersOf("setContents")).toEqual([]);
    expect(Buffer.from((await cell.read(PATH)).contents).toString()).toBe("first");
    expect((await cell.write(PATH, "second")).contentGeneration).toBe(2);
    const conditional = cell.write("/ls/local/b", "x", { ifGeneration: 1 });
    await expect(conditional).rejects.toMatchObject({ code: "not_found" });
    expect([...replica.files.keys()]).toEqual([PATH]);
  });

  it("has few nodes open at a time, however many are read at once", async () => {
    await using cell = await connect(replica.url);
    await cell.write(PATH, "x");
    const before = replica.requests.length;
    await Promise.all(Array.from({ length: 1_500 }, () => cell.read(PATH)));
    const depths = { now: 0, most: 0 };
    for (const { call } of replica.requests.slice(before)) {
      depths.now += call?.$case === "open" ? 1 : call?.$case === "close" ? -1 : 0;
      depths.most = Math.max(depths.most, depths.now);
    }
    expect(depths.most).toBeGreaterThan(200);
    expect(depths.most).toBeLessThanOrEqual(256);
  });

  it("ends a read that waits for others to end, when it is told to", async () => {
    await using cell = await connect(replica.url);
    await cell.write(PATH, "x");
    replica.intercept = ({ call }) =>
      call?.$case === "getContentsAndStat" ? undefined : "default";
    const others = Array.from({ length: 256 }, () => cell.read(PATH, { timeoutMs: 300 }));
    const controller = new AbortController();
    const aborted = cell.read(PATH, { signal: controller.signal });
    const late = cell.read(PATH, { timeoutMs: 1 });
    const served = cell.stat(PATH);
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ code: "cancelled", outcome: "not-applied" });
    await expect(late).rejects.toMatchObject({ code: "deadline_exceeded", outcome: "not-applied" });
    await Promise.allSettled(others);
    await served;
  });

  it("reads all pages of a directory", async () => {
    await using cell = await connect(replica.url);
    await using directory = await cell.open(PATH, { create: true });
    replica.intercept = ({ call }) => {
      if (call?.$case !== "readDir") return "default";
      const names = call.value.after === "" ? ["a", "b"] : ["c"];
      const stat = replica.statOf(PATH);
      const entries = names.map((name) => ({ name, stat }));
      return { $case: "readDir", value: { entries, more: call.value.after === "" } };
    };
    expect((await directory.readDir()).map(({ name }) => name)).toEqual(["a", "b", "c"]);
    expect(replica.requests.filter((r) => r.call?.$case === "readDir")).toHaveLength(2);
  });

  it("has one time for all pages of a directory", async () => {
    await using cell = await connect(replica.url);
    await using directory = await cell.open(PATH, { create: true });
    replica.intercept = (request) => {
      if (request.call?.$case !== "readDir") return "default";
      const name = `${request.call.value.after}a`;
      const value = { entries: [{ name, stat: replica.statOf(PATH) }], more: name !== "aaaaa" };
      const socket = replica.openSockets[0];
      void delay(60).then(
        () => socket && replica.reply(socket, request, { $case: "readDir", value }),
      );
      return undefined;
    };
    const late = { code: "deadline_exceeded", outcome: "not-applied" };
    await expect(directory.readDir({ timeoutMs: 150 })).rejects.toMatchObject(late);
    await expect(cell.list(PATH, { timeoutMs: 150 })).rejects.toMatchObject(late);
    expect(await directory.readDir()).toHaveLength(5);
  });
});

describe("bad bytes and bad peers", () => {
  it("drops a connection that brings garbage and makes another", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    const noise = new Uint8Array(64).fill(0xff);
    replica.sendRaw(noise);
    await until(() => replica.connectionCount === 2);
    await file.setContents("still here");
    expect(cell.state).toBe("safe");
  });

  it("drops a connection whose frame does not match its checksum", async () => {
    await using cell = await connect(replica.url);
    replica.sendRaw(new Uint8Array([4, 0, 0, 0, 1, 2, 3, 4, 9, 9, 9, 9]));
    await until(() => replica.connectionCount === 2);
    expect((await cell.open(PATH, { create: true })).created).toBe(true);
  });

  it("says that nobody listens", async () => {
    const other = await FakeReplica.start();
    const { url } = other;
    await other.close();
    const error = await connect(url, { connectTimeoutMs: 100 }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(CubbyError);
    expect(error).toMatchObject({ code: "unreachable", outcome: "not-applied", retryable: true });
    expect(String(error)).toContain("the connection was refused (ECONNREFUSED)");
  });

  it("says so when a replica accepts connections and stays silent", async () => {
    replica.intercept = () => undefined;
    const connecting = connect(replica.url, { connectTimeoutMs: 150 });
    await expect(connecting).rejects.toMatchObject({ code: "unreachable" });
  });

  it("refuses a cell of another name", async () => {
    const url = replica.url.replace("/local", "/other");
    const connecting = connect(url, { connectTimeoutMs: 100 });
    await expect(connecting).rejects.toMatchObject({ code: "handshake_failed" });
  });

  it("can be told to stop connecting", async () => {
    replica.intercept = () => undefined;
    const controller = new AbortController();
    const connecting = connect(replica.url, { signal: controller.signal });
    await until(() => replica.requests.length > 0);
    controller.abort(new Error("enough"));
    await expect(connecting).rejects.toMatchObject({
      code: "cancelled",
      cause: { message: "enough" },
    });
    await until(() => replica.openSockets.length === 0);
  });

  it("refuses arguments before it sends anything", async () => {
    await expect(connect("http://x")).rejects.toMatchObject({ code: "invalid_argument" });
    await expect(connect(replica.url, { leaseMs: 1 })).rejects.toMatchObject({
      code: "invalid_argument",
    });
    await using cell = await connect(replica.url);
    const sent = replica.requests.length;
    await expect(cell.open("/etc/passwd")).rejects.toMatchObject({ code: "invalid_name" });
    await expect(cell.open(PATH, { create: true, lockDelay: "90s" })).rejects.toMatchObject({
      code: "invalid_argument",
    });
    await expect(cell.open(PATH, { ephemeral: true })).rejects.toMatchObject({
      code: "invalid_argument",
    });
    await expect(cell.checkSequencer(PATH, "junk")).rejects.toMatchObject({
      code: "sequencer_malformed",
    });
    expect(replica.requests.slice(sent).map((r) => r.call?.$case)).not.toContain("open");
  });
});

describe("aborting a call", () => {
  it("sends nothing when the signal is aborted already", async () => {
    await using cell = await connect(replica.url);
    const signal = AbortSignal.abort(new Error("no"));
    const opening = cell.open(PATH, { create: true, signal });
    await expect(opening).rejects.toMatchObject({ code: "cancelled", outcome: "not-applied" });
    expect(replica.numbersOf("open")).toEqual([]);
  });

  it("cancels a waiting acquire at the master", async () => {
    await using cell = await connect(replica.url);
    await using first = await cell.open(PATH, { create: true });
    await using second = await cell.open(PATH, { write: true });
    await using _lock = await first.acquire();
    const controller = new AbortController();
    const waiting = second.acquire({ signal: controller.signal });
    await until(() => replica.numbersOf("acquire").length === 2);
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: "cancelled" });
    await until(() => replica.numbersOf("cancel").length === 1);
  });

  it("puts one listener on the signal for all calls, which Node does not warn of", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    await Promise.all(Array.from({ length: 20 }, () => file.getStat({ signal })));
    expect(listeners).toBe(1);
  });

  it("leaves no listener on the signal behind", async () => {
    await using cell = await connect(replica.url);
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    await cell.open(PATH, { create: true, signal });
    expect(listeners).toBe(0);
  });
});

describe("handles", () => {
  it("closes without failing, twice, and ends what waits on it (API-2)", async () => {
    await using cell = await connect(replica.url);
    await using holder = await cell.open(PATH, { create: true });
    await using _lock = await holder.acquire();
    const file = await cell.open(PATH, { write: true });
    const waiting = file.acquire();
    replica.intercept = ({ call }) => (call?.$case === "close" ? failure("internal") : "default");
    await file.close();
    await file.close();
    await expect(waiting).rejects.toMatchObject({ code: "cancelled" });
    await expect(file.getStat()).rejects.toMatchObject({ code: "stale_handle" });
    expect(replica.numbersOf("close")).toHaveLength(1);
  });

  it("fails everything at once when it is poisoned, and can still be closed (API-3)", async () => {
    await using cell = await connect(replica.url);
    const file = await cell.open(PATH, { create: true });
    replica.intercept = ({ call }) => (call?.$case === "getStat" ? undefined : "default");
    const stat = file.getStat();
    file.poison();
    await expect(stat).rejects.toMatchObject({ code: "handle_poisoned" });
    await expect(file.setContents("x")).rejects.toMatchObject({ code: "handle_poisoned" });
    await file.close();
    expect(replica.numbersOf("close")).toHaveLength(1);
  });

  it("that are poisoned ask and open nothing either", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    const { sequencer } = await file.acquire();
    replica.intercept = ({ call }) =>
      call?.$case === "checkSequencer" || call?.$case === "open" ? undefined : "default";
    const underWay = [file.checkSequencer(sequencer), file.open("child")];
    file.poison();
    for (const call of [...underWay, file.checkSequencer(sequencer), file.open("child")]) {
      await expect(call).rejects.toMatchObject({ code: "handle_poisoned" });
    }
  });

  it("says for ever that the session expired, but for close (HND-4)", async () => {
    const cell = await connect(replica.url);
    const file = await cell.open(PATH, { create: true });
    replica.intercept = ({ call }) =>
      call?.$case === "getStat" ? failure("session_expired", "over") : "default";
    await expect(file.getStat()).rejects.toMatchObject({ code: "session_expired" });
    await expect(file.setContents("x")).rejects.toMatchObject({ code: "session_expired" });
    expect(cell.state).toBe("expired");
    await file.close();
    await expect(file.getStat()).rejects.toMatchObject({ code: "session_expired" });
    await cell.close();
    await expect(file.setContents("x")).rejects.toMatchObject({ code: "session_expired" });
  });
});

describe("a lock", () => {
  it("is not relied on past the deadline although no timer has run", async () => {
    replica.leaseMs = 1_000;
    await using cell = await connect(replica.url);
    const file = await cell.open(PATH, { create: true });
    const lock = await file.acquire();
    lock.assertHeld();
    const { signal } = lock;
    const start = performance.now();
    while (performance.now() - start < 1_000) {
      // The event loop stands still.
    }
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ code: "session_jeopardy" }));
    expect(lock.held).toBe(false);
    expect(cell.state).toBe("jeopardy");
    // A timer has not run, and jeopardy is not loss: the signal is no substitute for the check.
    expect(signal.aborted).toBe(false);
  });

  it("and its session are over when the grace period is, although no timer has run", async () => {
    replica.leaseMs = 1_000;
    await using cell = await connect(replica.url, { gracePeriodMs: 500 });
    const file = await cell.open(PATH, { create: true });
    const lock = await file.acquire();
    const start = performance.now();
    while (performance.now() - start < 1_500) {
      // The event loop stands still.
    }
    expect(() => lock.assertHeld()).toThrow(/the session has expired/);
    expect(cell.state).toBe("expired");
  });

  it("is lost with its session, with a typed reason", async () => {
    await using cell = await connect(replica.url);
    const notices: string[] = [];
    cell.onState((notice) => notices.push(notice));
    await using file = await cell.open(PATH, { create: true });
    await using lock = await file.acquire();
    const { signal } = lock;
    replica.intercept = ({ call }) =>
      call?.$case === "getStat" ? failure("session_expired", "over") : "default";
    await file.getStat().catch(() => undefined);
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ code: "lock_lost", retryable: false });
    expect(() => lock.assertHeld()).toThrow(/the session has expired/);
    expect(notices).toEqual(["expired"]);
    expect(await lock.release()).toBe(false);
  });

  it("is lost with a session whose end is heard of no sooner than its jeopardy", async () => {
    replica.leaseMs = 1_000;
    await using cell = await connect(replica.url);
    const notices: string[] = [];
    cell.onState((notice) => notices.push(notice));
    const file = await cell.open(PATH, { create: true });
    const { signal } = await file.acquire();
    replica.intercept = ({ call }) => {
      if (call?.$case !== "getStat") return "default";
      const start = performance.now();
      while (performance.now() - start < 1_000) {
        // The event loop stands still: the lease runs out meanwhile.
      }
      return failure("session_expired", "over");
    };
    await file.getStat().catch(() => undefined);
    expect(notices).toEqual(["jeopardy", "expired"]);
    expect(signal.reason).toMatchObject({ code: "lock_lost" });
  });

  it("is lost with its node", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    await using lock = await file.acquire();
    replica.intercept = ({ call }) =>
      call?.$case === "getStat" ? failure("stale_handle") : "default";
    await file.getStat().catch(() => undefined);
    expect(lock.signal.aborted).toBe(true);
    expect(() => lock.assertHeld()).toThrow(/the node was deleted/);
  });

  it("is lost by its holder's own deletion of the node", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    await using lock = await file.acquire();
    replica.intercept = ({ call }) =>
      call?.$case === "delete" ? { $case: "delete", value: {} } : "default";
    await file.delete();
    expect(lock.held).toBe(false);
    expect(lock.signal.reason).toMatchObject({ code: "lock_lost" });
  });

  it("is lost when its own sequencer, set on its handle, is refused", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    await using other = await cell.open("/ls/local/b", { create: true });
    await using lock = await file.acquire();
    await using otherLock = await other.acquire();
    replica.intercept = ({ call }) =>
      call?.$case === "getStat" ? failure("sequencer_stale", "the node is gone.") : "default";
    file.setSequencer(otherLock.sequencer);
    await file.getStat().catch(() => undefined);
    expect(lock.held).toBe(true);
    file.setSequencer(lock.sequencer);
    await file.getStat().catch(() => undefined);
    expect(lock.signal.reason).toMatchObject({ code: "lock_lost" });
    expect(() => lock.assertHeld()).toThrow(/: the node is gone\.$/);
    expect(otherLock.held).toBe(true);
  });

  it("is released once, and a release that fails does not hide the body's error", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    replica.intercept = ({ call }) => (call?.$case === "release" ? failure("internal") : "default");
    const work = async (): Promise<void> => {
      await using lock = await file.acquire();
      expect(lock.held).toBe(true);
      throw new Error("the body's own");
    };
    await expect(work()).rejects.toThrow("the body's own");
    replica.intercept = () => "default";
    const lock = await file.acquire();
    expect(await lock.release()).toBe(true);
    expect(await lock.release()).toBe(true);
    expect(() => lock.assertHeld()).toThrow(/it was released/);
    expect(replica.numbersOf("release")).toHaveLength(2);
  });

  it("is still to be released after a release of its handle that was never sent", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    const lock = await file.acquire();
    await expect(file.release({ signal: AbortSignal.abort() })).rejects.toThrow(/cancelled/);
    await expect(file.release({ timeoutMs: -1 })).rejects.toThrow(/invalid_argument/);
    file.poison();
    await expect(file.release()).rejects.toThrow(/handle_poisoned/);
    expect(lock.held).toBe(true);
    expect(await lock.release()).toBe(true);
    expect(replica.holders.size).toBe(0);
  });

  it("that was acquired twice is one: releasing either releases both", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    const [one, two] = [await file.acquire(), await file.acquire()];
    const { signal } = two;
    // Whoever hears of it and lets go as well has nothing to give back.
    signal.addEventListener("abort", () => void one.release());
    expect(await one.release()).toBe(true);
    expect(two.held).toBe(false);
    expect(signal.reason).toMatchObject({ code: "lock_lost" });
    expect(one.signal.aborted).toBe(false);
    expect(await two.release()).toBe(false);
    expect(replica.numbersOf("release")).toHaveLength(1);
  });

  it("that is asked for while it is released is asked for behind the others that wait", async () => {
    await using cell = await connect(replica.url);
    await using other = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    await using otherFile = await other.open(PATH, { write: true });
    const first = await file.acquire();
    const others = otherFile.acquire();
    await until(() => replica.numbersOf("acquire").length === 2);
    // Two users of one handle: what the first one lets go, the second one never had.
    const again = file.acquire();
    const releasing = first.release();
    const theirs = await others;
    expect(await releasing).toBe(true);
    expect(theirs.held).toBe(true);
    expect(await file.tryAcquire()).toBeUndefined();
    await theirs.release();
    const ours = await again;
    expect(ours.held).toBe(true);
    expect(await otherFile.tryAcquire()).toBeUndefined();
  });

  it("that is released by who hears of a loss is not held although its grant came with the news", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    await using node = await cell.open("/ls/local/b", { create: true });
    const lock = await file.acquire();
    const lost = await node.acquire();
    lost.signal.addEventListener("abort", () => void lock.release());
    let acquire: Request | undefined;
    replica.intercept = (request) => {
      if (request.call?.$case === "getStat") {
        const socket = replica.openSockets[0];
        // Both answers arrive in one chunk.
        socket?.cork();
        if (socket !== undefined) replica.reply(socket, request, failure("stale_handle"));
        if (socket !== undefined && acquire !== undefined) replica.reply(socket, acquire, GRANTED);
        socket?.uncork();
        return undefined;
      }
      if (request.call?.$case !== "acquire") return "default";
      acquire = request;
      return undefined;
    };
    const again = file.acquire();
    await until(() => acquire !== undefined);
    await node.getStat().catch(() => undefined);
    expect((await again).held).toBe(false);
  });

  for (const refusedMs of [5, 2_300]) {
    it(`is held by one only, though a release was refused for ${refusedMs} ms`, async () => {
      await using cell = await connect(replica.url);
      await using other = await connect(replica.url);
      await using file = await cell.open(PATH, { create: true });
      await using otherFile = await other.open(PATH, { write: true });
      const lock = await file.acquire();
      const since = performance.now();
      let isCarriedOut = false;
      replica.intercept = ({ call }) => {
        if (call?.$case !== "release") return "default";
        isCarriedOut = performance.now() - since >= refusedMs;
        return isCarriedOut ? "default" : failure("overloaded");
      };
      const releasing = lock.release();
      if (refusedMs > 2_000) expect(await releasing).toBe(false);
      const again = await file.acquire();
      await until(() => isCarriedOut);
      expect(again.held).toBe(true);
      expect(await otherFile.tryAcquire()).toBeUndefined();
      expect(await again.release()).toBe(true);
    });
  }

  it("that is granted while its handle closes is given back by a Cancel, ahead of the Close", async () => {
    await using cell = await connect(replica.url);
    const file = await cell.open(PATH, { create: true });
    const holdersThen: number[] = [];
    replica.intercept = ({ call }) => {
      if (call?.$case === "cancel" || call?.$case === "close") {
        holdersThen.push(replica.holders.size);
      }
      return "default";
    };
    const trying = file.tryAcquire();
    const closing = file.close();
    await expect(trying).rejects.toMatchObject({ code: "cancelled", outcome: "unknown" });
    await closing;
    expect(holdersThen).toEqual([1, 0]);
    const kinds = replica.requests.map(({ call }) => call?.$case).slice(-3);
    expect(kinds).toEqual(["acquire", "cancel", "close"]);
  });

  it("that was granted as its handle is closed is not held, and the Close frees it", async () => {
    await using cell = await connect(replica.url);
    const file = await cell.open(PATH, { create: true });
    await using node = await cell.open("/ls/local/b", { create: true });
    const lost = await node.acquire();
    let closing: Promise<void> | undefined;
    lost.signal.addEventListener("abort", () => {
      closing = file.close();
    });
    let acquire: Request | undefined;
    replica.intercept = (request) => {
      const socket = replica.openSockets[0];
      if (request.call?.$case === "getStat" && socket !== undefined && acquire !== undefined) {
        replica.intercept = () => "default";
        // Both answers arrive in one chunk.
        socket.cork();
        replica.reply(socket, request, failure("stale_handle"));
        replica.reply(socket, acquire);
        socket.uncork();
        return undefined;
      }
      if (request.call?.$case !== "acquire") return "default";
      acquire = request;
      return undefined;
    };
    const trying = file.tryAcquire();
    await until(() => acquire !== undefined);
    await node.getStat().catch(() => undefined);
    const lock = await trying;
    expect(lock?.held).toBe(false);
    expect(replica.holders.has(PATH)).toBe(true);
    await closing;
    expect(replica.holders.has(PATH)).toBe(false);
    expect(await lock?.release()).toBe(false);
  });

  for (const answer of [undefined, failure("overloaded")]) {
    const fate = answer === undefined ? "lost" : "refused for the moment";
    it(`that was asked for once, ${fate}, is not asked for again after its handle was closed`, async () => {
      await using cell = await connect(replica.url);
      const file = await cell.open(PATH, { create: true });
      replica.intercept = ({ call }) => (call?.$case === "acquire" ? answer : "default");
      const trying = file.tryAcquire();
      await until(() => replica.numbersOf("acquire").length === 1);
      const closing = file.close();
      await expect(trying).rejects.toMatchObject({ code: "cancelled" });
      await closing;
      // A master that did not see the Close knows the handle by its token, and would grant it (FO-8).
      replica.intercept = () => "default";
      replica.cut();
      await cell.open(PATH);
      await delay(50);
      expect(replica.numbersOf("acquire")).toHaveLength(1);
      expect(replica.holders.size).toBe(0);
    });
  }

  it("is not waited for by a close while the cell is away, and is given back later", async () => {
    await using cell = await connect(replica.url);
    const file = await cell.open(PATH, { create: true });
    replica.intercept = () => undefined;
    const trying = file.tryAcquire();
    await until(() => replica.numbersOf("acquire").length === 1);
    replica.cut();
    const closing = file.close();
    await expect(trying).rejects.toMatchObject({ code: "cancelled", outcome: "unknown" });
    await closing;
    replica.intercept = () => "default";
    await until(() => replica.numbersOf("close").length > 0);
    expect(replica.numbersOf("cancel")).not.toEqual([]);
    expect(replica.numbersOf("acquire")).toHaveLength(1);
    expect(replica.holders.size).toBe(0);
  });

  it("is undefined when somebody else has it, and not an exception", async () => {
    await using cell = await connect(replica.url);
    await using first = await cell.open(PATH, { create: true });
    await using second = await cell.open(PATH, { write: true });
    await using lock = await first.tryAcquire();
    expect(lock).toBeDefined();
    expect(await second.tryAcquire()).toBeUndefined();
  });
});

describe("late errors", () => {
  it("never become unhandled rejections of a call that nobody awaits", async () => {
    const unhandled: unknown[] = [];
    const listen = (reason: unknown): void => {
      unhandled.push(reason);
    };
    process.on("unhandledRejection", listen);
    try {
      const cell = await connect(replica.url, { requestTimeoutMs: 20 });
      const file = await cell.open(PATH, { create: true });
      replica.intercept = () => undefined;
      void file.setContents("nobody waits for this");
      void file.acquire();
      void cell.open("not a path");
      void cell.read(PATH);
      void file.readDir();
      void file.entries().next();
      void cell.elect(PATH, { value: "x" }, () => 1);
      void connect("no address");
      await delay(40);
      const closing = cell.close();
      replica.cut();
      await closing;
      await delay(5);
    } finally {
      process.off("unhandledRejection", listen);
    }
    expect(unhandled).toEqual([]);
  });

  it("of a listener are warnings, and stop nothing", async () => {
    const warnings: unknown[] = [];
    const listen = (warning: unknown): void => {
      warnings.push(warning);
    };
    process.on("warning", listen);
    try {
      const cell = await connect(replica.url);
      const notices: string[] = [];
      cell.onState(() => {
        throw new Error("a listener's mistake");
      });
      // What no text can be made of, by itself; and a promise that is not of this realm.
      cell.onState(() => {
        throw Object.create(null);
      });
      cell.onState(() => runInNewContext("Promise.reject(new Error('a foreign mistake'))"));
      const fails = (): unknown => Promise.reject(new Error("a later mistake"));
      cell.onState(fails);
      cell.onState((notice) => notices.push(notice));
      await cell.close();
      expect(notices).toEqual(["closed"]);
      await until(() => warnings.length > 3);
    } finally {
      process.off("warning", listen);
    }
  });
});
