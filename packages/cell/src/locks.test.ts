import { Command, decodeSequencer, encodeSequencer, LockMode, NodeKind } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import type { Result } from "./state/result.ts";
import { codeOf, Harness, TestSession } from "./test-support/harness.ts";

const PATH = "/ls/local/l";
const { EXCLUSIVE, FREE, SHARED } = LockMode;

type Seat = [TestSession, Uint8Array];
type Seats = {
  1: [Seat];
  2: [Seat, Seat];
  3: [Seat, Seat, Seat];
  4: [Seat, Seat, Seat, Seat];
  5: [Seat, Seat, Seat, Seat, Seat];
  6: [Seat, Seat, Seat, Seat, Seat, Seat];
};

function sessions<N extends keyof Seats>(harness: Harness, count: N, path = PATH): Seats[N] {
  const seats = Array.from({ length: count }, (): Seat => {
    const session = new TestSession(harness, { leaseMs: 60_000 });
    return [session, session.open(path).handle];
  });
  return seats as unknown as Seats[N];
}

function sequencerOf(result: Result): Uint8Array {
  if (result.$case !== "acquire") throw new Error(`not acquired: ${codeOf(result)}`);
  return result.value.sequencer;
}

function check(harness: Harness, sequencer: Uint8Array, mode: LockMode = FREE, name = "") {
  const tag = harness.send({ call: { $case: "checkSequencer", value: { sequencer, mode, name } } });
  const result = harness.resultOf(tag);
  return result?.$case === "checkSequencer" ? result.value.valid : undefined;
}

