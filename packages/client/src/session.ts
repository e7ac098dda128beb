import { inspect } from "node:util";
import { after, EMPTY_BYTES, msBetween } from "@cubby/base";
import { CubbyError, cellRoot, checkPath, type ErrorCode, quoted } from "@cubby/protocol";
import {
  checkGeneration,
  checkText,
  contentsBytes,
  optionsOf,
  sequencerBytes,
  signalOf,
} from "./arguments.ts";
import { hasPassed, monotonicNow } from "./clock.ts";
import { Call, type CallBody, type CallResult } from "./core/call.ts";
import type { SessionEvent, SessionMachine } from "./core/session-machine.ts";
import { timeoutMsOf } from "./duration.ts";
import { type ElectOptions, elect, type LeaderContext } from "./election.ts";
import {
  checkSequencerBody,
  Handle,
  type SequencerVerdict,
  unexpected,
  verdictOf,
} from "./handle.ts";
import type { Lock } from "./lock.ts";
import { type OpenOptions, openMessage } from "./open-options.ts";
import {
  type CallOptions,
  callOptions,
  errorOf,
  failed,
  PendingCall,
  type PendingOwner,
  quiet,
} from "./pending-call.ts";
import {
  type Contents,
  type DirectoryChild,
  type LockMode,
  type NodeStat,
  nodeStatOf,
} from "./stat.ts";
import type { Transport } from "./transport.ts";
import { Turnstile } from "./turnstile.ts";

/** EVT-7, and what a change of master means for those who watch. */
export type SessionState = "safe" | "jeopardy" | "expired" | "closed";
export type SessionNotice = SessionState | "fail-over";

/** What a session remembers of `connect`'s options. */
export type SessionSettings = {
  /** Undefined: no limit. */
  readonly requestTimeoutMs: number | undefined;
  readonly gracePeriodMs: number;
  readonly closeTimeoutMs: number;
};

export type CallExtras<T = never> = {
  readonly guard?: Uint8Array;
  readonly owner?: PendingOwner;
  readonly onStarted?: (call: Call) => void;
  readonly absorb?: ((code: ErrorCode) => { value: T } | undefined) | undefined;
};

/** Nodes that `read`, `write` and the like have open at a time; a session may have some 1,000 open in all. */
const PASSING_HANDLES_MAX = 256;

