import { utf8Encode } from "@cubby/base";
import { Call, type CallBody, type CallResult, type SessionMachine } from "@cubby/client/core";
import { LockMode } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { CallChecker } from "./check-calls.ts";
import { fedReference, opening } from "./test-support/fed-reference.ts";

const PATH = "/ls/local/l";
const HANDLE = utf8Encode("a handle");
const SESSION = { sessionId: 2, isOver: false } as SessionMachine;
const HELD = LockMode.EXCLUSIVE;
const LOCK_DELAY_MS = 400;

/** A lock at instance 2 that request 1 of session 2 opened, and request 2 holds if it is so wanted. */
function setUp(isHeld = false) {
  const { reference, feed } = fedReference();
  feed(1, opening(PATH));
  const lock = { path: PATH, instance: 2, handleId: 1, mode: HELD, wait: false, lockDelayMs: 0 };
  if (isHeld) feed(2, { $case: "acquireLock", value: lock });
  const checker = new CallChecker(reference);
  let called = 0;
  const settle = (call: Call, index = 0): void => {
    checker.onCalled(call, undefined);
    called += 1;
    checker.onSettled(call, { order: called - 1, atMs: 0, index }, called);
  };
  const opened = made("open", 1);
  opened.result = { $case: "open", value: { handle: HANDLE } } as CallResult;
  settle(opened);
  return { reference, feed, checker, settle };
}

function made($case: CallBody["$case"], number: number, mode = HELD): Call {
  const owner = SESSION as unknown as ConstructorParameters<typeof Call>[0];
  const body = {
    $case,
    value: { handle: HANDLE, mode, wait: false, lockDelayMs: LOCK_DELAY_MS },
  } as unknown as CallBody;
  const call = new Call(owner, body, { context: { path: PATH, instance: 2 } });
  call.number = number;
  return call;
}

function refused($case: CallBody["$case"], number: number, code: string): Call {
  const failure = { code, detail: "", outcome: "not-applied" };
  return Object.assign(made($case, number), { failure });
}

function answered($case: "acquire" | "close", number: number): Call {
  return Object.assign(made($case, number), { result: { $case, value: {} } });
}

describe("the checker of what calls say of the state", () => {
  it("finds a lock called held that nobody held or waited for (9)", () => {
    const { checker, settle } = setUp();
    settle(refused("acquire", 9, "lock_held"));
    checker.wasTaken = () => false;
    expect(() => settle(refused("acquire", 9, "lock_held"))).toThrow(/nobody held it/);
  });

  it("takes a queue for a cause until nobody can be in it any more", () => {
    const { checker, settle, feed } = setUp();
    checker.wasTaken = () => false;
    const waits = made("acquire", 5);
    checker.onCalled(waits, { path: PATH, name: () => "", mode: HELD, begunAt: 0 });
    settle(refused("acquire", 9, "lock_held"));
    waits.failure = { code: "deadline_exceeded", detail: "", outcome: "unknown" };
    checker.onSettled(waits, { order: 0, atMs: 0, index: 0 }, 0);
    settle(refused("acquire", 9, "lock_held"));
    feed(6, { $case: "cancel", value: { requestNumber: 5 } });
    settle(refused("acquire", 9, "lock_held"));
    checker.now = () => 60_000;
    settle(refused("acquire", 9, "lock_held"));
    expect(() => settle(refused("acquire", 9, "lock_held"))).toThrow(/nobody held it/);
  });

  it("finds a good handle called stale, unless it was closed (9)", () => {
    const { settle } = setUp();
    expect(() => settle(refused("getStat", 0, "stale_handle"))).toThrow(/its handle is good/);
    settle(answered("close", 8));
    settle(refused("getStat", 0, "stale_handle"));
    const gone = setUp();
    gone.feed(3, { $case: "deleteNode", value: { path: PATH, instance: 2 } });
    gone.settle(refused("getStat", 0, "stale_handle"));
  });

  it("finds a node called missing that was there all along (9)", () => {
    const { settle, feed } = setUp();
    settle(refused("open", 9, "not_found"), 2);
    expect(() => settle(refused("open", 9, "not_found"), 3)).toThrow(/is there since 3, and 3 was/);
    feed(3, { $case: "deleteNode", value: { path: PATH, instance: 2 } });
    settle(refused("open", 9, "not_found"), 3);
  });

  it("finds a refusal that is not the result of its number (10)", () => {
    const { settle } = setUp(true);
    expect(() => settle(refused("acquire", 2, "lock_held"))).toThrow(/at 4 it is acquire/);
  });

  it("finds a handle that holds its lock though it was closed (9)", () => {
    const { settle, feed } = setUp(true);
    settle(answered("acquire", 2));
    expect(() => settle(answered("close", 3))).toThrow(/was closed, and holds its lock/);
    feed(4, { $case: "closeHandle", value: { handleId: 1 } });
    settle(answered("close", 4));
  });

  it("finds a refusal that nobody can have earned (9)", () => {
    const { settle } = setUp();
    expect(() => settle(refused("getStat", 0, "forged_handle"))).toThrow(/getStat .*forged_handle/);
    expect(() => settle(refused("open", 9, "internal"))).toThrow(/open 2\/9 .*internal/);
  });

  it("finds a lock called not held by the handle that holds it (9)", () => {
    const { settle, feed } = setUp(true);
    settle(refused("release", 9, "lock_not_held"));
    settle(answered("acquire", 2));
    expect(() => settle(refused("release", 9, "lock_not_held"))).toThrow(
      /its handle holds the lock/,
    );
    feed(3, { $case: "releaseLock", value: { handleId: 1 } });
    settle(refused("release", 9, "lock_not_held"));
  });

  it("finds a name called taken where nothing was (9)", () => {
    const { settle, feed } = setUp();
    settle(refused("open", 9, "already_exists"));
    feed(3, { $case: "deleteNode", value: { path: PATH, instance: 2 } });
    settle(refused("open", 9, "already_exists"), 3);
    expect(() => settle(refused("open", 9, "already_exists"), 4)).toThrow(/nothing was there/);
  });

  it("finds a lock that is granted with another lock-delay than its Open asked for (20)", () => {
    const { checker } = setUp();
    const grant = { path: PATH, sessionId: 2, handleId: 1, mode: HELD, generation: 3 };
    checker.onGranted({ ...grant, delayMs: LOCK_DELAY_MS });
    checker.onGranted({ ...grant, handleId: 7, delayMs: 0 });
    expect(() => checker.onGranted({ ...grant, delayMs: 0 })).toThrow(
      /asked for a lock-delay of 400/,
    );
  });
});