describe("locks", () => {
  it("are one exclusive holder or any number of shared ones (LCK-1)", () => {
    const harness = new Harness();
    const [a, b, c] = sessions(harness, 3);
    expect(codeOf(a[0].acquire(a[1], SHARED))).toBe("acquire");
    expect(codeOf(b[0].acquire(b[1], SHARED))).toBe("acquire");
    expect(codeOf(c[0].acquire(c[1], EXCLUSIVE))).toBe("lock_held");
    expect(c[0].stat(c[1])).toMatchObject({ lockMode: SHARED, lockHolders: 2 });
    a[0].release(a[1]);
    b[0].release(b[1]);
    expect(codeOf(c[0].acquire(c[1], EXCLUSIVE))).toBe("acquire");
    expect(codeOf(a[0].acquire(a[1], SHARED))).toBe("lock_held");
  });

  it("belong to handles, not to sessions (LCK-1)", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const [one, two] = [session.open(PATH).handle, session.open(PATH).handle];
    session.acquire(one);
    expect(codeOf(session.acquire(two))).toBe("lock_held");
    expect(codeOf(session.release(two))).toBe("lock_not_held");
    session.close(one);
    expect(codeOf(session.acquire(two))).toBe("acquire");
  });

  it("are advisory: who does not hold one may read and write (LCK-2)", () => {
    const harness = new Harness();
    const [a, b] = sessions(harness, 2);
    a[0].acquire(a[1]);
    expect(codeOf(b[0].set(b[1], "x"))).toBe("setContents");
    expect(codeOf(b[0].get(b[1]))).toBe("getContentsAndStat");
  });

  it("can be any node, directory or file, or the cell's root (NS-6)", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const root = session.open("/ls/local", { create: 0, kind: NodeKind.DIRECTORY }).handle;
    const dir = session.open("/ls/local/d", { kind: NodeKind.DIRECTORY }).handle;
    expect([codeOf(session.acquire(root)), codeOf(session.acquire(dir))]).toEqual([
      "acquire",
      "acquire",
    ]);
  });

  it("raise their generation from free to held, and not with each shared holder (META-2, META-4)", () => {
    const harness = new Harness();
    const [a, b] = sessions(harness, 2);
    const start = a[0].stat(a[1]).lockGeneration;
    const first = sequencerOf(a[0].acquire(a[1], SHARED));
    expect(sequencerOf(b[0].acquire(b[1], SHARED))).toEqual(first);
    expect(a[0].stat(a[1]).lockGeneration).toBe(start + 1);
    a[0].release(a[1]);
    b[0].release(b[1]);
    expect(a[0].stat(a[1]).lockGeneration).toBe(start + 1);
    const second = sequencerOf(b[0].acquire(b[1], SHARED));
    expect(decodeSequencer(second).lockGeneration).toBe(start + 2);
  });

  it("give a holder that asks again the same sequencer, and stay one hold (LCK-11)", () => {
    const harness = new Harness();
    const [a, b] = sessions(harness, 2);
    const first = sequencerOf(a[0].acquire(a[1]));
    const waiting = b[0].beginAcquire(b[1]);
    expect(sequencerOf(a[0].acquire(a[1]))).toEqual(first);
    const again = harness.resultOf(a[0].beginAcquire(a[1]));
    expect(again && sequencerOf(again)).toEqual(first);
    harness.isHeldBack = true;
    a[0].begin({ $case: "cancel", value: { requestNumber: a[0].next + 5 } });
    const attempt = { handle: a[1], mode: EXCLUSIVE, wait: false };
    const beside = a[0].begin({ $case: "acquire", value: attempt });
    harness.letGo();
    expect(codeOf(harness.resultOf(beside))).toBe("acquire");
    a[0].release(a[1]);
    expect(codeOf(harness.resultOf(waiting))).toBe("acquire");
  });

  it("are asked for once more in shared mode by one command, with one answer (LCK-11)", () => {
    const harness = new Harness();
    const [a] = sessions(harness, 1);
    const first = sequencerOf(a[0].acquire(a[1], SHARED));
    const { length } = harness.chosen;
    const again = harness.resultOf(a[0].beginAcquire(a[1], SHARED));
    expect(again && sequencerOf(again)).toEqual(first);
    expect(harness.chosen.length).toBe(length + 1);
  });

  it("stay held when one of two claims of a handle is cancelled, and go with the last", () => {
    const harness = new Harness();
    const [a] = sessions(harness, 1);
    const [session, handle] = a;
    session.lowest = session.next;
    const numbers = [session.next, session.next + 1];
    session.beginAcquire(handle);
    session.beginAcquire(handle);
    const cancel = (requestNumber: number | undefined) =>
      session.begin({ $case: "cancel", value: { requestNumber: requestNumber ?? 0 } });
    expect(harness.resultOf(cancel(numbers[0]))).toEqual({
      $case: "cancel",
      value: { released: false },
    });
    expect(session.stat(handle).lockMode).toBe(EXCLUSIVE);
    expect(harness.resultOf(cancel(numbers[1]))).toEqual({
      $case: "cancel",
      value: { released: true },
    });
    const [witness] = sessions(harness, 1);
    expect(witness?.[0].stat(witness[1]).lockMode).toBe(FREE);
  });

  it("that were released are not released once more by a cancel of their claim", () => {
    const harness = new Harness();
    const [a, b] = sessions(harness, 2);
    const [session, handle] = a;
    const requestNumber = session.next;
    session.lowest = requestNumber;
    session.beginAcquire(handle);
    session.release(handle);
    b[0].acquire(b[1]);
    expect(session.call({ $case: "cancel", value: { requestNumber } })).toEqual({
      $case: "cancel",
      value: { released: false },
    });
    expect(session.stat(handle).lockMode).toBe(EXCLUSIVE);
  });

  it("are not taken from who has the answer, by a cancel that comes too late", () => {
    const harness = new Harness();
    const [a] = sessions(harness, 1);
    const [session, handle] = a;
    const number = session.next;
    session.acquire(handle);
    // Of the Open, too.
    for (const requestNumber of [number, number - 1]) {
      expect(session.call({ $case: "cancel", value: { requestNumber } })).toEqual({
        $case: "cancel",
        value: { released: false },
      });
    }
    expect(session.stat(handle).lockMode).toBe(EXCLUSIVE);
    expect(codeOf(session.release(handle))).toBe("release");
  });
});

