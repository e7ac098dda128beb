import { EMPTY_BYTES } from "@cubby/base";
import { Command, CreateMode, FILE_BYTES_MAX, LockMode } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { codeOf } from "../test-support/harness.ts";
import { apply, type Outcome } from "./apply.ts";
import { CellState } from "./cell-state.ts";
import { checkInvariants } from "./invariants.ts";
import { decodeSnapshot, encodeSnapshot, stateHash } from "./snapshot.ts";

type Body = NonNullable<Command["body"]>;

/** A state with an epoch and one session, and a way to apply commands to it. */
function started() {
  const state = new CellState("local");
  let index = 0;
  const applyBody = (body: Body, more: Partial<Command> = {}): Outcome => {
    index += 1;
    return apply(state, index, { ...Command.create(), paxosEpoch: 7, body, ...more });
  };
  const value = { paxosEpoch: 7, masterId: 1, keyMaterial: new Uint8Array(16), quotas: undefined };
  applyBody({ $case: "beginEpoch", value });
  const terms = { leaseMs: 12_000, caches: false, clientName: "" };
  applyBody({ $case: "beginSession", value: terms });
  const inSession = (requestNumber: number, lowestUnanswered = 1, body: Body = create("f")) =>
    applyBody(body, { sessionId: 2, requestNumber, lowestUnanswered });
  return { state, applyBody, inSession };
}

function create(name: string, ephemeral = false): Body {
  return {
    $case: "openNode",
    value: {
      path: `/ls/local/${name}`,
      access: 3,
      create: 2,
      kind: 1,
      ephemeral,
      initialContents: EMPTY_BYTES,
      lockDelayMs: 0,
      directoryPath: "",
      directoryInstance: 0,
    },
  };
}

function codeOfOutcome(outcome: Outcome): string {
  return outcome.kind === "result" ? codeOf(outcome.result) : outcome.kind;
}

