import { EMPTY_BYTES } from "@cubby/base";
import { LockMode, type Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { AskedAnew } from "./asked-anew.ts";

type Body = NonNullable<Request["call"]>;

function waiting(wait = true): Body {
  return {
    $case: "acquire",
    value: { handle: EMPTY_BYTES, mode: LockMode.EXCLUSIVE, wait },
  };
}

function cancelling(requestNumber: number): Body {
  return { $case: "cancel", value: { requestNumber } };
}

function request(requestNumber: number, call: Body, sessionId = 7): Request {
  const rest = { tag: 0, lowestUnanswered: 1, clientEpoch: 1, guard: EMPTY_BYTES };
  return { ...rest, sessionId, requestNumber, call };
}

describe("a waiting Acquire that is asked for under another number", () => {
  it("keeps its place when its first number is cancelled behind that, and not when before", () => {
    const askedAnew = new AskedAnew();
    const call = waiting();
    expect(askedAnew.onSend(request(1, call))).toBeUndefined();
    expect(askedAnew.onSend(request(9, call))).toBe("keptItsPlace");
    askedAnew.onSend(request(10, cancelling(1)));
    askedAnew.onSend(request(11, cancelling(9)));
    expect(askedAnew.onSend(request(12, call))).toBe("leftItsPlace");
  });

  it("is none that is repeated, nor another call, session or kind of Acquire", () => {
    const askedAnew = new AskedAnew();
    const call = waiting();
    askedAnew.onSend(request(1, call));
    askedAnew.onSend(request(2, cancelling(1), 8));
    expect(askedAnew.onSend(request(1, call))).toBeUndefined();
    expect(askedAnew.onSend(request(2, waiting()))).toBeUndefined();
    expect(askedAnew.onSend(request(3, call))).toBe("keptItsPlace");
    const prompt = waiting(false);
    askedAnew.onSend(request(4, prompt));
    expect(askedAnew.onSend(request(5, prompt))).toBeUndefined();
  });
});
