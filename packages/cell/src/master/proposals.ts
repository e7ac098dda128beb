import { EMPTY_BYTES } from "@cubby/base";
import { Command, encodeMessage } from "@cubby/protocol";
import type { ReplicatedLog } from "../replicated-log.ts";
import type { Call } from "./call.ts";

export type CommandBody = NonNullable<Command["body"]>;

/**
 * Counts a replica's proposals for as long as its process lives, over all its masterships: a command
 * of an earlier one is never taken for one of the present, though both may be of one Paxos epoch.
 */
export type ProposalCounter = { last: number };

/** Commands on their way through the log, and who awaits what becomes of them. */
export class Proposals {
  readonly #log: ReplicatedLog;
  readonly #paxosEpoch: number;
  /** By proposal number. */
  readonly #calls = new Map<number, Call>();
  readonly #counter: ProposalCounter;

  constructor(log: ReplicatedLog, paxosEpoch: number, counter: ProposalCounter) {
    this.#log = log;
    this.#paxosEpoch = paxosEpoch;
    this.#counter = counter;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** The master's own: nobody awaits a result. */
  proposeOwn(body: CommandBody): number {
    return this.#propose(0, 0, 0, EMPTY_BYTES, body);
  }

  proposeFor(call: Call, body: CommandBody): void {
    const request = call.request;
    call.isProposed = true;
    const proposal = this.#propose(
      request.sessionId,
      request.requestNumber,
      request.lowestUnanswered,
      request.guard,
      body,
    );
    this.#calls.set(proposal, call);
  }

  /** The call behind an applied command of this epoch, which from now on awaits nothing. */
  take(command: Command): Call | undefined {
    const call = this.#calls.get(command.proposal);
    if (call === undefined) return undefined;
    this.#calls.delete(command.proposal);
    return call;
  }

  /** In the order in which they were proposed. */
  calls(): IterableIterator<Call> {
    return this.#calls.values();
  }

  #propose(
    sessionId: number,
    requestNumber: number,
    lowestUnanswered: number,
    guard: Uint8Array,
    body: CommandBody,
  ): number {
    this.#counter.last += 1;
    const command: Command = {
      paxosEpoch: this.#paxosEpoch,
      proposal: this.#counter.last,
      sessionId,
      requestNumber,
      lowestUnanswered,
      guard,
      body,
    };
    this.#log.propose(encodeMessage(Command, command));
    return this.#counter.last;
  }
}
