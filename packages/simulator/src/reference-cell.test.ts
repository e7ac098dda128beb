import { EMPTY_BYTES } from "@cubby/base";
import { Command, CreateMode, encodeMessage, LockMode, NodeKind } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { ReferenceCell } from "./reference-cell.ts";

type Body = NonNullable<Command["body"]>;

const PATH = "/ls/local/f";

/** Feeds commands of one epoch to a reference, and numbers each session's requests. */
class Feeder {
  readonly cell = new ReferenceCell();
  #index = 0;
  readonly #numbers = new Map<number, number>();

  constructor() {
    const value = {
      paxosEpoch: 7,
      masterId: 1,
      keyMaterial: new Uint8Array(16),
      quotas: undefined,
    };
    this.own({ $case: "beginEpoch", value });
  }

  own(body: Body): number {
    return this.#feed(0, 0, body);
  }

  session(): number {
    const value = { leaseMs: 12_000, caches: false, clientName: "" };
    return this.own({ $case: "beginSession", value });
  }

  call(sessionId: number, body: Body, number = this.#next(sessionId)) {
    this.#feed(sessionId, number, body);
    const told = this.cell.resultOf(sessionId, number);
    if (told === undefined) return undefined;
    const { index: _, ...expected } = told;
    return expected;
  }

  open(sessionId: number, path = PATH, ephemeral = false) {
    const value = {
      path,
      access: 7,
      create: CreateMode.IF_ABSENT,
      kind: NodeKind.FILE,
      ephemeral,
      initialContents: EMPTY_BYTES,
      lockDelayMs: 0,
      directoryPath: "",
      directoryInstance: 0,
    };
    const opened = this.call(sessionId, { $case: "openNode", value });
    return {
      ...opened,
      handleId: this.#numbers.get(sessionId) ?? 0,
      instance: opened?.instance ?? 0,
    };
  }

  acquire(sessionId: number, handleId: number, instance: number, wait = false, lockDelayMs = 0) {
    const mode = LockMode.EXCLUSIVE;
    const value = { path: PATH, instance, handleId, mode, wait, lockDelayMs };
    return this.call(sessionId, { $case: "acquireLock", value });
  }

  #next(sessionId: number): number {
    const number = (this.#numbers.get(sessionId) ?? 0) + 1;
    this.#numbers.set(sessionId, number);
    return number;
  }

  #feed(sessionId: number, requestNumber: number, body: Body): number {
    this.#index += 1;
    const command = {
      paxosEpoch: 7,
      proposal: this.#index,
      sessionId,
      requestNumber,
      lowestUnanswered: 1,
      guard: EMPTY_BYTES,
      body,
    };
    this.cell.apply(this.#index, encodeMessage(Command, command));
    return this.#index;
  }
}

describe("the reference cell", () => {
  it("grants a lock to one at a time, at generations that rise (LCK-1, META-2)", () => {
    const feeder = new Feeder();
    const [a, b] = [feeder.session(), feeder.session()];
    const atA = feeder.open(a);
    const atB = feeder.open(b);
    const first = feeder.acquire(a, atA.handleId, atA.instance);
    expect(first).toMatchObject({ result: "acquire" });
    expect(feeder.acquire(b, atB.handleId, atB.instance)).toEqual({
      result: "error",
      code: "lock_held",
    });
    expect(feeder.acquire(b, atB.handleId, atB.instance, true)).toBeUndefined();
    feeder.call(a, { $case: "releaseLock", value: { handleId: atA.handleId } });
    const second = feeder.acquire(b, atB.handleId, atB.instance);
    expect(second?.lockGeneration).toBe((first?.lockGeneration ?? 0) + 1);
  });

  it("keeps a failed holder's lock closed until its delay is ended by name (LCK-7)", () => {
    const feeder = new Feeder();
    const [a, b] = [feeder.session(), feeder.session()];
    const atA = feeder.open(a);
    const atB = feeder.open(b);
    feeder.acquire(a, atA.handleId, atA.instance, false, 500);
    const expiredAt = feeder.own({ $case: "expireSession", value: { sessionId: a } });
    expect(feeder.cell.delaysBegun).toEqual([{ path: PATH, ms: 500 }]);
    expect(feeder.acquire(b, atB.handleId, atB.instance)?.code).toBe("lock_delayed");
    feeder.own({ $case: "endLockDelay", value: { path: PATH, beganAt: expiredAt - 1 } });
    expect(feeder.acquire(b, atB.handleId, atB.instance)?.code).toBe("lock_delayed");
    feeder.own({ $case: "endLockDelay", value: { path: PATH, beganAt: expiredAt } });
    expect(feeder.acquire(b, atB.handleId, atB.instance)?.result).toBe("acquire");
  });

  it("answers a repeated number with the first result, and a dead session with its death", () => {
    const feeder = new Feeder();
    const a = feeder.session();
    const { instance } = feeder.open(a);
    const value = {
      path: PATH,
      instance,
      contents: EMPTY_BYTES,
      hasIfGeneration: false,
      ifGeneration: 0,
    };
    const first = feeder.call(a, { $case: "writeContents", value }, 9);
    expect(feeder.call(a, { $case: "writeContents", value }, 9)).toEqual(first);
    expect(feeder.cell.isReplay).toBe(true);
    feeder.own({ $case: "expireSession", value: { sessionId: a } });
    expect(feeder.call(a, { $case: "writeContents", value }, 10)?.code).toBe("session_expired");
  });

  it("takes ephemeral nodes away with their session, and never lowers a name's generations", () => {
    const feeder = new Feeder();
    const a = feeder.session();
    const before = feeder.open(a, PATH, true);
    feeder.own({ $case: "expireSession", value: { sessionId: a } });
    expect(feeder.cell.nodes.size).toBe(0);
    const after = feeder.open(feeder.session());
    expect(after.created).toBe(true);
    expect(after.instance).toBeGreaterThan(before.instance);
  });

  it("refuses epochs that go down", () => {
    const feeder = new Feeder();
    const value = { paxosEpoch: 6, masterId: 1, keyMaterial: EMPTY_BYTES, quotas: undefined };
    expect(() => feeder.own({ $case: "beginEpoch", value })).toThrow(/epoch 6 begins after 7/);
  });
});
