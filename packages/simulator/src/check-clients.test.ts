import { checksum64, EMPTY_BYTES, type Instant, utf8Encode } from "@cubby/base";
import { Call, type CallResult, type SessionMachine } from "@cubby/client/core";
import { encodeSequencer, LockMode, NodeKind, type Stat } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { ClientChecker } from "./check-clients.ts";
import type { ClientProcess } from "./client-process.ts";
import { Coverage } from "./coverage.ts";
import type { About, Hold } from "./script.ts";
import { fedReference, opening } from "./test-support/fed-reference.ts";

const PATH = "/ls/local/f";
const SESSION = { sessionId: 2, isOver: false } as SessionMachine;

/** A reference with one file at instance 2, written twice: generations 3 and 4. */
function written() {
  const { reference, feed } = fedReference();
  feed(1, opening(PATH));
  const write = { path: PATH, instance: 2, hasIfGeneration: false, ifGeneration: 0 };
  feed(2, { $case: "writeContents", value: { ...write, contents: utf8Encode("old") } });
  feed(3, { $case: "writeContents", value: { ...write, contents: utf8Encode("new") } });
  return new ClientChecker(reference, new Coverage());
}

const clock = { isPaused: false };
let localMs = 0;
const CLIENT = {
  name: "c",
  isDead: false,
  clock,
  localNow: () => localMs,
} as unknown as ClientProcess;

function settled(result: CallResult, number = 0, about: Partial<About> = {}): Call {
  const owner = SESSION as unknown as ConstructorParameters<typeof Call>[0];
  const body = { $case: "getContentsAndStat", value: { handle: EMPTY_BYTES } } as const;
  const call = new Call(owner, body, {
    timeoutMs: 8_000,
    context: { path: PATH, instance: 2, ...about },
  });
  call.result = result;
  call.number = number;
  return call;
}

/** Of the file as it is once it is written at that generation. */
function statOf(text: string, contentGeneration: number): Stat {
  const bytes = utf8Encode(text);
  const lock = { lockGeneration: 2, lockMode: LockMode.FREE, lockHolders: 0, lockDelayed: false };
  const content = { contentGeneration, sizeBytes: bytes.length, checksum: checksum64(bytes) };
  return { kind: NodeKind.FILE, instance: 2, ...content, ...lock } as Stat;
}

function contents(text: string, contentGeneration: number): CallResult {
  const stat = statOf(text, contentGeneration);
  const value = { contents: utf8Encode(text), stat };
  return { $case: "getContentsAndStat", value } as CallResult;
}

function settle(checker: ClientChecker, call: Call): void {
  checker.onCalled(CLIENT, call, 0);
  checker.onSettled(1, call);
}

function granted(name: string, lockGeneration: number): Call {
  const mode = LockMode.EXCLUSIVE;
  const sequencer = encodeSequencer({ name, instance: 2, mode, lockGeneration });
  const value = { sequencer, lockGeneration };
  const acquire = settled({ $case: "acquire", value }, 0, { path: name });
  const body = { $case: "acquire", value: { handle: EMPTY_BYTES, mode, wait: true } } as const;
  return Object.assign(acquire, { body });
}

function hold(generation: number, relies: boolean, instance = 2): Hold {
  const process = { name: "c", isDead: false, relies: () => relies } as unknown as ClientProcess;
  const session = { isOver: false, leaseDeadline: 0 as Instant } as SessionMachine;
  return { process, session, path: PATH, instance, mode: LockMode.EXCLUSIVE, generation };
}

