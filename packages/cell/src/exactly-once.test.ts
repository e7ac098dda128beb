import { NEVER } from "@cubby/base";
import { CreateMode, ERROR_CODES, type LockMode, type Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { codeOf, Harness, openCall, setCall, TestSession } from "./test-support/harness.ts";

const PATH = "/ls/local/f";
const EXCLUSIVE: LockMode = 1;

/** Each effectful call once, in the order given, all unanswered as far as the master knows. */
function effectfulCalls(session: TestSession, handle: Uint8Array): Partial<Request>[] {
  const calls: Request["call"][] = [
    { $case: "setContents", value: setCall(handle, "x") },
    { $case: "acquire", value: { handle, mode: EXCLUSIVE, wait: true } },
    { $case: "release", value: { handle } },
    { $case: "acquire", value: { handle, mode: EXCLUSIVE, wait: false } },
    { $case: "cancel", value: { requestNumber: session.next + 20 } },
    { $case: "close", value: { handle } },
  ];
  return calls.flatMap((call) => {
    if (call === undefined) return [];
    session.next += 1;
    return [session.envelope(call, { requestNumber: session.next - 1 })];
  });
}

describe("exactly once (GAP-11)", () => {
  it("tells nobody without a lease that what is on its way did not happen", () => {
    const harness = new Harness();
    const session = new TestSession(harness, { leaseMs: 60_000 });
    const { handle } = session.open(PATH);
    const set: Request["call"] = { $case: "setContents", value: setCall(handle, "x") };
    const requestNumber = session.next;
    const repeat = (to: number): number =>
      harness.send(session.envelope(set, { requestNumber }), to);
    harness.isHeldBack = true;
    harness.lease(1_000);
    session.begin(set);
    harness.advance(1_500);
    const [early, other] = [
      repeat(5),
      harness.send(session.envelope({ $case: "close", value: { handle } }, { requestNumber }), 6),
    ];
    harness.advance(6_000);
    expect(harness.resultOf(early)).toBeUndefined();
    expect(codeOf(harness.resultOf(other))).toBe("invalid_argument");
    harness.letGo();
    expect(codeOf(harness.resultOf(early))).toBe("setContents");
    // Still without a lease: what was done was done.
    expect(codeOf(harness.resultOf(repeat(7)))).toBe("setContents");
  });

  it("does not say of a file that a cancelled Open made that it was not made", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const requestNumber = session.next;
    const open: Request["call"] = { $case: "open", value: openCall(PATH) };
    session.begin(open);
    session.lowest = requestNumber;
    session.begin({ $case: "cancel", value: { requestNumber } });
    const again = codeOf(harness.resultOf(session.begin(open, { requestNumber })));
    expect(again).toBe("request_forgotten");
    expect(ERROR_CODES.request_forgotten.outcome).toBe("unknown");
    expect(codeOf(new TestSession(harness).tryOpen(PATH, { create: CreateMode.NEVER }))).toBe(
      "open",
    );
  });

  it("answers a repeated number with its one result and changes nothing", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    for (const request of effectfulCalls(session, handle)) {
      const first = harness.resultOf(harness.send(request));
      const chosen = harness.chosen.length;
      const hash = harness.cell.stateHash();
      expect(harness.resultOf(harness.send(request, 2))).toEqual(first);
      expect(harness.chosen.length).toBe(chosen);
      expect(harness.cell.stateHash()).toBe(hash);
    }
  });

  it("tells what is applied as a fact that holds whoever is master", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    const write: Request["call"] = { $case: "setContents", value: setCall(handle, "x") };
    const request = session.envelope(write, { requestNumber: session.next });
    for (const connection of [1, 2]) {
      const reply = harness.replyTo(harness.send(request, connection));
      expect(reply?.validUntil).toBe(NEVER);
    }
  });

  it("runs a number repeated while it is under way once, and answers wherever it was asked", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    harness.isHeldBack = true;
    const write = session.envelope(
      { $case: "setContents", value: setCall(handle, "x") },
      { requestNumber: session.next },
    );
    const first = harness.send(write, 1);
    const second = harness.send(write, 2);
    expect(harness.pair(0).log.proposed.length).toBe(1);
    harness.letGo();
    // The one to arrive last may be a late copy on a connection that the client has left.
    expect(harness.replyTo(first)?.to).toBe(1);
    expect(harness.replyTo(second)?.to).toBe(2);
    expect(harness.replyTo(second)?.reply.result).toEqual(harness.replyTo(first)?.reply.result);
  });

  it("answers only once on a connection, with the tag that came last, and on a few at most", () => {
    const harness = new Harness();
    const [holder, waiter] = [new TestSession(harness), new TestSession(harness)];
    holder.acquire(holder.open(PATH).handle);
    const { handle } = waiter.open(PATH);
    const acquire = waiter.envelope(
      { $case: "acquire", value: { handle, mode: EXCLUSIVE, wait: true } },
      { requestNumber: waiter.next },
    );
    const tags = [1, 2, 1, 3, 4, 4, 5, 6, 7, 8, 9].map((from) => harness.send(acquire, from));
    holder.end();
    const answered = tags.filter((tag) => harness.replyTo(tag) !== undefined);
    expect(answered).toEqual(tags.filter((_, i) => ![0, 1, 4].includes(i)));
  });

  it("does not run an Open that was refused, when it comes once more", () => {
    const harness = new Harness();
    const [reader, owner] = [new TestSession(harness), new TestSession(harness)];
    const requestNumber = reader.next;
    expect(codeOf(reader.tryOpen(PATH, { create: CreateMode.NEVER }))).toBe("not_found");
    const { handle } = owner.open(PATH, { ephemeral: true });
    reader.next = requestNumber;
    reader.lowest = requestNumber;
    expect(codeOf(reader.tryOpen(PATH, { create: CreateMode.NEVER }))).toBe("not_found");
    owner.close(handle);
    // Nobody else has it open, so it is gone.
    expect(codeOf(owner.tryOpen(PATH, { create: CreateMode.NEVER }))).toBe("not_found");
  });

  // Guard: results are part of the snapshot (writeResults, reliability P19).
  it("holds over a snapshot and a new master", () => {
    const harness = new Harness(2);
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    const requests = effectfulCalls(session, handle);
    const results = requests.map((request) => harness.resultOf(harness.send(request)));
    harness.restore(1, 0);
    harness.elect(1);
    session.acknowledge();
    const again = requests.map((request) =>
      harness.resultOf(harness.send({ ...request, clientEpoch: harness.epoch })),
    );
    expect(again).toEqual(results);
  });

  it("runs one of two entries of the log with the same number", () => {
    const harness = new Harness(2);
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    session.set(handle, "x");
    const { contentGeneration } = session.stat(handle);
    harness.choose(harness.chosen[harness.chosen.length - 1]?.command ?? new Uint8Array(0));
    expect(session.stat(handle).contentGeneration).toBe(contentGeneration);
    const opened = session.open("/ls/local/g").handle;
    const { command } = harness.chosen.at(-1) ?? { command: new Uint8Array(0) };
    session.close(opened);
    harness.choose(command);
    expect(codeOf(session.get(opened))).toBe("stale_handle");
  });

  it("leaves alone what a Cancel finds done that gives nothing back", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    const requestNumber = session.next;
    session.next += 1;
    const write = session.envelope(
      { $case: "setContents", value: setCall(handle, "x") },
      { requestNumber },
    );
    const written = harness.resultOf(harness.send(write));
    expect(codeOf(written)).toBe("setContents");
    expect(session.call({ $case: "cancel", value: { requestNumber } })).toEqual({
      $case: "cancel",
      value: { released: false },
    });
    expect(harness.resultOf(harness.send(write))).toEqual(written);
  });

  it("keeps a failed result like any other: the same number does not succeed later", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    const { contentGeneration } = session.stat(handle);
    const write = session.envelope(
      { $case: "setContents", value: setCall(handle, "x", contentGeneration + 1) },
      { requestNumber: session.next + 1 },
    );
    expect(codeOf(harness.resultOf(harness.send(write)))).toBe("generation_mismatch");
    session.set(handle, "y");
    expect(codeOf(harness.resultOf(harness.send(write)))).toBe("generation_mismatch");
  });

  it("drops results only below the lowest unanswered number, and then refuses the number", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { handle } = session.open(PATH);
    session.lowest = session.next;
    const numbers = Array.from({ length: 200 }, () => {
      session.begin({ $case: "setContents", value: setCall(handle, "x") });
      return session.next - 1;
    });
    const repeat = (requestNumber: number) =>
      codeOf(
        harness.resultOf(
          harness.send(
            session.envelope(
              { $case: "setContents", value: setCall(handle, "x") },
              { requestNumber },
            ),
          ),
        ),
      );
    const { length } = harness.chosen;
    expect(numbers.map(repeat)).toEqual(numbers.map(() => "setContents"));
    expect(harness.chosen.length).toBe(length);
    const lowest = numbers[100] ?? 0;
    session.lowest = lowest;
    session.set(handle, "y");
    session.lowest = lowest;
    for (const number of numbers) {
      const envelope = session.envelope(
        { $case: "setContents", value: setCall(handle, "x") },
        { requestNumber: number, lowestUnanswered: Math.min(lowest, number) },
      );
      const expected = number < lowest ? "request_forgotten" : "setContents";
      expect(codeOf(harness.resultOf(harness.send(envelope)))).toBe(expected);
    }
  });
});
