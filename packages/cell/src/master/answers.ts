import { type Instant, NEVER } from "@cubby/base";
import type { Result } from "../state/result.ts";
import type { Call } from "./call.ts";
import type { MasterSession } from "./master-session.ts";
import type { Outbox } from "./outbox.ts";
import type { SessionClock } from "./session-clock.ts";

/** How a serving master answers: each answer says how long it may be believed. */
export class Answers {
  readonly #outbox: Outbox;
  readonly #clock: SessionClock;
  readonly #clientEpoch: number;

  constructor(outbox: Outbox, clock: SessionClock, clientEpoch: number) {
    this.#outbox = outbox;
    this.#clock = clock;
    this.#clientEpoch = clientEpoch;
  }

  /** What is read from state holds as long as no other master can be. */
  fromState(call: Call, result: Result): void {
    this.#answer(call, result, this.#clock.leaseUntil);
  }

  /** What has been applied, or is wrong with the call itself, holds whoever is master. */
  asFact(call: Call, result: Result): void {
    this.#answer(call, result, NEVER);
  }

  /**
   * From state, to a call that would do something if it came once more: its number keeps the answer,
   * since a duplicate may arrive late, when the state is another one.
   */
  onceFromState(session: MasterSession, call: Call, result: Result): void {
    session.answered ??= new Map();
    session.answered.set(call.number, result);
    this.fromState(call, result);
  }

  #answer(call: Call, result: Result, validUntil: Instant): void {
    call.tellAll((to, tag) => {
      this.#outbox.reply(to, tag, this.#clientEpoch, result, validUntil);
    });
  }
}
