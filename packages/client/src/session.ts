import { after, EMPTY_BYTES } from "@cubby/base";
import {
  CubbyError,
  cellRoot,
  checkPath,
  type ErrorCode,
  LockMode as WireLockMode,
} from "@cubby/protocol";
import { checkGeneration, contentsBytes, sequencerBytes } from "./arguments.ts";
import { hasPassed } from "./clock.ts";
import { Call, type CallBody, type CallResult } from "./core/call.ts";
import type { SessionEvent, SessionMachine } from "./core/session-machine.ts";
import { timeoutMsOf } from "./duration.ts";
import { type ElectOptions, elect, type LeaderContext } from "./election.ts";
import { Handle, type SequencerVerdict, unexpected } from "./handle.ts";
import type { Lock } from "./lock.ts";
import { type OpenOptions, openMessage } from "./open-options.ts";
import {
  type CallOptions,
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
  wireModeOf,
} from "./stat.ts";
import type { Transport } from "./transport.ts";

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

type CallExtras<T> = {
  readonly guard?: Uint8Array;
  readonly owner?: PendingOwner;
  readonly onStarted?: (call: Call) => void;
  readonly absorb?: ((code: ErrorCode) => { value: T } | undefined) | undefined;
};

/** A session with a cell: handles, locks and ephemeral files live and die with it (SES-1). */
export class CubbySession implements AsyncDisposable {
  readonly #transport: Transport;
  readonly #settings: SessionSettings;
  readonly #machine: SessionMachine;
  readonly #locks = new Map<Lock, Handle>();
  readonly #listeners = new Set<(notice: SessionNotice) => void>();
  #close: Promise<void> | undefined;
  #onClosed: (() => void) | undefined;

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
    if (state === "expired") return "expired";
    if (state === "closed" || state === "closing") return "closed";
    return this.leaseNow() === "live" ? "safe" : "jeopardy";
  }

  /**
   * Calls the listener on every change of state and after a change of master ("fail-over": what
   * was watched may have changed unseen). Returns what takes it off again.
   */
  onState(listener: (notice: SessionNotice) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Opens the node at a path from the root, `/ls/<cell>/…`. */
  open(path: string, options: OpenOptions = {}): Promise<Handle> {
    try {
      checkPath(path);
    } catch (error) {
      return failed(error);
    }
    return this.openAt(path, path, EMPTY_BYTES, options);
  }

  /** The whole file with its metadata. */
  read(path: string, options?: CallOptions): Promise<Contents> {
    return this.#withHandle(path, { ...options }, (node) => node.getContentsAndStat(options));
  }

  /** Writes a whole file, which is created if it is absent unless `ifGeneration` is given. */
  write(
    path: string,
    contents: Uint8Array | string,
    options: CallOptions & { readonly ifGeneration?: number } = {},
  ): Promise<NodeStat> {
    const create = options.ifGeneration === undefined;
    const { signal, timeoutMs } = options;
    const how = { write: true, create, directory: false, signal, timeoutMs };
    try {
      // Before the file is made.
      checkGeneration(options.ifGeneration);
      const bytes = contentsBytes(contents);
      return this.#withHandle(path, how, (node) => node.setContents(bytes, options));
    } catch (error) {
      return failed(error);
    }
  }

  stat(path: string, options?: CallOptions): Promise<NodeStat> {
    return this.#withHandle(path, { ...options }, async (node) => node.openedStat);
  }

  /** The children of a directory with their metadata. */
  list(path: string, options?: CallOptions): Promise<DirectoryChild[]> {
    return this.#withHandle(path, { ...options, directory: true }, (node) => node.readDir(options));
  }

  /** Fails with already_exists if there is a node of that name. */
  mkdir(path: string, options?: CallOptions): Promise<void> {
    const how = { ...options, create: "must", directory: true } as const;
    return this.#withHandle(path, how, async () => undefined);
  }

  /** Deletes a file or an empty directory. */
  remove(path: string, options?: CallOptions): Promise<void> {
    return this.#withHandle(path, { ...options, write: true }, (node) => node.delete(options));
  }

  /** SEQ-4: whether the sequencer is that of a present holder of the lock at `path`. */
  checkSequencer(
    path: string,
    sequencer: Uint8Array | string,
    options: CallOptions & { readonly mode?: LockMode | undefined } = {},
  ): Promise<SequencerVerdict> {
    try {
      const { mode } = options;
      const value = {
        sequencer: sequencerBytes(sequencer),
        mode: mode === undefined ? WireLockMode.FREE : wireModeOf(mode),
        name: checkPath(path),
      };
      return this.call({ $case: "checkSequencer", value }, verdictOf, options);
    } catch (error) {
      return failed(error);
    }
  }

  /**
   * API-21: waits to be elected at the file `path`, writes `value` into it, and runs `lead` until it
   * returns or fails; then the value is cleared and the lock given back. Rejects with `lead`'s own
   * error, or with lock_lost when the leadership was lost before `lead` returned.
   */
  elect<T>(
    path: string,
    options: ElectOptions,
    lead: (context: LeaderContext) => T | Promise<T>,
  ): Promise<T> {
    return quiet(elect(this, path, options, lead));
  }

  /** Ends the session: everything that it holds is free at once. Never fails. */
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
    options: CallOptions = {},
    extras: CallExtras<T> = {},
  ): Promise<T> {
    const { signal } = options;
    const pending = new PendingCall(convert, extras.owner, extras.absorb);
    let timeoutMs = this.#settings.requestTimeoutMs;
    try {
      if (options.timeoutMs != null) timeoutMs = timeoutMsOf(options.timeoutMs);
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

  /** `directory` is the token of the handle that `name` is relative to, or empty. */
  openAt(path: string, name: string, directory: Uint8Array, options: OpenOptions): Promise<Handle> {
    try {
      const guard = sequencerBytes(options.sequencer ?? EMPTY_BYTES);
      const value = openMessage(name, directory, options);
      return this.call({ $case: "open", value }, (result) => this.#opened(path, guard, result), {
        signal: options.signal,
        timeoutMs: options.timeoutMs,
      });
    } catch (error) {
      return failed(error);
    }
  }

  addLock(lock: Lock, handle: Handle): void {
    // The grant may come with the very news that ends the session.
    if (this.#machine.isOver) lock.lose("the session has expired");
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

  #opened(path: string, guard: Uint8Array, result: CallResult): Handle {
    if (result.$case !== "open") throw unexpected(result);
    const { handle, created, stat } = result.value;
    const opened = { token: new Uint8Array(handle), created, stat: nodeStatOf(stat) };
    const node = new Handle(this, path, opened);
    if (guard.length > 0) node.setSequencer(guard);
    return node;
  }

  #withHandle<T>(
    path: string,
    options: OpenOptions,
    use: (node: Handle) => Promise<T>,
  ): Promise<T> {
    return quiet(this.#useHandle(path, options, use));
  }

  async #useHandle<T>(
    path: string,
    options: OpenOptions,
    use: (node: Handle) => Promise<T>,
  ): Promise<T> {
    const node = await this.open(path, options);
    try {
      return await use(node);
    } finally {
      // Nobody need wait for it: it never fails, and the session's end closes the handle as well.
      void node.close();
    }
  }

  async #closeNow(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#onClosed = resolve;
    });
    if (this.#machine.state === "closed") return;
    const withinMs = this.#settings.closeTimeoutMs;
    this.#loseLocks("the session was closed");
    this.#transport.step({ kind: "closeSession", session: this.#machine, withinMs });
    if (this.#machine.state === "expired") return;
    await closed;
  }

  #loseLocks(why: string): void {
    for (const [lock, handle] of [...this.#locks]) handle.loseLock(lock, why);
    this.#locks.clear();
  }

  #notify(notice: SessionNotice): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(notice);
      } catch (error) {
        // A listener's mistake must not take the session's other work down with it.
        process.emitWarning(error instanceof Error ? error : String(error));
      }
    }
  }
}

function verdictOf(result: CallResult): SequencerVerdict {
  if (result.$case !== "checkSequencer") throw unexpected(result);
  return { valid: result.value.valid, reason: result.value.reason };
}

function abortError(signal: AbortSignal): CubbyError {
  const detail = "The signal was aborted before the call was made.";
  return new CubbyError("cancelled", detail, { cause: signal.reason });
}
