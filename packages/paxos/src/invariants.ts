import { assert } from "@cubby/base";
import { type Ballot, compareBallots, type Slot } from "./ballot.ts";

export type AcceptorView = {
  readonly promised: Ballot;
  readonly acceptedBallot: Ballot;
  readonly chosen: Slot;
  readonly delivered: Slot;
  readonly dropped: Slot;
  readonly length: Slot;
};

/** Holds between any two steps, of every acceptor; checked in production after each change. */
export function checkAcceptor(view: AcceptorView): void {
  assert(
    compareBallots(view.promised, view.acceptedBallot) >= 0,
    "nothing is accepted above what is promised",
  );
  assert(view.chosen <= view.length, "what is chosen is in the log");
  assert(view.delivered <= view.chosen, "only what is chosen is delivered");
  assert(view.dropped <= view.delivered, "what is not delivered is not dropped");
}

/** From one state to the next. */
export function checkPromiseRises(before: Ballot, after: Ballot): void {
  assert(compareBallots(after, before) > 0, "a promise only rises");
}

export function checkChosenRises(before: Slot, after: Slot): void {
  assert(after >= before, "what is chosen stays chosen");
}

export function checkTruncation(firstSlot: Slot, chosen: Slot): void {
  assert(firstSlot > chosen, "nothing chosen is cut off");
}
