import { type Instant, NEVER } from "@cubby/base";
import type { Reply } from "@cubby/protocol";
import type { ConnectionId } from "../options.ts";
import type { Result } from "../state/result.ts";
import type { TraceEvent } from "../trace.ts";

export type OutgoingReply = {
  readonly to: ConnectionId;
  readonly reply: Reply;
  /**
   * Right before writing, the shell compares this with the clock and drops a reply that is too late:
   * it rests on a lease that may have passed on since. NEVER for what is a fact.
   */
  readonly validUntil: Instant;
};

/** What the cell wants carried out, until the host takes it. */
export class Outbox {
  #replies: OutgoingReply[] = [];
  #trace: TraceEvent[] = [];

  reply(
    to: ConnectionId,
    tag: number,
    clientEpoch: number,
    result: Result,
    validUntil: Instant = NEVER,
  ): void {
    this.#replies.push({ to, reply: { tag, clientEpoch, result }, validUntil });
  }

  trace(event: TraceEvent): void {
    this.#trace.push(event);
  }

  takeReplies(): OutgoingReply[] {
    const taken = this.#replies;
    if (taken.length > 0) this.#replies = [];
    return taken;
  }

  takeTrace(): TraceEvent[] {
    const taken = this.#trace;
    if (taken.length > 0) this.#trace = [];
    return taken;
  }
}
