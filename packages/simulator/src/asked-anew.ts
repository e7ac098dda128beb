import type { Request } from "@cubby/protocol";

type Sent = { readonly number: number; isCancelled: boolean };

/** What became of a waiting Acquire's place in its queue as it was asked for under another number. */
export type Renumbered = "keptItsPlace" | "leftItsPlace";

/** Acquires that their clients ask for anew, as they do to let a session's window of numbers move on. */
export class AskedAnew {
  /** A call is the same object under each of its numbers. */
  readonly #byCall = new WeakMap<object, Sent>();
  readonly #byNumber = new Map<string, Sent>();

  /** Of what is about to leave its client; undefined if it is nothing of the kind. */
  onSend({ sessionId, requestNumber: number, call }: Request): Renumbered | undefined {
    if (call?.$case === "cancel") this.#cancel(`${sessionId}/${call.value.requestNumber}`);
    if (call?.$case !== "acquire" || !call.value.wait) return undefined;
    const before = this.#byCall.get(call);
    if (before?.number === number) return undefined;
    const sent = { number, isCancelled: false };
    this.#byCall.set(call, sent);
    this.#byNumber.set(`${sessionId}/${number}`, sent);
    if (before === undefined) return undefined;
    return before.isCancelled ? "leftItsPlace" : "keptItsPlace";
  }

  #cancel(key: string): void {
    const sent = this.#byNumber.get(key);
    if (sent !== undefined) sent.isCancelled = true;
    this.#byNumber.delete(key);
  }
}
