import { Command, LockMode, NodeKind, Request } from "@cubby/protocol";
import { describe, expect, it, vi } from "vitest";
import { Call } from "./master/call.ts";
import { HELD_BYTES_MAX, HeldRequests } from "./master/held-requests.ts";
import { DELAY_ENDS_UNDER_WAY_MAX } from "./master/lock-delay-timers.ts";
import { MasterSession } from "./master/master-session.ts";
import { checkHandle } from "./master/open-handles.ts";
import { Waiters } from "./master/waiters.ts";
import { CellState } from "./state/cell-state.ts";
import { Session } from "./state/session.ts";
import {
  codeOf,
  connection,
  Harness,
  openCall,
  setCall,
  TestSession,
} from "./test-support/harness.ts";

const SHARED = LockMode.SHARED;

/** Little room for results, which a hostile session fills; a polite one may wait for a lock that is held. */
function crowded() {
  const harness = new Harness(1, { resultBytesMax: 6_000 });
  const [hostile, holder, polite] = [
    new TestSession(harness),
    new TestSession(harness),
    new TestSession(harness),
  ];
  const path = `/ls/local/${"x".repeat(200)}`;
  const fill = (): void => {
    for (let n = 0; n < 100; n += 1) hostile.beginOpen(path, { ephemeral: true });
  };
  holder.acquire(holder.open("/ls/local/l").handle);
  const [lock, file] = [polite.open("/ls/local/l").handle, polite.open("/ls/local/f").handle];
  return { polite, lock, file, fill };
}