describe("waiters", () => {
  it("are granted in the order of arrival (GAP-7)", () => {
    const harness = new Harness();
    const [holder, ...waiting] = sessions(harness, 6);
    holder[0].acquire(holder[1]);
    const tags = waiting.map(([session, handle]) => session.beginAcquire(handle));
    let previous = holder;
    waiting.forEach((next, i) => {
      previous[0].release(previous[1]);
      tags.forEach((tag, j) => {
        if (j > i) expect(harness.replyTo(tag)).toBe(undefined);
      });
      expect(codeOf(harness.resultOf(tags[i] ?? 0))).toBe("acquire");
      previous = next;
    });
  });

  it("let no shared request overtake an older exclusive one, and grant shared ones together", () => {
    const harness = new Harness();
    const [holder, writer, r1, r2, late] = sessions(harness, 5);
    holder[0].acquire(holder[1], SHARED);
    const exclusive = writer[0].beginAcquire(writer[1], EXCLUSIVE);
    const shared = [r1, r2].map(([session, handle]) => session.beginAcquire(handle, SHARED));
    expect(codeOf(late[0].acquire(late[1], SHARED))).toBe("lock_held");
    expect(shared.map((tag) => harness.replyTo(tag))).toEqual([undefined, undefined]);
    harness.isHeldBack = true;
    holder[0].begin({ $case: "release", value: { handle: holder[1] } });
    const { log } = harness.pair(0);
    harness.choose(log.proposed.shift() ?? new Uint8Array(0));
    // The exclusive claim, alone.
    expect(log.proposed.length).toBe(1);
    harness.letGo();
    expect(codeOf(harness.resultOf(exclusive))).toBe("acquire");
    writer[0].release(writer[1]);
    expect(shared.map((tag) => codeOf(harness.resultOf(tag)))).toEqual(["acquire", "acquire"]);
  });

  it("let a shared request pass no exclusive one, though the lock is shared by then", () => {
    const harness = new Harness();
    const [holder, r1, writer, r2] = sessions(harness, 4);
    holder[0].acquire(holder[1]);
    const first = r1[0].beginAcquire(r1[1], SHARED);
    const exclusive = writer[0].beginAcquire(writer[1], EXCLUSIVE);
    const second = r2[0].beginAcquire(r2[1], SHARED);
    holder[0].release(holder[1]);
    expect(codeOf(harness.resultOf(first))).toBe("acquire");
    expect([harness.replyTo(exclusive), harness.replyTo(second)]).toEqual([undefined, undefined]);
    r1[0].release(r1[1]);
    expect(codeOf(harness.resultOf(exclusive))).toBe("acquire");
    writer[0].release(writer[1]);
    expect(codeOf(harness.resultOf(second))).toBe("acquire");
  });

  it("are granted together in shared mode on their way, and no exclusive try passes them", () => {
    const harness = new Harness();
    const [a, b, c] = sessions(harness, 3);
    harness.isHeldBack = true;
    const tags = [a, b].map(([session, handle]) => session.beginAcquire(handle, SHARED));
    expect(codeOf(c[0].acquire(c[1], EXCLUSIVE))).toBe("lock_held");
    harness.letGo();
    expect(tags.map((tag) => codeOf(harness.resultOf(tag)))).toEqual(["acquire", "acquire"]);
  });

  it("keep their place when the race for the lock was lost", () => {
    const harness = new Harness();
    const [, first, second, thief] = sessions(harness, 4);
    // The try is chosen before the waiter's claim, though both found the lock free.
    harness.isHeldBack = true;
    const stolen = thief[0].begin({
      $case: "acquire",
      value: { handle: thief[1], mode: EXCLUSIVE, wait: false },
    });
    const tag1 = first[0].beginAcquire(first[1]);
    const tag2 = second[0].beginAcquire(second[1]);
    harness.letGo();
    expect(codeOf(harness.resultOf(stolen))).toBe("acquire");
    expect([harness.replyTo(tag1), harness.replyTo(tag2)]).toEqual([undefined, undefined]);
    thief[0].release(thief[1]);
    expect(codeOf(harness.resultOf(tag1))).toBe("acquire");
    expect(harness.replyTo(tag2)).toBe(undefined);
    first[0].release(first[1]);
    expect(codeOf(harness.resultOf(tag2))).toBe("acquire");
  });

  it("go with their session, by expiry or on purpose (P20)", () => {
    const harness = new Harness();
    const [holder, last] = sessions(harness, 2);
    const dying = new TestSession(harness, { leaseMs: 2_000 });
    const ending = new TestSession(harness, { leaseMs: 2_000 });
    holder[0].acquire(holder[1]);
    const tags = [dying, ending].map((s) => s.beginAcquire(s.open(PATH).handle));
    const tag = last[0].beginAcquire(last[1]);
    ending.end();
    harness.advance(2_200);
    expect(tags.map((t) => codeOf(harness.resultOf(t)))).toEqual([
      "session_expired",
      "session_expired",
    ]);
    holder[0].release(holder[1]);
    expect(codeOf(harness.resultOf(tag))).toBe("acquire");
  });

  it("keep their place when they are asked for anew, and the first request is cancelled then (GAP-7)", () => {
    const harness = new Harness();
    const [holder, a, b] = sessions(harness, 3);
    holder[0].acquire(holder[1]);
    const first = a[0].beginAcquire(a[1]);
    const other = b[0].beginAcquire(b[1]);
    const anew = a[0].beginAcquire(a[1]);
    a[0].call({ $case: "cancel", value: { requestNumber: a[0].next - 2 } });
    expect(codeOf(harness.resultOf(first))).toBe("cancelled");
    holder[0].release(holder[1]);
    expect(codeOf(harness.resultOf(anew))).toBe("acquire");
    expect(harness.replyTo(other)).toBe(undefined);
    a[0].release(a[1]);
    expect(codeOf(harness.resultOf(other))).toBe("acquire");
  });

  /** The lock becomes free as a waiter is asked for anew, and the first request is cancelled. */
  function askedAnewWhileFreed(mode: LockMode, isUnderWay: boolean) {
    const harness = new Harness();
    const [holder, a, b] = sessions(harness, 3);
    holder[0].acquire(holder[1]);
    a[0].beginAcquire(a[1]);
    const other = b[0].beginAcquire(b[1]);
    harness.isHeldBack = true;
    holder[0].begin({ $case: "release", value: { handle: holder[1] } });
    const release = isUnderWay ? harness.pair(0).log.proposed.shift() : undefined;
    if (release !== undefined) harness.choose(release);
    const anew = a[0].beginAcquire(a[1], mode);
    a[0].begin({ $case: "cancel", value: { requestNumber: a[0].next - 2 } });
    harness.letGo();
    return { harness, a, other, anew };
  }

  it.each([true, false])(
    "keep it also if the lock becomes free meanwhile (their claim is under way: %s)",
    (isUnderWay) => {
      const { harness, a, other, anew } = askedAnewWhileFreed(LockMode.EXCLUSIVE, isUnderWay);
      expect(codeOf(harness.resultOf(anew))).toBe("acquire");
      expect(harness.replyTo(other)).toBe(undefined);
      a[0].release(a[1]);
      expect(codeOf(harness.resultOf(other))).toBe("acquire");
    },
  );

  it("get no place in another mode, though the lock becomes free meanwhile", () => {
    const { harness, other, anew } = askedAnewWhileFreed(LockMode.SHARED, true);
    expect(codeOf(harness.resultOf(other))).toBe("acquire");
    expect(harness.replyTo(anew)).toBe(undefined);
  });

  it("lose their place when they are given up, also if the handle waits anew behind its cancel", () => {
    const harness = new Harness();
    const [holder, a, b] = sessions(harness, 3);
    holder[0].acquire(holder[1]);
    a[0].beginAcquire(a[1]);
    const other = b[0].beginAcquire(b[1]);
    const given = a[0].next - 1;
    harness.isHeldBack = true;
    a[0].begin({ $case: "cancel", value: { requestNumber: given } });
    const later = a[0].beginAcquire(a[1]);
    harness.isHeldBack = false;
    harness.settle();
    holder[0].release(holder[1]);
    expect(codeOf(harness.resultOf(other))).toBe("acquire");
    expect(harness.replyTo(later)).toBe(undefined);
  });

  it("are dropped by a cancel, by closing the handle, and by deletion of the node (API-2, GAP-8)", () => {
    const harness = new Harness();
    const [holder, a, b, c] = sessions(harness, 4);
    holder[0].acquire(holder[1]);
    const tags = [a, b, c].map(([session, handle]) => session.beginAcquire(handle));
    a[0].call({ $case: "cancel", value: { requestNumber: a[0].next - 1 } });
    b[0].close(b[1]);
    holder[0].delete(holder[1]);
    expect(tags.map((tag) => codeOf(harness.resultOf(tag)))).toEqual([
      "cancelled",
      "stale_handle",
      "stale_handle",
    ]);
  });

  it("are dropped by closing a handle that keeps an ephemeral file (API-2)", () => {
    const harness = new Harness();
    const [a, b] = [new TestSession(harness), new TestSession(harness)];
    const ephemeral = { ephemeral: true };
    const [ha, hb] = [a.open(PATH, ephemeral).handle, b.open(PATH, ephemeral).handle];
    a.acquire(ha);
    const tag = b.beginAcquire(hb);
    expect(codeOf(b.close(hb))).toBe("close");
    expect(codeOf(harness.resultOf(tag))).toBe("stale_handle");
    a.release(ha);
    expect(a.stat(ha).lockMode).toBe(FREE);
  });

  it("are answered once when their lock is deleted with the first one's claim on its way", () => {
    const harness = new Harness();
    const [holder, ...waiting] = sessions(harness, 3);
    holder[0].acquire(holder[1]);
    const tags = waiting.map(([session, handle]) => session.beginAcquire(handle));
    harness.isHeldBack = true;
    holder[0].begin({ $case: "release", value: { handle: holder[1] } });
    holder[0].begin({ $case: "delete", value: { handle: holder[1] } });
    harness.letGo();
    expect(tags.map((tag) => codeOf(harness.resultOf(tag)))).toEqual([
      "stale_handle",
      "stale_handle",
    ]);
  });

  it("make way for those behind them when they go", () => {
    const harness = new Harness();
    const [reader, writer, next, late] = sessions(harness, 4);
    reader[0].acquire(reader[1], SHARED);
    writer[0].beginAcquire(writer[1], EXCLUSIVE);
    const tag = next[0].beginAcquire(next[1], SHARED);
    expect(harness.replyTo(tag)).toBe(undefined);
    harness.isHeldBack = true;
    writer[0].close(writer[1]);
    // Nor is one that comes now behind an exclusive one.
    const last = late[0].beginAcquire(late[1], SHARED);
    harness.letGo();
    expect([tag, last].map((each) => codeOf(harness.resultOf(each)))).toEqual([
      "acquire",
      "acquire",
    ]);
  });

  it("outlive their connection, and are answered on the one that asks again", () => {
    const harness = new Harness();
    const [holder, waiter] = sessions(harness, 2);
    holder[0].acquire(holder[1]);
    const number = waiter[0].next;
    const first = waiter[0].beginAcquire(waiter[1]);
    harness.disconnect(1);
    const again = waiter[0].envelope(
      { $case: "acquire", value: { handle: waiter[1], mode: EXCLUSIVE, wait: true } },
      { requestNumber: number },
    );
    const second = harness.send(again, 2);
    holder[0].release(holder[1]);
    // Nobody listens on the first one any more; but the master cannot know which one that is.
    expect(harness.replyTo(first)?.to).toBe(1);
    const reply = harness.replyTo(second);
    expect([reply?.to, codeOf(reply?.reply.result)]).toEqual([2, "acquire"]);
    // Once more: the one result, from the table.
    expect(harness.resultOf(harness.send(again, 3))).toEqual(reply?.reply.result);
  });

  it("are refused when there are as many as may be, and nothing else is", () => {
    const harness = new Harness();
    const holder = new TestSession(harness, { leaseMs: 60_000 });
    const held = Array.from({ length: 16 }, (_, i) => holder.open(`${PATH}${i}`).handle);
    for (const handle of held) holder.acquire(handle);
    let full: [TestSession, Uint8Array] | undefined;
    let waiting = 0;
    for (let i = 0; full === undefined; i += 1) {
      const session = new TestSession(harness, { leaseMs: 60_000 });
      const { handle } = session.open(`${PATH}${i % held.length}`);
      for (let n = 0; n < 128 && full === undefined; n += 1) {
        const refusal = harness.replyTo(session.beginAcquire(handle))?.reply.result;
        if (refusal === undefined) waiting += 1;
        else full = [session, handle];
      }
    }
    expect(waiting).toBe(131_072);
    const [last] = full;
    const free = holder.open(`${PATH}-of-nobody`).handle;
    const [released, closed, again] = held;
    if (!released || !closed || !again) throw new Error("sixteen handles");
    const late = new TestSession(harness);
    const theirs = late.open(`${PATH}5`).handle;
    expect([
      codeOf(
        last.call({ $case: "acquire", value: { handle: full[1], mode: EXCLUSIVE, wait: true } }),
      ),
      codeOf(
        holder.call({ $case: "acquire", value: { handle: free, mode: EXCLUSIVE, wait: false } }),
      ),
      codeOf(
        holder.call({ $case: "acquire", value: { handle: again, mode: EXCLUSIVE, wait: true } }),
      ),
      codeOf(last.end()),
      codeOf(holder.release(released)),
      codeOf(harness.resultOf(late.beginAcquire(theirs))),
      codeOf(holder.close(closed)),
      codeOf(holder.end()),
    ]).toEqual([
      "overloaded",
      "acquire",
      "acquire",
      "endSession",
      "release",
      "none",
      "close",
      "endSession",
    ]);
  });
});