describe("apply, one command", () => {
  it("counts the entry in any case, and changes nothing for one that it refuses", () => {
    const { state, applyBody } = started();
    const hash = stateHash(state);
    expect(apply(state, 50, undefined)).toEqual({ kind: "refused", reason: "undecodable" });
    expect(apply(state, 51, Command.create())).toEqual({ kind: "refused", reason: "unknown" });
    const stale = applyBody({ $case: "setStretch", value: { stretchMs: 1 } }, { paxosEpoch: 6 });
    expect(stale).toEqual({ kind: "refused", reason: "epoch" });
    expect(stateHash(state)).toBe(hash);
  });

  it("refuses everything before the first master", () => {
    const state = new CellState("local");
    const body: Body = { $case: "setStretch", value: { stretchMs: 60_000 } };
    expect(apply(state, 1, { ...Command.create(), body })).toEqual({
      kind: "refused",
      reason: "epoch",
    });
  });

  it("refuses an epoch without key material, and keeps the key of the first (HND-6)", () => {
    const { state, applyBody } = started();
    const epoch = (keyMaterial: Uint8Array): Body => ({
      $case: "beginEpoch",
      value: { paxosEpoch: 8, masterId: 1, keyMaterial, quotas: undefined },
    });
    expect(applyBody(epoch(EMPTY_BYTES)).kind).toBe("refused");
    expect(state.paxosEpoch).toBe(7);
    applyBody(epoch(new Uint8Array(16).fill(9)));
    expect([state.paxosEpoch, state.clientEpoch]).toEqual([8, 2]);
    expect(state.handleKey).toEqual(new Uint8Array(16));
  });

  // Guard: a number below the lowest unanswered one is refused (applyInSession).
  it("never runs a number whose result has been dropped", () => {
    const { state, inSession } = started();
    inSession(1);
    expect(codeOfOutcome(inSession(2, 2, create("g")))).toBe("open");
    expect(codeOfOutcome(inSession(1, 1, create("h")))).toBe("request_forgotten");
    expect(state.namespace.get("/ls/local/h")).toBe(undefined);
    expect(codeOfOutcome(inSession(0))).toBe("request_forgotten");
  });

  it("runs no number that the result table has no room for", () => {
    const { inSession } = started();
    expect(codeOfOutcome(inSession(257))).toBe("too_many_requests");
    expect(codeOfOutcome(inSession(256))).toBe("open");
  });

  it("lets no lowest unanswered number rise above the request's own", () => {
    const { state, inSession } = started();
    inSession(5, 1_000_000);
    expect(state.sessions.get(2)?.lowestUnanswered).toBe(5);
  });

  it("replays a stored result as the same object, marked as such", () => {
    const { inSession } = started();
    const first = inSession(1);
    const second = inSession(1);
    expect(second).toEqual({ ...first, isReplay: true });
  });

  it("leaves no result of an acquire that waits, and may run it again", () => {
    const { inSession } = started();
    const claim = (handleId: number): Body => ({
      $case: "acquireLock",
      value: { path: "/ls/local", instance: 1, handleId, mode: 1, wait: true, lockDelayMs: 0 },
    });
    expect(codeOfOutcome(inSession(1, 1, claim(1)))).toBe("acquire");
    expect(codeOfOutcome(inSession(2, 1, claim(2)))).toBe("blocked");
    inSession(3, 1, { $case: "releaseLock", value: { handleId: 1 } });
    expect(codeOfOutcome(inSession(2, 1, claim(2)))).toBe("acquire");
  });

  it("grants a lock in no mode but exclusive and shared", () => {
    const { state, inSession } = started();
    const acquire = (number: number, mode: number): string => {
      const terms = { path: "/ls/local", instance: 1, wait: true, lockDelayMs: 0 };
      const value = { ...terms, handleId: number, mode: mode as LockMode };
      return codeOfOutcome(inSession(number, 1, { $case: "acquireLock", value }));
    };
    expect([acquire(1, LockMode.FREE), acquire(2, 7)]).toEqual(Array(2).fill("invalid_argument"));
    expect(state.locksHeld).toBe(0);
    checkInvariants(state);
  });

  // Guard: a number whose Open has no result, since it needed no command, opens no other node.
  it("creates no ephemeral node under the number of a handle of another node (NS-5)", () => {
    const { state, inSession } = started();
    inSession(1, 1, {
      $case: "acquireLock",
      value: { path: "/ls/local", instance: 1, handleId: 2, mode: 1, wait: true, lockDelayMs: 0 },
    });
    expect(codeOfOutcome(inSession(2, 1, create("e", true)))).toBe("invalid_argument");
    expect(state.namespace.get("/ls/local/e")).toBe(undefined);
    checkInvariants(state);
  });

  it("lets names and contents of all nodes grow to their limit, and shrink above it", () => {
    const { state, inSession } = started();
    const open = (number: number, name: string, bytes: number) => {
      const body = create(name);
      if (body.$case === "openNode") body.value.initialContents = new Uint8Array(bytes);
      return codeOfOutcome(inSession(number, 1, body));
    };
    const of = (name: string) => {
      const path = `/ls/local/${name}`;
      return { path, instance: state.namespace.get(path)?.instance ?? 0 };
    };
    const write = (number: number, name: string, bytes: number) => {
      const contents = new Uint8Array(bytes);
      const value = { ...of(name), contents, hasIfGeneration: false, ifGeneration: 0 };
      return codeOfOutcome(inSession(number, 1, { $case: "writeContents", value }));
    };
    // Two names of 11 bytes each.
    state.treeBytesMax = 2 * 11 + 100;
    expect(open(1, "f", 60)).toBe("open");
    expect(open(2, "g", 41)).toBe("quota_exceeded");
    expect(open(3, "g", 40)).toBe("open");
    expect(write(4, "g", 41)).toBe("quota_exceeded");
    expect(write(5, "g", 40)).toBe("setContents");
    expect(open(6, "h", 0)).toBe("quota_exceeded");
    const restored = decodeSnapshot(encodeSnapshot(state), "local");
    expect(restored.namespace.sizeBytes).toBe(state.namespace.sizeBytes);
    state.treeBytesMax = 50;
    expect([write(7, "g", 41), write(8, "g", 39)]).toEqual(["quota_exceeded", "setContents"]);
    const node = state.namespace.get("/ls/local/f");
    inSession(9, 1, { $case: "deleteNode", value: of("f") });
    // Handles of it, which a master may keep for long, keep no contents.
    expect(node?.contents.length).toBe(0);
    expect([write(10, "g", 40), write(11, "g", 39)]).toEqual(["quota_exceeded", "setContents"]);
    expect(state.namespace.sizeBytes).toBe(50);
    checkInvariants(state);
  });

  it("counts a deleted name until its lock-delay is over", () => {
    const { state, applyBody } = started();
    state.treeBytesMax = 3 * 11;
    const held = (name: string): string => {
      const terms = { leaseMs: 12_000, caches: false, clientName: "" };
      applyBody({ $case: "beginSession", value: terms });
      const sessionId = state.appliedIndex;
      const inOwn = (requestNumber: number, body: Body) =>
        applyBody(body, { sessionId, requestNumber, lowestUnanswered: 1 });
      const opened = codeOfOutcome(inOwn(1, create(name, true)));
      const path = `/ls/local/${name}`;
      const instance = state.namespace.get(path)?.instance ?? 0;
      const lock = { mode: LockMode.EXCLUSIVE, wait: false, lockDelayMs: 60_000 };
      const value = { handleId: 1, path, instance, ...lock };
      inOwn(2, { $case: "acquireLock", value });
      applyBody({ $case: "expireSession", value: { sessionId } });
      return opened;
    };
    expect(["f", "g", "h", "i"].map(held)).toEqual(["open", "open", "open", "quota_exceeded"]);
    expect([state.namespace.size, state.namespace.sizeBytes]).toEqual([1, 33]);
    const restored = decodeSnapshot(encodeSnapshot(state), "local");
    expect(restored.namespace.sizeBytes).toBe(33);
    restored.appliedIndex = state.appliedIndex;
    checkInvariants(restored);
    const end = (name: string): void => {
      const path = `/ls/local/${name}`;
      const beganAt = state.namespace.delayOf(path)?.beganAt ?? 0;
      applyBody({ $case: "endLockDelay", value: { path, beganAt } });
    };
    // Of a name that comes back the node counts, and the delay no more: there is room for it.
    const again = { sessionId: 2, requestNumber: 1, lowestUnanswered: 1 };
    expect(codeOfOutcome(applyBody(create("f"), again))).toBe("open");
    expect(state.namespace.sizeBytes).toBe(33);
    for (const name of ["f", "g", "h"]) end(name);
    expect(state.namespace.sizeBytes).toBe(11);
    checkInvariants(state);
  });

  it("counts handles that hold something, beside names and contents", () => {
    const { state, inSession } = started();
    const acquire = (number: number, handleId: number, name: string, lowest = 1) => {
      const path = `/ls/local/${name}`;
      const instance = state.namespace.get(path)?.instance ?? 0;
      const terms = { mode: LockMode.SHARED, wait: false, lockDelayMs: 0 };
      const value = { handleId, path, instance, ...terms };
      return codeOfOutcome(inSession(number, lowest, { $case: "acquireLock", value }));
    };
    inSession(1, 1, create("f"));
    expect(state.handleBytes).toBe(0);
    state.handleBytesMax = 2 * (64 + 11);
    expect([acquire(2, 1, "f"), acquire(3, 50, "f")]).toEqual(["acquire", "acquire"]);
    expect(acquire(4, 51, "f")).toBe("quota_exceeded");
    // One that holds it already takes nothing more, but for claims whose answers nobody has taken.
    expect([acquire(5, 50, "f"), acquire(6, 50, "f")]).toEqual(["acquire", "quota_exceeded"]);
    state.handleBytesMax += 8;
    expect([acquire(7, 50, "f"), acquire(8, 50, "f")]).toEqual(["acquire", "quota_exceeded"]);
    checkInvariants(state);
    expect(acquire(9, 50, "f", 9)).toBe("acquire");
    expect(codeOfOutcome(inSession(10, 9, create("e", true)))).toBe("quota_exceeded");
    const restored = decodeSnapshot(encodeSnapshot(state), "local");
    expect(restored.handleBytes).toBe(state.handleBytes);
    expect(restored.resultTally).toEqual(state.resultTally);
    inSession(11, 9, { $case: "releaseLock", value: { handleId: 50 } });
    expect(acquire(12, 51, "f", 9)).toBe("acquire");
    checkInvariants(state);
    // At the limit an ephemeral file that is there takes no opener more.
    const open = create("e", true);
    if (open.$case === "openNode") open.value.create = CreateMode.IF_ABSENT;
    state.handleBytesMax = 1_000;
    expect(codeOfOutcome(inSession(13, 9, open))).toBe("open");
    state.handleBytesMax = state.handleBytes;
    expect(codeOfOutcome(inSession(14, 9, open))).toBe("quota_exceeded");
    // One that holds the lock without being an opener goes with its node, in the same step.
    state.handleBytesMax = 1_000;
    expect(acquire(15, 60, "e", 9)).toBe("acquire");
    inSession(16, 9, { $case: "endSession", value: {} });
    expect([state.handleBytes, state.resultTally.bytes]).toEqual([0, 0]);
  });

  it("bounds a session's openers and records, and makes no file for an Open that it refuses", () => {
    const { state, inSession } = started();
    state.quotas = { ...state.quotas, handlesPerSessionMax: 2 };
    const open = (number: number, name: string, ephemeral: boolean) =>
      codeOfOutcome(inSession(number, 1, create(name, ephemeral)));
    expect([open(1, "e1", true), open(2, "e2", true)]).toEqual(["open", "open"]);
    expect(open(3, "e3", true)).toBe("quota_exceeded");
    expect(state.namespace.get("/ls/local/e3")).toBe(undefined);
    // A permanent one has no opener.
    expect(open(4, "f", false)).toBe("open");
    const terms = { path: "/ls/local", instance: 1, wait: false, lockDelayMs: 0 };
    const claim: Body = {
      $case: "acquireLock",
      value: { ...terms, handleId: 50, mode: LockMode.SHARED },
    };
    expect(codeOfOutcome(inSession(5, 1, claim))).toBe("quota_exceeded");
    inSession(6, 1, { $case: "closeHandle", value: { handleId: 1 } });
    expect(codeOfOutcome(inSession(7, 1, claim))).toBe("acquire");
    checkInvariants(state);
  });

  it("cancels no number that the result table has no room for", () => {
    const { inSession } = started();
    const cancel = (requestNumber: number): Body => ({ $case: "cancel", value: { requestNumber } });
    expect(codeOfOutcome(inSession(1, 1, cancel(1 + 256)))).toBe("invalid_argument");
    expect(codeOfOutcome(inSession(2, 1, cancel(1 + 255)))).toBe("cancel");
  });

  it("takes no contents above 256 KiB", () => {
    const { state, inSession } = started();
    inSession(1);
    const node = state.namespace.get("/ls/local/f");
    const target = { path: "/ls/local/f", instance: node?.instance ?? 0 };
    const write = (number: number, sizeBytes: number) => {
      const terms = { hasIfGeneration: false, ifGeneration: 0 };
      const value = { ...target, ...terms, contents: new Uint8Array(sizeBytes) };
      return codeOfOutcome(inSession(number, 1, { $case: "writeContents", value }));
    };
    expect(write(2, FILE_BYTES_MAX + 1)).toBe("file_too_large");
    expect(write(3, FILE_BYTES_MAX)).toBe("setContents");
  });

  it("answers master's commands inside a session with an error and not with an exception", () => {
    const { inSession } = started();
    expect(inSession(1, 1, { $case: "expireSession", value: { sessionId: 2 } }).kind).toBe(
      "carriedOut",
    );
    expect(codeOfOutcome(inSession(2))).toBe("session_expired");
  });
});