describe("hostile clients", () => {
  // DESIGN §4, "in-flight requests are capped at the table size".
  it("has at most IN_FLIGHT_MAX requests of a session unanswered, whatever it says of its lowest", () => {
    const harness = new Harness();
    const [holder, hostile] = [new TestSession(harness), new TestSession(harness)];
    holder.acquire(holder.open("/ls/local/l").handle);
    const { handle } = hostile.open("/ls/local/l");
    let waiting = 0;
    for (let i = 0; i < 2_000; i += 1) {
      hostile.lowest = hostile.next;
      const tag = hostile.beginAcquire(handle);
      if (harness.replyTo(tag) === undefined) waiting += 1;
    }
    expect(waiting).toBeLessThanOrEqual(256);
  });

  // Kept until a session says that it has them: what some 100,000 say nothing of would fill any memory.
  it("keeps so many results that are not taken, and then those of one call of a session at a time", () => {
    const harness = new Harness(1, { resultBytesMax: 6_000 });
    const [hostile, polite] = [new TestSession(harness), new TestSession(harness)];
    const { handle } = polite.open("/ls/local/f");
    const path = `/ls/local/${"x".repeat(200)}`;
    const tags = Array.from({ length: 100 }, () => hostile.beginOpen(path, { ephemeral: true }));
    const codes = tags.map((tag) => codeOf(harness.resultOf(tag)));
    expect(codes.filter((code) => code !== "overloaded").length).toBeLessThan(30);
    expect(codes.at(-1)).toBe("overloaded");
    // Who goes on as answers come is served, and whatever gives back is.
    for (let n = 0; n < 3; n += 1) expect(polite.set(handle, `${n}`).$case).toBe("setContents");
    expect(hostile.call({ $case: "cancel", value: { requestNumber: 1 } }).$case).toBe("cancel");
  });

  it("keeps no more of them for a KeepAlive that says more than the calls beside it", () => {
    const harness = new Harness(1, { resultBytesMax: 6_000 });
    const hostile = new TestSession(harness);
    const path = `/ls/local/${"x".repeat(200)}`;
    let refused = 0;
    for (let number = 1; number <= 100; number += 1) {
      hostile.lowest = number;
      hostile.keepAlive();
      hostile.lowest = 1;
      const tag = hostile.beginOpen(path, { ephemeral: true });
      if (codeOf(harness.resultOf(tag)) === "overloaded") refused += 1;
    }
    expect(refused).toBeGreaterThan(70);
  });

  it("keeps no more of them for what has nothing to give back", () => {
    const harness = new Harness(1, { resultBytesMax: 6_000 });
    const hostile = new TestSession(harness);
    const { handle } = hostile.open("/ls/local/l");
    const held = hostile.open("/ls/local/held").handle;
    const ephemeral = hostile.open("/ls/local/e", { ephemeral: true }).handle;
    hostile.acquire(held);
    const before = hostile.lowest;
    const release = (of: Uint8Array) => {
      hostile.lowest = before;
      return codeOf(hostile.release(of));
    };
    const cancel = (requestNumber: number) =>
      codeOf(
        hostile.call({ $case: "cancel", value: { requestNumber } }, { lowestUnanswered: before }),
      );
    const codes = Array.from({ length: 90 }, () => release(handle));
    expect([codes[0], codes.at(-1)]).toEqual(["lock_not_held", "overloaded"]);
    expect(cancel(hostile.next - 2)).toBe("overloaded");
    // To cancel what has failed does nothing: that is answered, since its session may wait for it.
    expect(cancel(before)).toBe("cancel");
    expect(release(ephemeral)).toBe("overloaded");
    expect(release(held)).toBe("release");
  });

  it("limits nobody who keeps less than his share, whoever keeps more", () => {
    const { polite, lock, file, fill } = crowded();
    fill();
    // What waits for a lock is not answered, and all that comes behind it is kept.
    polite.beginAcquire(lock);
    for (let n = 0; n < 10; n += 1) expect(codeOf(polite.set(file, `${n}`))).toBe("setContents");
    for (let n = 0; n < 15; n += 1) polite.set(file, `${n}`);
    expect(codeOf(polite.set(file, "more"))).toBe("overloaded");
  });

  it("limits nobody to his share while there is room for all", () => {
    const { polite, lock, file } = crowded();
    polite.beginAcquire(lock);
    for (let n = 0; n < 30; n += 1) expect(codeOf(polite.set(file, `${n}`))).toBe("setContents");
  });

  it("counts nothing that is forgotten as the call is carried out", () => {
    const { polite, lock, file, fill } = crowded();
    // One that has not come: the results of those behind it stay.
    polite.next += 1;
    for (let n = 0; n < 60; n += 1) polite.set(file, `${n}`);
    fill();
    // Whoever waits has nothing in the log that would tell it so.
    polite.lowest = polite.next;
    polite.beginAcquire(lock);
    for (let n = 0; n < 10; n += 1) expect(codeOf(polite.set(file, `${n}`))).toBe("setContents");
  });

  // And so one session takes every waiter's place of a lock, and of the cell.
  it("lets one session not keep all others from waiting for a lock", () => {
    const harness = new Harness();
    const [holder, hostile, polite] = [
      new TestSession(harness),
      new TestSession(harness),
      new TestSession(harness),
    ];
    holder.acquire(holder.open("/ls/local/l").handle);
    const { handle } = hostile.open("/ls/local/l");
    const mine = polite.open("/ls/local/l").handle;
    for (let i = 0; i < 16_384; i += 1) {
      hostile.lowest = hostile.next;
      hostile.beginAcquire(handle);
    }
    expect(codeOf(harness.resultOf(polite.beginAcquire(mine)))).toBe("none");
  }, 60_000);

  // Records of handles that the master has forgotten pile up in the replicated state.
  it("keeps no lock of a handle whose Open was cancelled", () => {
    const harness = new Harness();
    const hostile = new TestSession(harness);
    const watcher = new TestSession(harness);
    const stat = watcher.open("/ls/local/l").handle;
    for (let i = 0; i < 3_000; i += 1) {
      const number = hostile.next;
      const { handle } = hostile.open("/ls/local/l");
      hostile.lowest = number;
      hostile.acquire(handle, SHARED);
      hostile.lowest = number;
      hostile.call({ $case: "cancel", value: { requestNumber: number } });
      hostile.lowest = hostile.next;
    }
    expect(watcher.stat(stat).lockHolders).toBeLessThanOrEqual(1_024);
  });

  // The same by a Close that apply refuses, since its own lowest is too low.
  it("forgets no handle whose Close was refused", () => {
    const harness = new Harness();
    const hostile = new TestSession(harness);
    const watcher = new TestSession(harness);
    const stat = watcher.open("/ls/local/l").handle;
    const read = hostile.open("/ls/local/l").handle;
    for (let i = 0; i < 1_500; i += 1) {
      const opened = hostile.tryOpen("/ls/local/l");
      // It has as many open as it may.
      if (opened.$case !== "open") break;
      const { handle } = opened.value;
      hostile.lowest = hostile.next;
      hostile.acquire(handle, SHARED);
      // A read says that all below is answered; the log does not hear of it.
      hostile.next += 400;
      hostile.lowest = hostile.next;
      hostile.begin({ $case: "getStat", value: { handle: read } });
      hostile.call({ $case: "close", value: { handle } }, { lowestUnanswered: 1 });
      hostile.lowest = hostile.next;
    }
    expect(watcher.stat(stat).lockHolders).toBeLessThanOrEqual(1_024);
  });

  // After a fail-over tokens of closed handles are rebuilt, without bound (FO-8, HND-5).
  it("rebuilds no more handles of a session than it may have open", () => {
    const harness = new Harness(2);
    const hostile = new TestSession(harness);
    const tokens: Uint8Array[] = [];
    for (let i = 0; i < 6_000; i += 1) {
      const { handle } = hostile.open("/ls/local/l");
      tokens.push(handle);
      hostile.close(handle);
    }
    // What a new master does with them, seen from inside.
    const state = new CellState("local");
    state.handleKey = new Uint8Array(16).fill(1);
    state.clientEpoch = 2;
    const root = state.namespace.root;
    state.namespace.create("/ls/local/l", NodeKind.FILE, root, false);
    const session = new MasterSession(
      new Session(hostile.id, { leaseMs: 12_000, caches: false, clientName: "" }, { bytes: 0 }),
      harness.now,
      true,
      12_000,
    );
    for (const token of tokens) expect(checkHandle(state, session, token).kind).toBe("good");
    expect(session.handles?.size).toBeLessThanOrEqual(4_096);
  });

  // The bound of held requests in bytes does not count the guard (nor a handle, nor a name).
  it("weighs all of a request that it holds", () => {
    const sizeBytes = 500 * 1024;
    const long = new Uint8Array(sizeBytes);
    const requests = [
      { guard: long, call: { $case: "endSession" as const, value: {} } },
      { call: { $case: "close" as const, value: { handle: long } } },
      { call: { $case: "open" as const, value: openCall("x".repeat(sizeBytes)) } },
    ];
    for (const request of requests) {
      const held = new HeldRequests();
      let count = 0;
      while (held.add(connection(count), Request.create(request))) count += 1;
      expect(count * sizeBytes).toBeLessThanOrEqual(2 * HELD_BYTES_MAX);
    }
  });

  // And a whole cell holds them at the gate, from one session and under one number.
  it("holds no 500 KiB guards by the thousand at the gate", () => {
    const harness = new Harness(2);
    const caching = new TestSession(harness, { caches: true });
    const hostile = new TestSession(harness);
    hostile.open("/ls/local/l");
    harness.elect(1);
    hostile.acknowledge();
    const guard = new Uint8Array(500 * 1024);
    const open = { $case: "open" as const, value: openCall("/ls/local/new") };
    let held = 0;
    for (let i = 0; i < 2_000; i += 1) {
      const more = { requestNumber: hostile.next, guard };
      const tag = harness.send(hostile.envelope(open, more));
      if (harness.replyTo(tag) === undefined) held += 1;
    }
    expect(caching.id).toBeGreaterThan(0);
    expect(held * guard.length).toBeLessThanOrEqual(2 * HELD_BYTES_MAX);
  });

  // Each shared waiter that comes looks at all before it.
  it("queues shared waiters at a cost that does not grow with their number", () => {
    let looks = 0;
    const propose = (call: Call): void => {
      call.isProposed = true;
    };
    const waiters = new Waiters(propose, () => false);
    const root = new CellState("local").namespace.root;
    const number = 4_096;
    for (let i = 0; i < number; i += 1) {
      const call = new Call(undefined, connection(i), Request.create());
      const claim = {
        path: "",
        instance: 1,
        handleId: i,
        mode: SHARED,
        wait: true,
        lockDelayMs: 0,
      };
      Object.defineProperty(call, "claim", {
        get() {
          looks += 1;
          return claim;
        },
      });
      call.node = root;
      waiters.add(root, call);
    }
    expect(looks).toBeLessThan(20 * number);
  });

  // A Cancel that was itself cancelled was not carried out.
  it("lets a cancelled Cancel do nothing", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const number = session.next;
    const { handle } = session.open("/ls/local/l");
    session.lowest = number;
    session.acquire(handle);
    session.lowest = number;
    harness.isHeldBack = true;
    const first = session.begin({ $case: "cancel", value: { requestNumber: session.next + 1 } });
    const second = session.begin({ $case: "cancel", value: { requestNumber: number } });
    harness.letGo();
    expect(codeOf(harness.resultOf(first))).toBe("cancel");
    expect(codeOf(harness.resultOf(second))).toBe("cancelled");
    // Not carried out, so the handle is as good as before: it holds its lock and can give it back.
    expect(codeOf(session.release(handle))).toBe("release");
  });

  // The handle is forgotten with its Open: nobody could release what it were granted.
  it("grants nothing to a handle whose Open is cancelled, whether its Acquire waits or is under way", () => {
    for (const isUnderWay of [false, true]) {
      const harness = new Harness();
      const [holder, session, other] = [0, 1, 2].map(() => new TestSession(harness));
      if (holder === undefined || session === undefined || other === undefined) throw new Error();
      const held = holder.open("/ls/local/l").handle;
      holder.acquire(held);
      const next = other.open("/ls/local/l").handle;
      const requestNumber = session.next;
      const { handle } = session.open("/ls/local/l");
      session.lowest = requestNumber;
      if (isUnderWay) holder.release(held);
      harness.isHeldBack = isUnderWay;
      const cancel = { $case: "cancel" as const, value: { requestNumber } };
      let acquire = 0;
      if (isUnderWay) {
        session.begin(cancel);
        acquire = session.beginAcquire(handle);
      } else {
        acquire = session.beginAcquire(handle);
        session.begin(cancel);
      }
      harness.letGo();
      expect(codeOf(harness.resultOf(acquire))).toBe("stale_handle");
      if (!isUnderWay) holder.release(held);
      expect(codeOf(other.acquire(next))).toBe("acquire");
    }
  });

  it("grants nothing to a handle whose Open is cancelled after it made its file", () => {
    const harness = new Harness();
    const [session, other] = [new TestSession(harness), new TestSession(harness)];
    const requestNumber = session.next;
    const { handle } = session.open("/ls/local/l");
    session.lowest = requestNumber;
    harness.isHeldBack = true;
    session.begin({ $case: "cancel", value: { requestNumber } });
    const acquire = session.beginAcquire(handle);
    harness.letGo();
    expect(codeOf(harness.resultOf(acquire))).toBe("stale_handle");
    expect(other.stat(other.open("/ls/local/l").handle).lockMode).toBe(LockMode.FREE);
  });

  it("keeps open a handle whose Close was cancelled before it came", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { handle } = session.open("/ls/local/l");
    session.acquire(handle);
    harness.isHeldBack = true;
    session.begin({ $case: "cancel", value: { requestNumber: session.next + 1 } });
    const close = session.begin({ $case: "close", value: { handle } });
    harness.letGo();
    expect(codeOf(harness.resultOf(close))).toBe("cancelled");
    expect(codeOf(session.release(handle))).toBe("release");
  });

  it("keeps no handle for one who closes it behind the end of its session", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { handle } = session.open("/ls/local/l");
    session.acquire(handle);
    harness.isHeldBack = true;
    const end = session.begin({ $case: "endSession", value: {} });
    const close = session.begin({ $case: "close", value: { handle } });
    harness.letGo();
    expect([end, close].map((tag) => codeOf(harness.resultOf(tag)))).toEqual([
      "endSession",
      "session_expired",
    ]);
  });

  // A number that is under way as one call, used for another, is answered with the first one's result.
  it("answers no call with the result of another", () => {
    const harness = new Harness();
    const [holder, session] = [new TestSession(harness), new TestSession(harness)];
    const held = holder.open("/ls/local/l").handle;
    holder.acquire(held);
    const { handle } = session.open("/ls/local/l");
    const number = session.next;
    session.beginAcquire(handle);
    const other = session.envelope(
      { $case: "setContents", value: setCall(handle, "x") },
      { requestNumber: number },
    );
    const tag = harness.send(other, 2);
    holder.release(held);
    expect(codeOf(harness.resultOf(tag))).not.toBe("acquire");
  });

  // Each page of a listing walks over all names before it, and one new name has all sorted again.
  it("lists a directory at a cost that does not grow with its length", () => {
    const harness = new Harness(1, { quotas: { nodesMax: 100_000 } });
    const session = new TestSession(harness);
    const dir = session.open("/ls/local/d", { kind: NodeKind.DIRECTORY }).handle;
    const number = 8_192;
    for (let i = 0; i < number; i += 1) {
      const name = `/ls/local/d/${(i * 7919) % 8192}`;
      session.call({ $case: "close", value: { handle: session.open(name).handle } });
    }
    const list = (after: string) =>
      session.call({ $case: "readDir", value: { handle: dir, after } });
    list("");
    const has = vi.spyOn(Map.prototype, "has");
    list("99");
    const looks = has.mock.calls.length;
    has.mockRestore();
    expect(looks).toBeLessThan(1_024);
  });

  // One delay, ended once.
  it("ends a delay by one command, however many shared holders failed", () => {
    const harness = new Harness();
    const session = new TestSession(harness, { leaseMs: 2_000 });
    for (let i = 0; i < 500; i += 1) {
      const delay = { hasLockDelay: true, lockDelayMs: 3_000 };
      const { handle } = session.open("/ls/local/l", delay);
      expect(codeOf(session.acquire(handle, SHARED))).toBe("acquire");
      session.lowest = session.next;
    }
    harness.advance(10_000);
    const ends = harness.chosen.filter(
      ({ command }) => Command.decode(command).body?.$case === "endLockDelay",
    );
    expect(ends.length).toBe(1);
  });

  // What a log refuses because it has too much is lost, whoever asked for it.
  it("has so many ends of delays under way, however many are over, and ends them all", () => {
    const harness = new Harness();
    for (let n = 0; n < 3; n += 1) {
      const session = new TestSession(harness, { leaseMs: 2_000 });
      for (let i = 0; i < 1_024; i += 1) {
        session.acquire(session.open(`/ls/local/${n}-${i}`).handle);
      }
    }
    harness.advance(5_000);
    // A new master times all of them anew, and from one moment.
    harness.regain();
    harness.isHeldBack = true;
    const { proposed } = harness.pair(0).log;
    harness.advance(10_000);
    expect(proposed.length).toBe(DELAY_ENDS_UNDER_WAY_MAX);
    harness.advance(999);
    expect(proposed.length).toBe(DELAY_ENDS_UNDER_WAY_MAX);
    // Each may have been lost, and is proposed again in its own place.
    harness.advance(1);
    expect(proposed.length).toBe(2 * DELAY_ENDS_UNDER_WAY_MAX);
    harness.letGo();
    harness.advance(10_000);
    const ended = new Set<string>();
    for (const { command } of harness.chosen) {
      const { body } = Command.decode(command);
      if (body?.$case === "endLockDelay") ended.add(body.value.path);
    }
    expect(ended.size).toBe(3_072);
    const all = harness.chosen.length;
    harness.advance(10_000);
    expect(harness.chosen.length).toBe(all);
  });

  // ReplicatedLog.propose, "at most 32 MiB of commands under way; a log takes in twice that".
  it("has no more under way than a log takes in, when locks become free that many wait for", () => {
    const harness = new Harness();
    const paths = ["a", "b", "c"].map((name) => `/ls/local/${name}${"x".repeat(1_000)}`);
    const holder = new TestSession(harness);
    const [first] = paths.map((path) => holder.acquire(holder.open(path).handle));
    const keeper = new TestSession(harness);
    const guarding = keeper.acquire(keeper.open(`/ls/local/g${"x".repeat(1_000)}`).handle);
    if (first?.$case !== "acquire" || guarding.$case !== "acquire") throw new Error("not held");
    const guard = guarding.value.sequencer;
    for (let i = 0; i < 192; i += 1) {
      const session = new TestSession(harness);
      const path = paths[i % 3] ?? "";
      const { handle } = session.open(path);
      session.lowest = session.next;
      const acquire = {
        $case: "acquire" as const,
        value: { handle, mode: SHARED, wait: true },
      };
      for (let n = 0; n < 255; n += 1) session.begin(acquire, { guard });
      harness.replies = [];
    }
    harness.isHeldBack = true;
    holder.begin({ $case: "endSession", value: {} });
    const { log } = harness.pair(0);
    harness.choose(log.proposed.shift() ?? new Uint8Array(0));
    let bytes = 0;
    for (const command of log.proposed) bytes += command.length;
    expect(bytes).toBeLessThanOrEqual(64 * 1024 * 1024);
    // All are granted in the end.
    while (log.proposed.length > 0) harness.choose(log.proposed.shift() ?? new Uint8Array(0));
    harness.letGo();
    expect(harness.replies.filter(({ reply }) => reply.result?.$case === "acquire").length).toBe(
      192 * 255,
    );
  }, 60_000);

  // Each grant proposes all that its session asks for once more, past the bound; the log drops an expiry.
  it("has no more under way than it may, when those who are granted ask many times", () => {
    const proposedBytesMax = 8 * 1024;
    const harness = new Harness(1, { proposedBytesMax });
    const holder = new TestSession(harness);
    holder.acquire(holder.open("/ls/local/l").handle);
    const session = new TestSession(harness);
    const { handle } = session.open("/ls/local/l");
    session.lowest = session.next;
    for (let n = 0; n < 250; n += 1) session.beginAcquire(handle);
    harness.isHeldBack = true;
    holder.begin({ $case: "endSession", value: {} });
    const { log } = harness.pair(0);
    let mostBytes = 0;
    while (log.proposed.length > 0) {
      harness.choose(log.proposed.shift() ?? new Uint8Array(0));
      mostBytes = Math.max(
        mostBytes,
        log.proposed.reduce((sum, { length }) => sum + length, 0),
      );
    }
    expect(mostBytes).toBeGreaterThan(proposedBytesMax / 2);
    expect(mostBytes).toBeLessThan(proposedBytesMax + 1_000);
    harness.letGo();
    const granted = harness.replies.filter(({ reply }) => reply.result?.$case === "acquire");
    expect(granted).toHaveLength(250);
  });

  // For each of a thousand that go, all who are under way are looked at.
  it("looks at no waiter for a shared holder that leaves others behind", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const [first, second] = [session.open("/ls/local/l"), session.open("/ls/local/l")];
    session.acquire(first.handle, SHARED);
    session.acquire(second.handle, SHARED);
    const waiting = new TestSession(harness);
    const tag = waiting.beginAcquire(waiting.open("/ls/local/l").handle);
    const pump = vi.spyOn(Waiters.prototype, "pump");
    session.release(first.handle);
    expect(pump).not.toHaveBeenCalled();
    session.release(second.handle);
    expect(pump).toHaveBeenCalledTimes(1);
    pump.mockRestore();
    expect(codeOf(harness.resultOf(tag))).toBe("acquire");
  });

  // After a restore no checksum is known: a page of large files took longer than an election timeout.
  it("reads a few megabytes for a page of a directory, and goes on behind it", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const dir = session.open("/ls/local/d", { kind: NodeKind.DIRECTORY }).handle;
    const names = Array.from({ length: 40 }, (_, i) => `f${String(i).padStart(2, "0")}`);
    for (const name of names) {
      const { handle } = session.open(`/ls/local/d/${name}`);
      session.set(handle, "x".repeat(256 * 1024));
    }
    harness.restore(0, 0);
    harness.elect(0);
    session.acknowledge();
    const list = (after: string): { names: string[]; more: boolean } => {
      const result = session.call({ $case: "readDir", value: { handle: dir, after } });
      if (result.$case !== "readDir") throw new Error(codeOf(result));
      return { names: result.value.entries.map(({ name }) => name), more: result.value.more };
    };
    expect(list("")).toMatchObject({ names: names.slice(0, 16), more: true });
    // All of the first page is known by now.
    expect(list("")).toMatchObject({ names: names.slice(0, 32), more: true });
    expect(list("f31")).toMatchObject({ names: names.slice(32), more: false });
    expect(list("")).toMatchObject({ names, more: false });
  }, 60_000);
});