describe("a Release and an Acquire of one handle under way together", () => {
  it("free what was held before, and never what a later Acquire was granted", () => {
    const harness = new Harness();
    const [a, b] = sessions(harness, 2);
    a[0].acquire(a[1]);
    // Refused for a moment as the master had too much to do, and repeated behind the Acquire.
    const requestNumber = a[0].next++;
    expect(codeOf(a[0].acquire(a[1]))).toBe("acquire");
    const release = a[0].envelope({ $case: "release", value: { handle: a[1] } }, { requestNumber });
    const waiting = b[0].beginAcquire(b[1]);
    harness.isHeldBack = true;
    const late = harness.send(release);
    const attempt = { handle: a[1], mode: EXCLUSIVE, wait: false };
    const again = a[0].begin({ $case: "acquire", value: attempt });
    harness.letGo();
    expect(codeOf(harness.resultOf(late))).toBe("release");
    expect(codeOf(harness.resultOf(again))).toBe("acquire");
    expect(harness.replyTo(waiting)).toBe(undefined);
    a[0].release(a[1]);
    expect(codeOf(harness.resultOf(waiting))).toBe("acquire");
  });

  it("let those who wait already come first", () => {
    const harness = new Harness();
    const [a, b] = sessions(harness, 2);
    a[0].acquire(a[1]);
    const waiting = b[0].beginAcquire(b[1]);
    harness.isHeldBack = true;
    a[0].begin({ $case: "release", value: { handle: a[1] } });
    const again = a[0].beginAcquire(a[1]);
    const attempt = a[0].begin({
      $case: "acquire",
      value: { handle: a[1], mode: EXCLUSIVE, wait: false },
    });
    harness.letGo();
    expect(codeOf(harness.resultOf(waiting))).toBe("acquire");
    expect(codeOf(harness.resultOf(attempt))).toBe("lock_held");
    expect(harness.replyTo(again)).toBe(undefined);
    b[0].release(b[1]);
    expect(codeOf(harness.resultOf(again))).toBe("acquire");
  });

  it("grant what is asked for behind it, if nobody else wants the lock", () => {
    const harness = new Harness();
    const [a] = sessions(harness, 1);
    for (const wait of [true, false]) {
      a[0].acquire(a[1]);
      harness.isHeldBack = true;
      a[0].begin({ $case: "release", value: { handle: a[1] } });
      const again = a[0].begin({
        $case: "acquire",
        value: { handle: a[1], mode: SHARED, wait },
      });
      harness.letGo();
      expect(codeOf(harness.resultOf(again))).toBe("acquire");
      a[0].release(a[1]);
    }
  });

  it("wait for other holders when the mode is another one", () => {
    const harness = new Harness();
    const [a, b] = sessions(harness, 2);
    for (const [session, handle] of [a, b]) session.acquire(handle, SHARED);
    harness.isHeldBack = true;
    a[0].begin({ $case: "release", value: { handle: a[1] } });
    const again = a[0].beginAcquire(a[1], EXCLUSIVE);
    harness.letGo();
    expect(harness.replyTo(again)).toBe(undefined);
    b[0].release(b[1]);
    expect(codeOf(harness.resultOf(again))).toBe("acquire");
  });

  it("let those come first who waited, also behind an Acquire that is on its way before it", () => {
    const harness = new Harness();
    const [a, b] = sessions(harness, 2);
    for (const isCancelled of [false, true]) {
      const first = a[0].next;
      a[0].beginAcquire(a[1]);
      const waiting = b[0].beginAcquire(b[1]);
      harness.isHeldBack = true;
      if (isCancelled) {
        a[0].begin({ $case: "cancel", value: { requestNumber: first } });
      } else {
        a[0].beginAcquire(a[1]);
        a[0].begin({ $case: "release", value: { handle: a[1] } });
      }
      const again = a[0].beginAcquire(a[1]);
      harness.letGo();
      expect(codeOf(harness.resultOf(waiting))).toBe("acquire");
      expect(harness.replyTo(again)).toBe(undefined);
      b[0].release(b[1]);
      expect(codeOf(harness.resultOf(again))).toBe("acquire");
      a[0].release(a[1]);
    }
  });

  it("are granted at once when the lock is not given back after all", () => {
    const harness = new Harness();
    const [a, b] = sessions(harness, 2, `${PATH}-guard`);
    const guard = sequencerOf(b[0].acquire(b[1]));
    const { handle } = a[0].open(PATH);
    a[0].acquire(handle);
    harness.isHeldBack = true;
    b[0].begin({ $case: "release", value: { handle: b[1] } });
    const release = a[0].begin({ $case: "release", value: { handle } }, { guard });
    const again = a[0].beginAcquire(handle);
    harness.letGo();
    expect(codeOf(harness.resultOf(release))).toBe("sequencer_stale");
    expect(codeOf(harness.resultOf(again))).toBe("acquire");
  });

  it("keep a place in the queue for a hold that is lost while it is asked for again", () => {
    const harness = new Harness();
    const [a, b] = sessions(harness, 2);
    const number = a[0].next;
    a[0].begin({ $case: "acquire", value: { handle: a[1], mode: SHARED, wait: true } });
    b[0].acquire(b[1], SHARED);
    harness.isHeldBack = true;
    a[0].begin({ $case: "cancel", value: { requestNumber: number } });
    const again = a[0].beginAcquire(a[1], EXCLUSIVE);
    harness.letGo();
    expect(harness.replyTo(again)).toBe(undefined);
    b[0].release(b[1]);
    expect(codeOf(harness.resultOf(again))).toBe("acquire");
  });
});