describe("the checker of clients", () => {
  it("finds a call that is answered with what was done before it was called (9)", () => {
    const checker = written();
    // Somebody has been answered from the third command, and a number is used for a second call.
    settle(checker, settled({ $case: "setContents", value: statOf("new", 4) }, 3));
    const again = settled({ $case: "setContents", value: statOf("old", 3) }, 2);
    expect(() => settle(checker, again)).toThrow(/with what was done at \d+, before it was called/);
  });

  it("takes a waiter that left its place for one that is new in its queue (23)", () => {
    const checker = written();
    const session = { ...SESSION, maySend: true, epoch: checker.epoch };
    const [call, other] = [1, 2].map((number) =>
      Object.assign(granted(PATH, 3), { session, number, phase: "inFlight" as const }),
    );
    if (call === undefined || other === undefined) throw new Error("there are two");
    for (const each of [call, other]) checker.onCalled(CLIENT, each, 0);
    const [first, second] = checker.waiters;
    checker.onPlaceLeft(call.body);
    expect(checker.waiters).toHaveLength(2);
    expect(checker.waiters[0]).not.toBe(first);
    expect(checker.waiters[1]).toBe(second);
  });

  it("takes what was written, and finds what nobody wrote (9)", () => {
    const checker = written();
    settle(checker, settled(contents("new", 4)));
    expect(() => settle(checker, settled(contents("other", 4)))).toThrow(/nobody wrote/);
    expect(() => settle(checker, settled(contents("new", 5)))).toThrow(/nobody wrote/);
  });

  it("finds a read older than what somebody had seen when it was called (9)", () => {
    const checker = written();
    const early = settled(contents("old", 3));
    checker.onCalled(CLIENT, early, 0);
    settle(checker, settled(contents("new", 4)));
    checker.onSettled(1, early);
    expect(() => settle(checker, settled(contents("old", 3)))).toThrow(/after 2\/4 was seen/);
  });

  it("finds an answer that is not the one at its index, or stands in no log (9, 10)", () => {
    const stat = { instance: 2, contentGeneration: 9, lockGeneration: 2 };
    const wrong = { $case: "setContents", value: stat } as CallResult;
    expect(() => settle(written(), settled(wrong, 3))).toThrow(/expected .*"contentGeneration":4/);
    expect(() => settle(written(), settled(wrong, 8))).toThrow(/stands in no log/);
  });

  it("takes what was told before a Cancel gave it back, and nothing else (9)", () => {
    const cancelled = (result: CallResult): void => {
      const { reference, feed } = fedReference();
      feed(1, opening(PATH));
      const lock = { path: PATH, instance: 2, handleId: 1, mode: LockMode.EXCLUSIVE };
      feed(2, { $case: "acquireLock", value: { ...lock, wait: false, lockDelayMs: 0 } });
      feed(3, { $case: "cancel", value: { requestNumber: 2 } });
      const checker = new ClientChecker(reference, new Coverage());
      expect(reference.resultOf(2, 2)?.code).toBe("cancelled");
      settle(checker, Object.assign(granted(PATH, 3), { result, number: 2 }));
    };
    const acquired = (lockGeneration: number): CallResult =>
      ({ ...granted(PATH, lockGeneration).result }) as CallResult;
    cancelled(acquired(3));
    cancelled({ $case: "close", value: {} });
    expect(() => cancelled(acquired(4))).toThrow(/told .*4.*, expected .*3/);
    expect(() => cancelled({ $case: "release", value: {} })).toThrow(/expected .*acquire/);
  });

  it("finds two that rely on one lock at one time, and only then (16)", () => {
    const checker = written();
    checker.onHolds(hold(5, false));
    checker.onHolds(hold(6, true, 1));
    const letGo = checker.onHolds(hold(6, true));
    letGo();
    checker.onHolds(hold(7, true));
    expect(() => checker.onHolds(hold(8, true))).toThrow(/both rely/);
  });

  it("finds a write of a leader that was succeeded when it called (14)", () => {
    const guarded = (generation: number): Call => {
      const guardedBy = { path: "/ls/local/l", generation };
      return settled({ $case: "setContents", value: statOf("new", 4) }, 0, { guardedBy });
    };
    const checker = written();
    settle(checker, guarded(6));
    const early = guarded(6);
    checker.onCalled(CLIENT, early, 0);
    settle(checker, granted("/ls/local/l", 7));
    checker.onSettled(1, early);
    expect(() => settle(checker, guarded(6))).toThrow(/at 6 after 7 was granted/);
  });

  it("finds a change that failed as not applied, and was (10)", () => {
    const failed = (number: number): Call => {
      const call = settled(contents("", 0), number);
      const body = { $case: "setContents", value: {} } as unknown as Call["body"];
      const failure = { code: "generation_mismatch", detail: "", outcome: "not-applied" };
      return Object.assign(call, { body, result: undefined, failure });
    };
    settle(written(), failed(9));
    expect(() => settle(written(), failed(3))).toThrow(/"not applied"/);
    for (const $case of ["delete", "open", "acquire"]) {
      const call = Object.assign(failed(3), { body: { $case, value: {} } });
      expect(() => settle(written(), call)).toThrow(/"not applied"/);
    }
  });

  it("finds calls whose end is overdue, by the clock of who made them (23)", () => {
    const checker = written();
    localMs = 1_000;
    const call = settled(contents("new", 4));
    checker.onCalled(CLIENT, call, 0);
    localMs = 11_000;
    expect(checker.overdueCalls()).toEqual([]);
    localMs = 11_001;
    expect(checker.overdueCalls()).toHaveLength(1);
    clock.isPaused = true;
    expect(checker.overdueCalls()).toEqual([]);
    clock.isPaused = false;
    checker.onSettled(1, call);
    expect(checker.overdueCalls()).toEqual([]);
  });

  it("finds a lock granted while the session that holds it lives on (13)", () => {
    const checker = written();
    checker.onHolds({ ...hold(5, false), session: SESSION });
    settle(checker, granted(PATH, 5));
    const early = settled(contents("new", 4));
    checker.onCalled(CLIENT, early, 0);
    settle(checker, granted("/ls/local/l", 9));
    settle(checker, granted(PATH, 6));
    checker.onSettled(1, early);
    expect(() => settle(checker, settled(contents("new", 4)))).toThrow(/lost .* at 5 to another/);
  });

  it("finds a token that two holders have, and counts those that come late (14, 15)", () => {
    const checker = written();
    checker.onUsed(hold(5, true));
    checker.onUsed(hold(6, true));
    checker.onUsed(hold(5, true));
    expect(() => checker.onUsed(hold(6, true))).toThrow(/two exclusive holders/);
  });
});
