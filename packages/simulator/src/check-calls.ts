import type { Call, SessionMachine } from "@cubby/client/core";
import type { ErrorCode } from "@cubby/protocol";
import type { Waiter } from "./check-waiting.ts";
import type { Grant, ReferenceCell } from "./reference-cell.ts";
import type { About } from "./script.ts";
import { Violation } from "./violation.ts";

/** What was so when a call was made: how many had been made, and an index that somebody was answered from. */
type Known = { readonly order: number; readonly atMs: number; readonly index: number };

/** `doneAt`: when its number was first seen to have a result. */
type GivenUp = { readonly sessionId: number; readonly call: Call; doneAt: number | undefined };

/** A claim that was cancelled on its way keeps its place until it is applied; disks are slow. */
const CLAIM_ON_ITS_WAY_MS = 6_000;

/**
 * Refusals are answers too (reliability §3, 9 and 10): what one says of the state must have been so
 * while the call was under way, and one number has one result, refused or not. What was closed holds
 * nothing any more.
 */
export class CallChecker {
  readonly #reference: ReferenceCell;
  /** Waiting acquires that nobody has been answered, and calls that may still stand in a queue. */
  readonly #waiting = new Map<string, Set<Call>>();
  #givenUp: GivenUp[] = [];
  /** By lock: how many calls had been made when a queue of it was last seen. */
  readonly #queuedUntil = new Map<string, number>();
  /** Handles that were closed, or are being: what is asked of them may be refused from then on. */
  readonly #closing = new WeakSet<Uint8Array>();
  /** Of each handle: the number of its Open, which is its id, and that of its latest grant. */
  readonly #opened = new WeakMap<Uint8Array, number>();
  /** The lock-delay that its Open asked for, by session and handle. */
  readonly #lockDelays = new Map<string, number>();
  readonly #granted = new WeakMap<
    Uint8Array,
    { readonly number: number; readonly order: number }
  >();
  /** Whether somebody held the lock, or its delay kept it, at any time since an instant. */
  wasTaken: (path: string, sinceMs: number) => boolean = () => true;
  now: () => number = () => 0;

  constructor(reference: ReferenceCell) {
    this.#reference = reference;
  }

  onCalled(call: Call, waiter: Waiter | undefined): void {
    const { body } = call;
    if (body.$case === "close") this.#closing.add(body.value.handle);
    if (waiter === undefined) return;
    const waiting = this.#waiting.get(waiter.path) ?? new Set<Call>();
    this.#waiting.set(waiter.path, waiting);
    waiting.add(call);
  }

  /** `called`: how many calls have been made by now. */
  onSettled(call: Call, begun: Known, called: number): void {
    const { path } = call.context as About;
    const { sessionId } = call.session as SessionMachine;
    if (this.#waiting.get(path)?.delete(call) === true) {
      this.#queuedUntil.set(path, called);
      if (call.result === undefined) this.#givenUp.push({ sessionId, call, doneAt: undefined });
    }
    this.#onResult(call, sessionId, begun.order, called);
    const { failure } = call;
    if (failure === undefined) return;
    const what = `${call.body.$case} ${sessionId}/${call.number} of ${path}`;
    const told = call.number === 0 ? undefined : this.#reference.resultOf(sessionId, call.number);
    if (UNDESERVED.has(failure.code) && told?.code !== failure.code) {
      const detail = `${what}: ${failure.code}, ${failure.detail}`;
      throw new Violation(9, "refused-for-a-cause", detail);
    }
    if (!CLAIMS.has(failure.code)) return;
    if (told !== undefined) {
      const isOther = told.code === "cancelled" || told.code === "session_expired";
      if (told.code === failure.code || isOther) return;
      const detail = `${what} is refused with ${failure.code}, and at ${told.index} it is ${told.code ?? told.result}`;
      throw new Violation(10, "one-result", detail);
    }
    if (failure.code === "stale_handle") this.#checkStale(call, what);
    if (failure.code === "not_found") this.#checkMissing(path, begun, what);
    if (failure.code === "already_exists" && !this.#reference.wasThere(path, begun.index)) {
      throw new Violation(9, "refused-for-a-cause", `${what}: nothing was there`);
    }
    if (failure.code === "lock_not_held" && this.#isHeldBy(call, begun.order)) {
      throw new Violation(9, "refused-for-a-cause", `${what}: its handle holds the lock`);
    }
    if (failure.code === "lock_held" && !this.wasTaken(path, begun.atMs)) {
      if (this.#wasQueued(path, begun.order, called)) return;
      throw new Violation(9, "refused-for-a-cause", `${what}: nobody held it or waited for it`);
    }
  }

  /** 20: the lock-delay is the one that the Open of the handle asked for. */
  onGranted({ path, sessionId, handleId, delayMs }: Grant): void {
    const askedMs = this.#lockDelays.get(`${sessionId}/${handleId}`);
    if (askedMs === undefined || askedMs === delayMs) return;
    const detail = `handle ${sessionId}/${handleId} of ${path} asked for a lock-delay of ${askedMs} ms, and is granted the lock with one of ${delayMs}`;
    throw new Violation(20, "lock-delay-as-asked", detail);
  }

  #onResult(call: Call, sessionId: number, order: number, called: number): void {
    const { result, body, number } = call;
    if (result?.$case === "open" && body.$case === "open") {
      this.#opened.set(result.value.handle, number);
      this.#lockDelays.set(`${sessionId}/${number}`, body.value.lockDelayMs);
    }
    if (result?.$case === "acquire" && body.$case === "acquire") {
      this.#granted.set(body.value.handle, { number, order: called });
    }
    if (result?.$case === "close" && body.$case === "close") {
      this.#checkClosed(call, body.value.handle, order);
    }
  }

