import { CreateMode, CubbyError, type ErrorCode } from "@cubby/protocol";
import { optionsOf } from "./arguments.ts";
import type { Call, CallResult, Failure } from "./core/call.ts";

/** Per-call options that every call of the API takes. */
export type CallOptions = {
  /** Aborting cancels the call, at the master too. */
  readonly signal?: AbortSignal | undefined;
  /** How long to wait for the answer. Infinity waits for ever; the default is the session's. */
  readonly timeoutMs?: number | undefined;
};

/** Of options that may hold more than these, such as those of an `open`. Throws what `optionsOf` does. */
export function callOptions(options: CallOptions | undefined): CallOptions {
  const { signal, timeoutMs } = optionsOf(options);
  return { signal, timeoutMs };
}

/** Something that wants to hear of the ends of its calls. */
export interface PendingOwner {
  onCallSettled(call: Call, failure: Failure | undefined): void;
}

/** The application's side of one call: its promise and what turns the answer into a value. */
export class PendingCall<T> {
  readonly promise: Promise<T>;
  readonly #convert: (result: CallResult) => T;
  readonly #owner: PendingOwner | undefined;
  /** Turns an expected failure into a value. */
  readonly #absorb: ((code: ErrorCode) => { value: T } | undefined) | undefined;
  #resolve: (value: T) => void = ignore;
  #reject: (error: unknown) => void = ignore;
  #signal: AbortSignal | undefined;
  #stopListening: () => void = ignore;

  constructor(
    convert: (result: CallResult) => T,
    owner?: PendingOwner,
    absorb?: (code: ErrorCode) => { value: T } | undefined,
  ) {
    this.#convert = convert;
    this.#owner = owner;
    this.#absorb = absorb;
    this.promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  listenTo(signal: AbortSignal, onAbort: () => void): void {
    this.#signal = signal;
    this.#stopListening = onceAborted(signal, onAbort);
  }

  settle(call: Call): void {
    this.#stopListening();
    this.#owner?.onCallSettled(call, call.failure);
    if (call.result !== undefined) {
      try {
        this.#resolve(this.#convert(call.result));
      } catch (error) {
        this.fail(error);
      }
      return;
    }
    const failure = call.failure ?? NO_ANSWER;
    const absorbed = this.#absorb?.(failure.code);
    if (absorbed !== undefined) this.#resolve(absorbed.value);
    else this.fail(errorOf(withOutcomeOf(call, failure), this.#signal));
  }

  /**
   * A caller that has stopped waiting (a race, an exception before its `await`) must not bring the
   * process down: the rejection counts as handled, and whoever does await it gets it all the same.
   */
  fail(error: unknown): void {
    void quiet(this.promise);
    this.#reject(error);
  }
}

/** An open that makes no node changes nothing, so that nobody need look what has become of it. */
function withOutcomeOf({ body }: Call, failure: Failure): Failure {
  const mayChange = body.$case !== "open" || body.value.create !== CreateMode.NEVER;
  return mayChange ? failure : { ...failure, outcome: "not-applied" };
}

type AbortListeners = { readonly calls: Set<() => void>; readonly notify: () => void };

/** One listener on each signal, however many calls it may abort: Node warns of more than ten. */
const abortListeners = new WeakMap<AbortSignal, AbortListeners>();

/** Returns what takes `listener` off again. */
export function onceAborted(signal: AbortSignal, listener: () => void): () => void {
  let listeners = abortListeners.get(signal);
  if (listeners === undefined) {
    const calls = new Set<() => void>();
    const notify = (): void => {
      for (const call of calls) call();
    };
    listeners = { calls, notify };
    abortListeners.set(signal, listeners);
    signal.addEventListener("abort", notify, { once: true });
  }
  const { calls, notify } = listeners;
  calls.add(listener);
  return () => {
    calls.delete(listener);
    if (calls.size > 0 || abortListeners.get(signal)?.calls !== calls) return;
    abortListeners.delete(signal);
    signal.removeEventListener("abort", notify);
  };
}

/** The same promise, under the same rule. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore);
  return promise;
}

/** A promise that has failed already, under the same rule. */
export function failed<T>(error: unknown): Promise<T> {
  return quiet(Promise.reject(error));
}

export function errorOf(failure: Failure, signal?: AbortSignal): CubbyError {
  const { code, detail, outcome } = failure;
  const cause = code === "cancelled" && signal?.aborted ? { cause: signal.reason } : {};
  return new CubbyError(code, detail, { outcome, ...cause });
}

/** What an error says behind its code: for one that is told as a part of another. */
export function detailOf(error: CubbyError): string {
  return error.message.slice(`[${error.code}] `.length);
}

export function ignore(): void {
  // Nothing is to be done.
}

const NO_ANSWER: Failure = {
  code: "internal",
  detail: "The call was settled without an answer.",
  outcome: "unknown",
};