/** A session with a cell: handles, locks and ephemeral files live and die with it (SES-1). */
export class CubbySession implements AsyncDisposable {
  readonly #transport: Transport;
  readonly #settings: SessionSettings;
  readonly #machine: SessionMachine;
  readonly #locks = new Map<Lock, Handle>();
  /** Each has an object of its own: the same function may be added twice. */
  readonly #listeners = new Set<{ readonly listener: (notice: SessionNotice) => void }>();
  readonly #passing = new Turnstile(PASSING_HANDLES_MAX);
  #close: Promise<void> | undefined;
  #onClosed: (() => void) | undefined;
  /** One for all calls of `close`: whoever hears that it loses a lock may call it too, before it returns. */
  readonly #closed = new Promise<void>((resolve) => {
    this.#onClosed = resolve;
  });

  /** Made by `connect` alone. */
  constructor(transport: Transport, machine: SessionMachine, settings: SessionSettings) {
    this.#transport = transport;
    this.#machine = machine;
    this.#settings = settings;
  }

  get id(): number {
    return this.#machine.sessionId;
  }

  /** The cell's root directory, `/ls/<cell>`. */
  get root(): string {
    return cellRoot(this.#transport.cellName);
  }

  /** As the clock has it now, whatever timers have noticed. */
  get state(): SessionState {
    const { state } = this.#machine;
    if (state === "closed" || state === "closing") return "closed";
    const lease = this.leaseNow();
    if (lease === "live") return "safe";
    return lease === "over" ? "expired" : "jeopardy";
  }

  /**
   * How long the session has been in jeopardy, in milliseconds, as the clock has it now; undefined while
   * it is not. Infinity once the machine has slept: nobody knows for how long. Another may hold its locks
   * when that is longer than their lock-delay.
   */
  get jeopardyMs(): number | undefined {
    if (this.leaseNow() !== "inDoubt") return undefined;
    const { leaseDeadline, hasSleptSinceLease } = this.#machine;
    return hasSleptSinceLease ? Number.POSITIVE_INFINITY : msBetween(leaseDeadline, monotonicNow());
  }

  /**
   * Calls the listener on every change of state and after a change of master ("fail-over": what
   * was watched may have changed unseen). Returns what takes it off again.
   */
  onState(listener: (notice: SessionNotice) => void): () => void {
    const entry = { listener };
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  }

  /** Opens the node at a path from the root, `/ls/<cell>/…`. */
  open(path: string, options: OpenOptions = {}): Promise<Handle> {
    try {
      return this.openAt(path, checkPath(checkText("path", path)), options);
    } catch (error) {
      return failed(error);
    }
  }

  /** The whole file with its metadata. */
  read(path: string, options?: CallOptions): Promise<Contents> {
    return this.#withHandle(path, options, {}, (node, how) => node.getContentsAndStat(how));
  }

  /**
   * Writes a whole file, which is created with these contents if it is absent, unless `ifGeneration`
   * is given.
   */
  write(
    path: string,
    contents: Uint8Array | string,
    options?: CallOptions & { readonly ifGeneration?: number | undefined },
  ): Promise<NodeStat> {
    try {
      const { ifGeneration } = optionsOf(options);
      checkGeneration(ifGeneration);
      const bytes = contentsBytes(contents);
      const open = { write: true, directory: false };
      const timeLeft = this.timeLeft(callOptions(options));
      const writing = this.#withHandle(path, options, open, (node, how) =>
        node.setContents(bytes, { ...how, ifGeneration }),
      );
      if (ifGeneration !== undefined) return writing;
      const create = (why: unknown): Promise<NodeStat> =>
        this.#create(path, bytes, why, timeLeft(), open);
      return quiet(writing.catch(create));
    } catch (error) {
      return failed(error);
    }
  }

  stat(path: string, options?: CallOptions): Promise<NodeStat> {
    return this.#withHandle(path, options, {}, async (node) => node.openedStat);
  }

  /** The children of a directory with their metadata. */
  list(path: string, options?: CallOptions): Promise<DirectoryChild[]> {
    return this.#withHandle(path, options, { directory: true }, (node, how) => node.readDir(how));
  }

  /** Fails with already_exists if there is a node of that name. */
  mkdir(path: string, options?: CallOptions): Promise<void> {
    const open = { create: "must", directory: true } as const;
    return this.#withHandle(path, options, open, async () => undefined);
  }

  /** Deletes a file or an empty directory. */
  remove(path: string, options?: CallOptions): Promise<void> {
    return this.#withHandle(path, options, { write: true }, (node, how) => node.delete(how));
  }

  /** SEQ-4: whether the sequencer is that of a present holder of the lock at `path`. */
  checkSequencer(
    path: string,
    sequencer: Uint8Array | string,
    options?: CallOptions & { readonly mode?: LockMode | undefined },
  ): Promise<SequencerVerdict> {
    try {
      return this.call(checkSequencerBody(path, sequencer, options?.mode), verdictOf, options);
    } catch (error) {
      return failed(error);
    }
  }

  /**
   * API-21: waits to be elected at the file `path`, for as long as that takes, writes `value` into it, and
   * runs `lead` until it returns or fails; then the value is cleared and the lock given back. Rejects with
   * `lead`'s own error, or with lock_lost when the leadership was lost before `lead` returned. Where it only
   * may have been, since the session was in doubt and the cell could not be asked, its cause is a
   * session_jeopardy.
   */
  elect<T>(
    path: string,
    options: ElectOptions,
    lead: (context: LeaderContext) => T | Promise<T>,
  ): Promise<T> {
    return quiet(elect(this, path, options, lead));
  }

  /**
   * Ends the session: everything that it holds is free at once. If the cell is not reached within
   * `closeTimeoutMs`, the session expires there, as that of a client that failed. Never fails.
   */
  close(): Promise<void> {
    this.#close ??= this.#closeNow();
    return this.#close;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // --- for this package ----------------------------------------------------------------------

  /** For locks: reads the clock, and looks for a sleep of the machine that the clock missed. */
  leaseNow(): "live" | "inDoubt" | "over" {
    if (this.#machine.isOver || this.#machine.state === "closing") return "over";
    this.#transport.checkSuspend();
    const deadline = this.#machine.leaseDeadline;
    if (!hasPassed(deadline)) return "live";
    return hasPassed(after(deadline, this.#settings.gracePeriodMs)) ? "over" : "inDoubt";
  }

  call<T>(
    body: CallBody,
    convert: (result: CallResult) => T,
    options: CallOptions | undefined,
    extras: CallExtras<T> = {},
  ): Promise<T> {
    const pending = new PendingCall(convert, extras.owner, extras.absorb);
    let signal: AbortSignal | undefined;
    let timeoutMs: number | undefined;
    try {
      signal = signalOf(options?.signal);
      timeoutMs = this.#timeoutMsOf(options);
    } catch (error) {
      return failed(error);
    }
    if (signal?.aborted) return failed(abortError(signal));
    const how = { guard: extras.guard ?? EMPTY_BYTES, timeoutMs, context: pending };
    const call = new Call(this.#machine, body, how);
    if (signal !== undefined) {
      pending.listenTo(signal, () =>
        this.giveUp(call, "cancelled", "The caller aborted the call."),
      );
    }
    extras.onStarted?.(call);
    this.#transport.step({ kind: "call", call });
    return pending.promise;
  }

  giveUp(call: Call, code: ErrorCode, detail: string): void {
    this.#transport.step({ kind: "giveUp", call, code, detail });
  }

  /** `directory` is the handle that `name` is relative to. Throws what `openMessage` does. */
  openAt(
    path: string,
    name: string,
    options: OpenOptions,
    directory: CallExtras<Handle> & { readonly token: Uint8Array } = { token: EMPTY_BYTES },
  ): Promise<Handle> {
    const open = optionsOf(options);
    const { sequencer } = open;
    const guard = sequencer === undefined ? undefined : sequencerBytes(sequencer);
    const value = openMessage(name, directory.token, open);
    const opened = (result: CallResult): Handle => this.#opened(path, guard, result);
    // It may make the node and its contents. A directory's own condition goes before: it is for all calls.
    const isFree = guard !== undefined && (directory.guard?.length ?? 0) === 0;
    const extras = isFree ? { ...directory, guard } : directory;
    return this.call({ $case: "open", value }, opened, options, extras);
  }

  /** For a call that is made of several: they have its time together. */
  timeLeft(options: CallOptions): () => CallOptions {
    const { signal } = options;
    const timeoutMs = this.#timeoutMsOf(options);
    if (timeoutMs === undefined) return () => ({ signal, timeoutMs: Number.POSITIVE_INFINITY });
    const deadline = after(monotonicNow(), timeoutMs);
    return () => ({ signal, timeoutMs: Math.max(0, msBetween(monotonicNow(), deadline)) });
  }

  addLock(lock: Lock, handle: Handle): void {
    // The grant may come with the very news that ends the session, or that makes somebody close it.
    if (this.#machine.state === "closing") lock.lose("the session was closed");
    else if (this.#machine.isOver) lock.lose("the session has expired");
    else this.#locks.set(lock, handle);
  }

  removeLock(lock: Lock): void {
    this.#locks.delete(lock);
  }

  /** Why the session is over, or undefined while it is not. */
  endingError(): CubbyError | undefined {
    const { ending } = this.#machine;
    return ending?.code === "session_expired" ? errorOf(ending) : undefined;
  }

  /** What the core says of this session. */
  onEvent(event: SessionEvent): void {
    switch (event.kind) {
      case "safe":
      case "jeopardy":
        this.#notify(event.kind);
        return;
      case "failOver":
        this.#notify("fail-over");
        return;
      case "expired":
        this.#loseLocks("the session has expired");
        this.#notify("expired");
        return;
      case "closed":
        this.#loseLocks("the session was closed");
        this.#onClosed?.();
        this.#notify("closed");
        this.#listeners.clear();
        return;
      case "opened":
      case "failedToOpen":
        return;
    }
  }

  // --- inside --------------------------------------------------------------------------------

  #timeoutMsOf(options: CallOptions | undefined): number | undefined {
    const own = optionsOf(options).timeoutMs ?? undefined;
    return own === undefined ? this.#settings.requestTimeoutMs : timeoutMsOf(own);
  }

  /** For `write`: in one step, so that nobody reads the file without its contents. */
  #create(
    path: string,
    contents: Uint8Array,
    why: unknown,
    options: CallOptions,
    open: OpenOptions,
  ): Promise<NodeStat> {
    if (!hasCode(why, "not_found")) throw why;
    return this.#withHandle(
      path,
      options,
      { ...open, create: true, contents },
      async (node, how) => (node.created ? node.openedStat : await node.setContents(contents, how)),
    );
  }

  #opened(path: string, guard: Uint8Array | undefined, result: CallResult): Handle {
    if (result.$case !== "open") throw unexpected(result);
    const { handle, created, stat } = result.value;
    const opened = { token: new Uint8Array(handle), created, stat: nodeStatOf(stat) };
    const node = new Handle(this, path, opened);
    if (guard !== undefined) node.setSequencer(guard);
    return node;
  }

  /** `open` says how, and `options` when to give up, all of it. */
  #withHandle<T>(
    path: string,
    options: CallOptions | undefined,
    open: OpenOptions,
    use: (node: Handle, how: CallOptions) => Promise<T>,
  ): Promise<T> {
    return quiet(this.#useHandle(path, options, open, use));
  }

  async #useHandle<T>(
    path: string,
    options: CallOptions | undefined,
    open: OpenOptions,
    use: (node: Handle, how: CallOptions) => Promise<T>,
  ): Promise<T> {
    let limits = callOptions(options);
    const timeLeft = this.timeLeft(limits);
    if (!this.#passing.tryEnter()) {
      await this.#awaitTurn(limits);
      limits = timeLeft();
    }
    try {
      const node = await this.open(path, { ...open, ...limits });
      try {
        return await use(node, timeLeft());
      } catch (error) {
        throw hasCode(error, "stale_handle") ? gone(path, error) : error;
      } finally {
        // Nobody need wait for it: it never fails, and the session's end closes the handle as well.
        void node.close();
      }
    } finally {
      this.#passing.leave();
    }
  }

  async #awaitTurn(options: CallOptions): Promise<void> {
    const signal = signalOf(options.signal);
    const timeoutMs = this.#timeoutMsOf(options);
    if (await this.#passing.wait(timeoutMs, signal)) return;
    if (signal?.aborted) throw abortError(signal);
    const detail = `${PASSING_HANDLES_MAX} other calls were under way for ${timeoutMs} ms.`;
    throw new CubbyError("deadline_exceeded", detail, { outcome: "not-applied" });
  }

  async #closeNow(): Promise<void> {
    if (this.#machine.state === "closed") return;
    const withinMs = this.#settings.closeTimeoutMs;
    this.#loseLocks("the session was closed");
    this.#transport.step({ kind: "closeSession", session: this.#machine, withinMs });
    if (this.#machine.state === "expired") return;
    await this.#closed;
  }

  #loseLocks(why: string): void {
    for (const [lock, handle] of [...this.#locks]) handle.loseLock(lock, why);
    this.#locks.clear();
  }

  #notify(notice: SessionNotice): void {
    for (const entry of [...this.#listeners]) {
      // One before it may have taken it off.
      if (!this.#listeners.has(entry)) continue;
      // A listener's mistake must not take the session's other work, or the process, down with it.
      try {
        const { listener } = entry;
        const result: unknown = listener(notice);
        // By what it does: in a realm of its own, as test runners make, a Promise is none of ours.
        void Promise.resolve(result).catch(warn);
      } catch (error) {
        warn(error);
      }
    }
  }
}

/** As text, which any value has, and whose realm does not matter. */
function warn(error: unknown): void {
  let text = "a listener threw what cannot be shown";
  try {
    text = inspect(error);
  } catch {
    // Its own way to show itself threw as well: then this much is all there is to tell.
  }
  process.emitWarning(text);
}

function hasCode(error: unknown, code: ErrorCode): error is CubbyError {
  return error instanceof CubbyError && error.code === code;
}

/** Whoever gave a path has no handle: deleted a moment after the open, the node is not there. */
function gone(path: string, cause: CubbyError): CubbyError {
  return new CubbyError("not_found", `${quoted(path)} was deleted a moment ago.`, { cause });
}

function abortError(signal: AbortSignal): CubbyError {
  const detail = "The signal was aborted before the call was sent.";
  return new CubbyError("cancelled", detail, { cause: signal.reason });
}
