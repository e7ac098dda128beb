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
  #bytes = 0;

  constructor(log: ReplicatedLog, paxosEpoch: number, counter: ProposalCounter) {
    this.#log = log;
    this.#paxosEpoch = paxosEpoch;
    this.#counter = counter;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** Of all commands whose results somebody awaits. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The master's own: nobody awaits a result. */
  proposeOwn(body: CommandBody): number {
    const command = this.#command(0, 0, 0, EMPTY_BYTES, body);
    this.#propose(command);
    return command.proposal;
  }

  proposeFor(call: Call, body: CommandBody): void {
    const request = call.request;
    call.isProposed = true;
    const command = this.#command(
      request.sessionId,
      request.requestNumber,
      request.lowestUnanswered,
      mayFail(body) ? request.guard : EMPTY_BYTES,
      body,
    );
    this.#calls.set(command.proposal, call);
    call.commandBytes = this.#propose(command);
    this.#bytes += call.commandBytes;
  }

  /** The call behind an applied command of this epoch, which from now on awaits nothing. */
  take(command: Command): Call | undefined {
    const call = this.#calls.get(command.proposal);
    if (call === undefined) return undefined;
    this.#calls.delete(command.proposal);
    this.#bytes -= call.commandBytes;
    return call;
  }

  /** In the order in which they were proposed. */
  calls(): IterableIterator<Call> {
    return this.#calls.values();
  }

  #command(
    sessionId: number,
    requestNumber: number,
    lowestUnanswered: number,
    guard: Uint8Array,
    body: CommandBody,
  ): Command {
    this.#counter.last += 1;
    return {
      paxosEpoch: this.#paxosEpoch,
      proposal: this.#counter.last,
      sessionId,
      requestNumber,
      lowestUnanswered,
      guard,
      body,
    };
  }

  #propose(command: Command): number {
    const bytes = encodeMessage(Command, command);
    this.#log.propose(bytes);
    return bytes.length;
  }
}

/**
 * SEQ-7: a guard stops what is done with a handle, and never what gives something back: the master
 * forgets a closed handle and a cancelled caller, whatever the guard says when it is applied (API-2).
 */
function mayFail(body: CommandBody): boolean {
  return body.$case !== "closeHandle" && body.$case !== "cancel" && body.$case !== "endSession";
}