describe("lock-delay", () => {
  const terms = (lockDelayMs: number) => ({ hasLockDelay: true, lockDelayMs });

  it("is 10 s by default, and may be chosen up to a minute at Open (LCK-8, GAP-2)", () => {
    const harness = new Harness();
    const [watcher] = sessions(harness, 1, "/ls/local/w");
    const dying = new TestSession(harness, { leaseMs: 2_000 });
    dying.acquire(dying.open("/ls/local/default").handle);
    dying.acquire(dying.open("/ls/local/long", terms(60_000)).handle);
    dying.acquire(dying.open("/ls/local/none", terms(0)).handle);
    harness.advance(2_200);
    const state = (name: string) => watcher[0].stat(watcher[0].open(`/ls/local/${name}`).handle);
    expect(state("none")).toMatchObject({ lockMode: FREE, lockDelayed: false });
    // A delay of 0 is none, and needs no end.
    const ended = harness.chosen.map(({ command }) => Command.decode(command).body?.$case);
    expect(ended).not.toContain("endLockDelay");
    expect(state("default").lockDelayed).toBe(true);
    harness.advance(10_000);
    expect([state("default").lockDelayed, state("long").lockDelayed]).toEqual([false, true]);
    watcher[0].keepAlive();
    harness.advance(50_000);
    expect(state("long").lockDelayed).toBe(false);
  });

  it("does not follow a release, a Close or an EndSession (LCK-6, GAP-5, GAP-6)", () => {
    const harness = new Harness();
    const [next] = sessions(harness, 1);
    const ways = [
      (s: TestSession, handle: Uint8Array) => s.release(handle),
      (s: TestSession, handle: Uint8Array) => s.close(handle),
      (s: TestSession) => s.end(),
    ];
    for (const giveUp of ways) {
      const holder = new TestSession(harness);
      const { handle } = holder.open(PATH);
      holder.acquire(handle);
      giveUp(holder, handle);
      expect(codeOf(next[0].acquire(next[1]))).toBe("acquire");
      next[0].release(next[1]);
    }
  });

  it("of a failed shared holder keeps out exclusive claims alone, for the longest of delays (GAP-4)", () => {
    const harness = new Harness();
    const [reader, writer] = sessions(harness, 2);
    for (const delay of [5_000, 20_000, 1_000]) {
      const dying = new TestSession(harness, { leaseMs: 2_000 });
      dying.acquire(dying.open(PATH, terms(delay)).handle, SHARED);
    }
    harness.advance(2_200);
    expect(codeOf(reader[0].acquire(reader[1], SHARED))).toBe("acquire");
    reader[0].release(reader[1]);
    const tag = writer[0].beginAcquire(writer[1], EXCLUSIVE);
    harness.advance(19_999);
    expect(harness.replyTo(tag)).toBe(undefined);
    harness.advance(1);
    expect(codeOf(harness.resultOf(tag))).toBe("acquire");
  });

  it("belongs to the name: a node created again inherits what the deleted one left", () => {
    const harness = new Harness(2);
    const [next] = sessions(harness, 1);
    const dying = new TestSession(harness, { leaseMs: 2_000 });
    dying.acquire(dying.open(PATH).handle);
    harness.advance(2_200);
    expect(codeOf(next[0].delete(next[1]))).toBe("delete");
    harness.advance(5_000);
    const { handle, stat } = next[0].open(PATH);
    expect(stat?.lockDelayed).toBe(true);
    const tag = next[0].beginAcquire(handle);
    harness.advance(4_999);
    expect(harness.replyTo(tag)).toBe(undefined);
    harness.advance(1);
    expect(codeOf(harness.resultOf(tag))).toBe("acquire");
  });

  it("of a deleted name ends though nobody creates it again, under a new master too", () => {
    const harness = new Harness(2);
    const dying = new TestSession(harness, { leaseMs: 2_000 });
    dying.acquire(dying.open(PATH, { ephemeral: true }).handle);
    harness.advance(2_200);
    const marked = harness.cell.stateHash();
    harness.elect(1);
    harness.advance(9_999);
    const proposedBefore = harness.chosen.length;
    harness.advance(1);
    expect(harness.chosen.length).toBe(proposedBefore + 1);
    expect(harness.cell.stateHash()).not.toBe(marked);
    harness.advance(60_000);
    expect(harness.chosen.length).toBe(proposedBefore + 1);
  });

  it("stays on the name of an ephemeral file that goes with its failed holder, in one step", () => {
    const harness = new Harness(2);
    const [next] = sessions(harness, 1, "/ls/local/w");
    const dying = new TestSession(harness, { leaseMs: 2_000 });
    dying.acquire(dying.open(PATH, { ephemeral: true }).handle);
    harness.advance(2_200);
    expect(codeOf(next[0].tryOpen(PATH, { create: 0 }))).toBe("not_found");
    harness.elect(1);
    next[0].acknowledge();
    harness.advance(9_999);
    const { handle, stat } = next[0].open(PATH);
    expect(stat?.lockDelayed).toBe(true);
    harness.advance(1);
    expect(codeOf(next[0].acquire(handle))).toBe("acquire");
  });
});