  #checkClosed(call: Call, handle: Uint8Array, order: number): void {
    const { path, instance } = call.context as About;
    const node = this.#reference.nodes.get(path);
    const opened = this.#opened.get(handle);
    if (node?.instance !== instance || opened === undefined) return;
    const key = `${(call.session as SessionMachine).sessionId}/${opened}`;
    const isHeld = this.#isHeldBy(call, order);
    if (!isHeld && !node.openers.has(key)) return;
    const what = isHeld ? "holds its lock" : "keeps it alive";
    throw new Violation(9, "closed-is-closed", `${path}: handle ${key} was closed, and ${what}`);
  }

  /** Whether the call's handle holds its lock by a grant that had been told when the call was made. */
  #isHeldBy({ body, context, session }: Call, order: number): boolean {
    const { path, instance } = context as About;
    const node = this.#reference.nodes.get(path);
    const handle = "handle" in body.value ? body.value.handle : undefined;
    if (handle === undefined || node?.instance !== instance) return false;
    const granted = this.#granted.get(handle);
    // What was on its way when the call was made may yet be granted, and is cancelled then.
    if (granted === undefined || granted.order > order) return false;
    const key = `${(session as SessionMachine).sessionId}/${this.#opened.get(handle)}`;
    return node.holders.get(key)?.claims.includes(granted.number) === true;
  }

  /** An instance that is there now was there all along. */
  #checkStale({ body, context }: Call, what: string): void {
    const { path, instance } = context as About;
    if (this.#reference.nodes.get(path)?.instance !== instance) return;
    const handle = "handle" in body.value ? body.value.handle : undefined;
    if (handle === undefined || this.#closing.has(handle)) return;
    throw new Violation(9, "refused-for-a-cause", `${what}: its handle is good`);
  }

  #checkMissing(path: string, { index }: Known, what: string): void {
    const instance = this.#reference.nodes.get(path)?.instance;
    if (instance === undefined) return;
    const born = this.#reference.bornAt(path, instance);
    if (born === undefined || born > index) return;
    const detail = `${what}: it is there since ${born}, and ${index} was seen`;
    throw new Violation(9, "refused-for-a-cause", detail);
  }

  #wasQueued(path: string, order: number, called: number): boolean {
    const { sessions } = this.#reference;
    for (const call of this.#waiting.get(path) ?? []) {
      // Its client may have died, and then nobody tells when it left the queue.
      if (sessions.has((call.session as SessionMachine).sessionId)) return true;
      this.#waiting.get(path)?.delete(call);
      this.#queuedUntil.set(path, called);
    }
    // Until their Cancel is applied, or their session is over.
    this.#givenUp = this.#givenUp.filter((each) => {
      const { sessionId, call } = each;
      const isDone = this.#reference.resultOf(sessionId, call.number) !== undefined;
      if (isDone) each.doneAt ??= this.now();
      const isOver = each.doneAt !== undefined && this.now() > each.doneAt + CLAIM_ON_ITS_WAY_MS;
      if (sessions.has(sessionId) && !isOver) return true;
      this.#queuedUntil.set((call.context as About).path, called);
      return false;
    });
    if (this.#givenUp.some(({ call }) => (call.context as About).path === path)) return true;
    return (this.#queuedUntil.get(path) ?? -1) > order;
  }
}

/** What no script gives a cause for: calls are well formed, by handles that were given out, and allowed. */
const UNDESERVED: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "file_too_large",
  "forged_handle",
  "invalid_argument",
  "invalid_name",
  "is_a_directory",
  "not_a_directory",
  "permission_denied",
  "request_forgotten",
  "unsupported",
  "internal",
]);

/** What refuses a call because of what the state is. */
const CLAIMS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "lock_held",
  "lock_delayed",
  "lock_not_held",
  "generation_mismatch",
  "stale_handle",
  "not_found",
  "not_empty",
  "already_exists",
]);
