import {
  type Acquire,
  CreateMode,
  FILE_BYTES_MAX,
  LockMode,
  NodeKind,
  sequencerFromText,
  sequencerToText,
} from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { PROPOSED_BYTES_MAX } from "./master/intake.ts";
import { encodeHandleToken } from "./state/handle-token.ts";
import { codeOf, Harness, openCall, setCall, TestSession } from "./test-support/harness.ts";

const PATH = "/ls/local/f";

function started(): { harness: Harness; session: TestSession; handle: Uint8Array } {
  const harness = new Harness(2);
  const session = new TestSession(harness);
  return { harness, session, handle: session.open(PATH).handle };
}

describe("typed errors", () => {
  it("says not_found for an unknown path, and for a path whose directory is unknown", () => {
    const { session } = started();
    expect(codeOf(session.tryOpen("/ls/local/x", { create: 0 }))).toBe("not_found");
    expect(codeOf(session.tryOpen("/ls/local/x/y"))).toBe("not_found");
  });

  it("says invalid_name for a name that is too long, malformed, or of another cell (NS-1)", () => {
    const { session } = started();
    const dir = session.open("/ls/local", { create: 0, kind: NodeKind.DIRECTORY }).handle;
    const bad = [
      `/ls/local/${"x".repeat(1024)}`,
      "/ls/local//x",
      "/ls/local/../x",
      "/ls/local/a\u0000b",
      "/ls/local/\ud800",
      "relative",
      "",
      "/ls/other/x",
      "/ls/localx",
    ];
    for (const name of bad) expect(codeOf(session.tryOpen(name))).toBe("invalid_name");
    for (const name of ["/x", "", ".", "a//b"]) {
      expect(codeOf(session.tryOpen(name, { directory: dir }))).toBe("invalid_name");
    }
  });

  it("says already_exists for must-create, and which kind is in the way", () => {
    const { session } = started();
    expect(codeOf(session.tryOpen(PATH, { create: 2 }))).toBe("already_exists");
    expect(codeOf(session.tryOpen(PATH, { kind: NodeKind.DIRECTORY }))).toBe("not_a_directory");
    expect(codeOf(session.tryOpen("/ls/local", { kind: NodeKind.FILE }))).toBe("is_a_directory");
    expect(codeOf(session.tryOpen(`${PATH}/below`))).toBe("not_a_directory");
  });

  it("keeps files and directories apart in reads and writes (NS-4)", () => {
    const { session, handle } = started();
    const dir = session.open("/ls/local/d", { kind: NodeKind.DIRECTORY }).handle;
    expect(codeOf(session.get(dir))).toBe("is_a_directory");
    expect(codeOf(session.set(dir, "x"))).toBe("is_a_directory");
    const list = session.call({ $case: "readDir", value: { handle, after: "" } });
    expect(codeOf(list)).toBe("not_a_directory");
  });

  it("says file_too_large above 256 KiB, whether written or created (NS-7)", () => {
    const { session, handle } = started();
    const exact = new Uint8Array(FILE_BYTES_MAX);
    const over = new Uint8Array(FILE_BYTES_MAX + 1);
    const write = (contents: Uint8Array) =>
      session.call({ $case: "setContents", value: { ...setCall(handle, ""), contents } });
    expect(codeOf(write(over))).toBe("file_too_large");
    expect(codeOf(write(exact))).toBe("setContents");
    expect(codeOf(session.tryOpen("/ls/local/g", { initialContents: over }))).toBe(
      "file_too_large",
    );
    expect(codeOf(session.tryOpen("/ls/local/g", { initialContents: exact }))).toBe("open");
  });

  it("says generation_mismatch for a write on another generation (API-7)", () => {
    const { session, handle } = started();
    const { contentGeneration } = session.stat(handle);
    expect(codeOf(session.set(handle, "a", contentGeneration + 1))).toBe("generation_mismatch");
    expect(codeOf(session.set(handle, "a", contentGeneration))).toBe("setContents");
    expect(codeOf(session.set(handle, "b", contentGeneration))).toBe("generation_mismatch");
  });

  it("says not_empty for a directory with children, and never deletes the cell's root (API-9)", () => {
    const { session } = started();
    const dir = session.open("/ls/local/d", { kind: NodeKind.DIRECTORY }).handle;
    const child = session.open("/ls/local/d/c").handle;
    expect(codeOf(session.delete(dir))).toBe("not_empty");
    session.delete(child);
    expect(codeOf(session.delete(dir))).toBe("delete");
    const root = session.open("/ls/local", { create: 0, kind: NodeKind.DIRECTORY }).handle;
    for (const handle of [session.open(PATH).handle]) session.delete(handle);
    expect(codeOf(session.delete(root))).toBe("invalid_argument");
  });

  it("says stale_handle when the node was deleted, though its name exists again (HND-3)", () => {
    const { session, handle } = started();
    session.delete(session.open(PATH).handle);
    session.open(PATH);
    expect(codeOf(session.get(handle))).toBe("stale_handle");
    expect(codeOf(session.set(handle, "x"))).toBe("stale_handle");
    expect(codeOf(session.acquire(handle))).toBe("stale_handle");
    expect(codeOf(session.delete(handle))).toBe("stale_handle");
    expect(codeOf(session.close(handle))).toBe("close");
    expect(codeOf(session.tryOpen("x", { directory: handle }))).toBe("stale_handle");
  });

  it("says stale_handle when the handle was closed", () => {
    const { session, handle } = started();
    session.close(handle);
    expect(codeOf(session.get(handle))).toBe("stale_handle");
    expect(codeOf(session.close(handle))).toBe("close");
    const holder = session.open(PATH).handle;
    session.acquire(holder);
    session.close(holder);
    expect(codeOf(session.get(holder))).toBe("stale_handle");
  });

  it("says forged_handle for any byte changed, another key, another session, or no handle", () => {
    const { harness, session, handle } = started();
    for (let at = 0; at < handle.length; at += 1) {
      const forged = handle.slice();
      forged[at] = (forged[at] ?? 0) ^ 1;
      expect(codeOf(session.get(forged))).toBe("forged_handle");
    }
    const token = {
      sessionId: session.id,
      handleId: 1,
      path: PATH,
      instance: session.stat(handle).instance,
      access: 7,
      lockDelayMs: 0,
      epoch: 1,
      isEphemeral: false,
    };
    const guessed = encodeHandleToken(new Uint8Array(16).fill(9), token);
    expect(codeOf(session.get(guessed))).toBe("forged_handle");
    const other = new TestSession(harness);
    expect(codeOf(other.get(handle))).toBe("forged_handle");
    for (const bytes of [new Uint8Array(0), new Uint8Array(8), new Uint8Array(5000)]) {
      expect(codeOf(session.close(bytes))).toBe("forged_handle");
    }
  });

  it("says permission_denied without the mode that the call needs (LCK-4)", () => {
    const { session } = started();
    const reader = session.open(PATH, { write: false }).handle;
    const writer = session.open(PATH, { read: false }).handle;
    expect(codeOf(session.acquire(reader))).toBe("permission_denied");
    expect(codeOf(session.acquire(reader, LockMode.SHARED))).toBe("permission_denied");
    expect(codeOf(session.set(reader, "x"))).toBe("permission_denied");
    expect(codeOf(session.delete(reader))).toBe("permission_denied");
    expect(codeOf(session.get(writer))).toBe("permission_denied");
    const root = { create: CreateMode.NEVER, kind: NodeKind.DIRECTORY, read: false };
    const list = { handle: session.open("/ls/local", root).handle, after: "" };
    expect(codeOf(session.call({ $case: "readDir", value: list }))).toBe("permission_denied");
    expect(session.stat(writer).kind).toBe(NodeKind.FILE);
  });

  it("says lock_held, lock_delayed and lock_not_held for what stands in the way", () => {
    const { harness, session, handle } = started();
    const other = new TestSession(harness, { leaseMs: 2_000 });
    const theirs = other.open(PATH).handle;
    expect(codeOf(session.release(handle))).toBe("lock_not_held");
    expect(codeOf(session.call({ $case: "getSequencer", value: { handle } }))).toBe(
      "lock_not_held",
    );
    other.acquire(theirs);
    expect(codeOf(session.acquire(handle))).toBe("lock_held");
    harness.advance(2_200);
    expect(codeOf(session.acquire(handle))).toBe("lock_delayed");
  });

  it("says lock_not_held to one who has an ephemeral file open, whoever holds its lock (SEQ-2)", () => {
    const { harness, session } = started();
    const { handle } = session.open("/ls/local/e", { ephemeral: true });
    const other = new TestSession(harness);
    const theirs = other.open("/ls/local/e", { ephemeral: true }).handle;
    const sequencer = () => codeOf(session.call({ $case: "getSequencer", value: { handle } }));
    expect(sequencer()).toBe("lock_not_held");
    other.acquire(theirs);
    expect(sequencer()).toBe("lock_not_held");
  });

  it("says invalid_argument for a lock in no mode, and for an upgrade (LCK-11)", () => {
    const { harness, session, handle } = started();
    expect(codeOf(session.acquire(handle, LockMode.FREE))).toBe("invalid_argument");
    const other = new TestSession(harness);
    const theirs = other.open(PATH).handle;
    other.acquire(theirs);
    const waits = session.beginAcquire(handle, LockMode.FREE);
    expect(codeOf(harness.resultOf(waits))).toBe("invalid_argument");
    other.release(theirs);
    session.acquire(handle, LockMode.SHARED);
    expect(codeOf(session.acquire(handle, LockMode.EXCLUSIVE))).toBe("invalid_argument");
    expect(session.stat(handle).lockMode).toBe(LockMode.SHARED);
  });

  it("says sequencer_stale and sequencer_malformed for a guard (SEQ-7)", () => {
    const { session, handle } = started();
    const acquired = session.acquire(handle);
    const guard = acquired.$case === "acquire" ? acquired.value.sequencer : handle;
    const write = (more: { guard: Uint8Array }) =>
      codeOf(session.call({ $case: "setContents", value: setCall(handle, "x") }, more));
    const read = (more: { guard: Uint8Array }) =>
      codeOf(session.call({ $case: "getStat", value: { handle } }, more));
    expect([write({ guard }), read({ guard })]).toEqual(["setContents", "getStat"]);
    expect(write({ guard: handle })).toBe("sequencer_malformed");
    expect(read({ guard: handle })).toBe("sequencer_malformed");
    session.release(handle);
    expect([write({ guard }), read({ guard })]).toEqual(["sequencer_stale", "sequencer_stale"]);
    expect(codeOf(session.call({ $case: "open", value: openCall(PATH) }, { guard }))).toBe(
      "sequencer_stale",
    );
    expect(sequencerFromText(sequencerToText(guard))).toEqual(guard);
  });

  it("says sequencer_stale before a lock that is held, or a node that is missing (SEQ-7)", () => {
    const { harness, session, handle } = started();
    const acquired = session.acquire(handle);
    const guard = acquired.$case === "acquire" ? acquired.value.sequencer : handle;
    session.release(handle);
    const holder = new TestSession(harness);
    holder.acquire(holder.open(PATH).handle);
    const attempt: Acquire = { handle, mode: LockMode.SHARED, wait: false };
    expect(codeOf(session.call({ $case: "acquire", value: attempt }))).toBe("lock_held");
    for (const wait of [false, true]) {
      const guarded = session.call({ $case: "acquire", value: { ...attempt, wait } }, { guard });
      expect(codeOf(guarded)).toBe("sequencer_stale");
    }
    const missing = { ...openCall("/ls/local/missing"), create: CreateMode.NEVER };
    expect(codeOf(session.call({ $case: "open", value: missing }, { guard }))).toBe(
      "sequencer_stale",
    );
    const check = { sequencer: guard, mode: LockMode.FREE, name: "" };
    const tag = harness.send({ call: { $case: "checkSequencer", value: check }, guard });
    expect(codeOf(harness.resultOf(tag))).toBe("sequencer_stale");
  });

  it("says sequencer_malformed when bytes are checked that are no sequencer", () => {
    const { harness } = started();
    const tag = harness.send({
      call: {
        $case: "checkSequencer",
        value: { sequencer: Uint8Array.of(1, 2, 3), mode: 0, name: "" },
      },
    });
    expect(codeOf(harness.resultOf(tag))).toBe("sequencer_malformed");
  });

  it("says session_expired for a session that is over, or never was", () => {
    const { harness, session, handle } = started();
    session.end();
    expect(codeOf(session.get(handle))).toBe("session_expired");
    expect(codeOf(harness.resultOf(session.keepAlive()))).toBe("session_expired");
    const tag = harness.send({
      sessionId: 999,
      clientEpoch: 1,
      requestNumber: 1,
      lowestUnanswered: 1,
      call: { $case: "getStat", value: { handle } },
    });
    expect(codeOf(harness.resultOf(tag))).toBe("session_expired");
  });

  it("says not_master at another replica, and where the master is (CELL-7)", () => {
    const { harness, session, handle } = started();
    const request = session.envelope({ $case: "getStat", value: { handle } }, { requestNumber: 9 });
    const tag = harness.sendTo(1, request);
    const result = harness.resultOf(tag);
    expect(codeOf(result)).toBe("not_master");
    expect(result?.$case === "error" && result.value).toMatchObject({
      masterId: 1,
      masterAddress: "127.0.0.1:7001",
    });
  });

  it("names nobody as master when a master goes on from a snapshot, until it leads again", () => {
    const { harness, session, handle } = started();
    const { index, bytes } = harness.cell.snapshot();
    harness.cell.onLogEvent(harness.now, { kind: "restored", index, snapshot: bytes });
    const located = harness.sendTo(0, session.envelope({ $case: "locate", value: {} }));
    expect(harness.resultOf(located)).toMatchObject({ value: { masterId: 0, masterAddress: "" } });
    const request = session.envelope({ $case: "getStat", value: { handle } }, { requestNumber: 9 });
    const refused = harness.resultOf(harness.sendTo(0, request));
    expect(refused).toMatchObject({ value: { masterId: 0, masterAddress: "" } });
  });

  it("says no_quorum, truthfully not applied, when the lease does not come back", () => {
    const { harness, session, handle } = started();
    harness.lease(100);
    harness.advance(100);
    const tag = session.begin({ $case: "setContents", value: setCall(handle, "x") });
    harness.advance(4_999);
    expect(harness.replyTo(tag)).toBe(undefined);
    harness.advance(1);
    expect(codeOf(harness.resultOf(tag))).toBe("no_quorum");
    expect(harness.pair(0).log.proposed).toEqual([]);
  });

  it("says no_quorum as soon when the lease is renewed, but the epoch does not begin", () => {
    const { harness, session, handle } = started();
    harness.isHeldBack = true;
    harness.elect(0, 600);
    const tag = session.begin({ $case: "setContents", value: setCall(handle, "x") });
    for (let i = 0; i < 10; i += 1) {
      expect(harness.replyTo(tag)).toBe(undefined);
      harness.advance(500);
      harness.lease(600);
    }
    expect(codeOf(harness.resultOf(tag))).toBe("no_quorum");
  });

  it("says too_many_requests beyond the table of results, and request_forgotten below it", () => {
    const { harness, session, handle } = started();
    const stat = { $case: "getStat" as const, value: { handle } };
    const at = (requestNumber: number) =>
      codeOf(harness.resultOf(harness.send(session.envelope(stat, { requestNumber }))));
    expect(at(session.lowest + 255)).toBe("getStat");
    expect(at(session.lowest + 256)).toBe("too_many_requests");
    expect(at(session.lowest)).toBe("getStat");
    session.lowest += 5;
    expect(at(session.lowest)).toBe("getStat");
    expect(codeOf(session.call(stat, { requestNumber: 2, lowestUnanswered: 2 }))).toBe(
      "request_forgotten",
    );
  });

  it("says invalid_argument for numbers, leases, names and delays out of bounds", () => {
    const { harness, session, handle } = started();
    const stat = { $case: "getStat" as const, value: { handle } };
    const erase = { $case: "delete" as const, value: { handle } };
    expect(codeOf(session.call(erase, { requestNumber: 0, lowestUnanswered: 0 }))).toBe(
      "invalid_argument",
    );
    expect(codeOf(session.call(stat, { requestNumber: 5, lowestUnanswered: 6 }))).toBe(
      "invalid_argument",
    );
    const create = (leaseMs: number, clientName = "") =>
      codeOf(
        harness.resultOf(
          harness.send({
            call: { $case: "createSession", value: { leaseMs, caches: false, clientName } },
          }),
        ),
      );
    expect([create(1_999), create(60_001), create(0, "é".repeat(65))]).toEqual([
      "invalid_argument",
      "invalid_argument",
      "invalid_argument",
    ]);
    expect([create(2_000), create(60_000), create(0, "é".repeat(64))]).toEqual([
      "createSession",
      "createSession",
      "createSession",
    ]);
    const delayed = { hasLockDelay: true, lockDelayMs: 60_001 };
    expect(codeOf(session.tryOpen(PATH, delayed))).toBe("invalid_argument");
    const withContents = { kind: NodeKind.DIRECTORY, initialContents: Uint8Array.of(1) };
    expect(codeOf(session.tryOpen("/ls/local/d", withContents))).toBe("invalid_argument");
    expect(codeOf(harness.resultOf(harness.send({ call: stat })))).toBe("invalid_argument");
    expect(codeOf(session.tryOpen("/ls/local/d", { kind: 7 as NodeKind }))).toBe(
      "invalid_argument",
    );
    for (const name of [PATH, "/ls/local/new"]) {
      expect(codeOf(session.tryOpen(name, { create: 7 as CreateMode }))).toBe("invalid_argument");
    }
  });

  it("says which number of a request is missing, or too high", () => {
    const { session, handle } = started();
    const close = { $case: "close" as const, value: { handle } };
    const details = [
      { requestNumber: 0, lowestUnanswered: 1 },
      { requestNumber: 5, lowestUnanswered: 0 },
      { requestNumber: 5, lowestUnanswered: 6 },
    ].map((numbers) => {
      const result = session.call(close, numbers);
      return result.$case === "error" ? result.value.detail : result.$case;
    });
    expect(details).toEqual([
      "The request has no number.",
      "The request does not say which is the lowest unanswered one.",
      "Request 5 is below 6, its own lowest unanswered one.",
    ]);
  });

  it("says invalid_argument when a number is used again for another call", () => {
    const { harness, session, handle } = started();
    session.lowest = session.next;
    const number = session.next;
    session.begin({ $case: "setContents", value: setCall(handle, "x") });
    const reused = session.envelope(
      { $case: "delete", value: { handle } },
      { requestNumber: number },
    );
    expect(codeOf(harness.resultOf(harness.send(reused)))).toBe("invalid_argument");
  });

  it("says unsupported for a call of a newer version", () => {
    const { harness } = started();
    expect(codeOf(harness.resultOf(harness.send({})))).toBe("unsupported");
  });

  it("says quota_exceeded for sessions, nodes, children and handles, each in its own words", () => {
    const quotas = { sessionsMax: 2, nodesMax: 5, childrenMax: 3, handlesPerSessionMax: 4 };
    const harness = new Harness(1, { quotas });
    const session = new TestSession(harness);
    new TestSession(harness);
    const details: string[] = [];
    const expectQuota = (result: ReturnType<TestSession["tryOpen"]>) => {
      expect(codeOf(result)).toBe("quota_exceeded");
      if (result.$case === "error") details.push(result.value.detail);
    };
    for (const name of ["a", "b", "c"]) session.close(session.open(`/ls/local/${name}`).handle);
    expectQuota(session.tryOpen("/ls/local/d"));
    session.delete(session.open("/ls/local/a").handle);
    session.open("/ls/local/d", { kind: NodeKind.DIRECTORY });
    session.open("/ls/local/d/e");
    expectQuota(session.tryOpen("/ls/local/d/f"));
    session.open("/ls/local/b");
    expectQuota(session.tryOpen("/ls/local/c"));
    const call = { leaseMs: 0, caches: false, clientName: "" };
    const tag = harness.send({ call: { $case: "createSession", value: call } });
    const result = harness.resultOf(tag);
    if (result !== undefined) expectQuota(result);
    expect(new Set(details).size).toBe(4);
  });

  it("says overloaded before a log that stands still has more in it than it takes in", () => {
    const { harness, session, handle } = started();
    session.acquire(handle);
    const free = session.open("/ls/local/free").handle;
    harness.isHeldBack = true;
    const contents = new Uint8Array(FILE_BYTES_MAX);
    // A command is a little more than the file that it holds.
    const fit = PROPOSED_BYTES_MAX / FILE_BYTES_MAX;
    const value = { handle, contents, hasIfGeneration: false, ifGeneration: 0 };
    const call = { $case: "setContents" as const, value };
    const write = (): number => session.begin(call);
    const tags = Array.from({ length: fit }, write);
    const create = { leaseMs: 0, caches: false, clientName: "" };
    const refused = [
      write(),
      session.begin({ $case: "close", value: { handle } }),
      session.beginAcquire(free),
      harness.send({ call: { $case: "createSession", value: create } }),
    ];
    expect(tags.map((tag) => harness.resultOf(tag))).toEqual(Array(fit).fill(undefined));
    expect(refused.map((tag) => codeOf(harness.resultOf(tag)))).toEqual(
      Array(refused.length).fill("overloaded"),
    );
    harness.letGo();
    expect(codeOf(harness.resultOf(tags.at(-1) ?? 0))).toBe("setContents");
    expect(codeOf(session.call(call))).toBe("setContents");
    expect([codeOf(session.close(handle)), codeOf(session.get(handle))]).toEqual([
      "close",
      "stale_handle",
    ]);
  });
});