describe("sequencers", () => {
  it("are valid while the lock is held in that generation and mode, and no longer (SEQ-3)", () => {
    const harness = new Harness();
    const [a, b] = sessions(harness, 2);
    const sequencer = sequencerOf(a[0].acquire(a[1]));
    expect(decodeSequencer(sequencer)).toMatchObject({ name: PATH, mode: EXCLUSIVE });
    expect(check(harness, sequencer)).toBe(true);
    const value = { sequencer, mode: FREE, name: "" };
    expect(b[0].call({ $case: "checkSequencer", value })).toMatchObject({ value: { valid: true } });
    expect(check(harness, sequencer, EXCLUSIVE, PATH)).toBe(true);
    expect(check(harness, sequencer, SHARED)).toBe(false);
    expect(check(harness, sequencer, FREE, "/ls/local/other")).toBe(false);
    a[0].release(a[1]);
    expect(check(harness, sequencer)).toBe(false);
    b[0].acquire(b[1]);
    expect(check(harness, sequencer)).toBe(false);
    b[0].release(b[1]);
    // Nor of a mode that somebody has made up.
    const shared = decodeSequencer(sequencerOf(b[0].acquire(b[1], SHARED)));
    expect(check(harness, encodeSequencer(shared))).toBe(true);
    expect(check(harness, encodeSequencer({ ...shared, mode: EXCLUSIVE }))).toBe(false);
  });

  it("are invalid during the lock-delay of their failed holder", () => {
    const harness = new Harness();
    const dying = new TestSession(harness, { leaseMs: 2_000 });
    const sequencer = sequencerOf(dying.acquire(dying.open(PATH).handle));
    harness.advance(2_199);
    expect(check(harness, sequencer)).toBe(true);
    harness.advance(1);
    expect(check(harness, sequencer)).toBe(false);
  });

  it("of a node that was deleted are invalid for the next node of that name (SEQ-6, GAP-8)", () => {
    const harness = new Harness();
    const [a] = sessions(harness, 1);
    const sequencer = sequencerOf(a[0].acquire(a[1]));
    a[0].delete(a[1]);
    expect(check(harness, sequencer)).toBe(false);
    const again = a[0].open(PATH).handle;
    const next = sequencerOf(a[0].acquire(again));
    expect(check(harness, sequencer)).toBe(false);
    expect(decodeSequencer(next).lockGeneration).toBeGreaterThan(
      decodeSequencer(sequencer).lockGeneration,
    );
  });

  it("guard a command to the moment it is applied (SEQ-7)", () => {
    const harness = new Harness();
    const [a] = sessions(harness, 1);
    const [session, handle] = a;
    const guard = sequencerOf(session.acquire(handle));
    harness.isHeldBack = true;
    session.begin({ $case: "release", value: { handle } });
    const contents = new Uint8Array(1);
    const write = session.begin(
      {
        $case: "setContents",
        value: { handle, contents, hasIfGeneration: false, ifGeneration: 0 },
      },
      { guard },
    );
    harness.letGo();
    expect(codeOf(harness.resultOf(write))).toBe("sequencer_stale");
  });
});
