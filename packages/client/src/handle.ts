import { EMPTY_BYTES, equalBytes } from "@cubby/base";
import {
  CubbyError,
  checkPath,
  decodeSequencer,
  type ErrorCode,
  pathProblem,
  quoted,
  relativeNameProblem,
  LockMode as WireLockMode,
} from "@cubby/protocol";
import { checkGeneration, checkText, contentsBytes, sequencerBytes } from "./arguments.ts";
import type { Call, CallBody, CallResult, Failure } from "./core/call.ts";
import { Lock } from "./lock.ts";
import type { OpenOptions } from "./open-options.ts";
import { type CallOptions, failed, type PendingOwner, quiet } from "./pending-call.ts";
import type { CallExtras, CubbySession } from "./session.ts";
import {
  type Contents,
  type DirectoryChild,
  type LockMode,
  type NodeStat,
  nodeStatOf,
  wireModeOf,
} from "./stat.ts";

export type SequencerVerdict = { readonly valid: boolean; readonly reason: string };

export type AcquireOptions = CallOptions & {
  /** Exclusive unless said otherwise. */
  readonly mode?: LockMode | undefined;
};

/** How long giving something back may keep its caller waiting. */
const GIVE_BACK_MS = 2_000;

/**
 * An open node (HND-1, HND-3): bound to the instance that was opened, not to its name. It holds a lock
 * once, so whoever share a handle share its lock: users that must exclude each other open one each.
 */
export class Handle implements AsyncDisposable, PendingOwner {
  readonly path: string;
  /** API-17: this open created the node. */
  readonly created: boolean;
  /** The node's metadata as it was when opened. */
  readonly openedStat: NodeStat;
  readonly #session: CubbySession;
  readonly #token: Uint8Array;
  #guard: Uint8Array = EMPTY_BYTES;
  readonly #calls = new Set<Call>();
  readonly #locks = new Set<Lock>();
  /** Grants that were released before anybody had them in hand. */
  readonly #releasedGrants = new WeakSet<CallResult>();
  #refusal: { code: ErrorCode; detail: string } | undefined;
  #close: Promise<void> | undefined;

  /** Made by `open` alone. */
  constructor(
    session: CubbySession,
    path: string,
    opened: { token: Uint8Array; created: boolean; stat: NodeStat },
  ) {
    this.#session = session;
    this.path = path;
    this.#token = opened.token;
    this.created = opened.created;
    this.openedStat = opened.stat;
  }

  /** API-1: opens `name` below this directory. */
  open(name: string, options: OpenOptions = {}): Promise<Handle> {
    try {
      const path = `${this.path}/${checkText("name", name)}`;
      const problem = relativeNameProblem(name) ?? pathProblem(path);
      if (problem !== undefined) {
        throw new CubbyError("invalid_name", `The name ${quoted(name)} ${problem}.`);
      }
      if (this.#refusal !== undefined) throw this.#refusalError(this.#refusal);
      return this.#session.openAt(path, name, options, { token: this.#token, ...this.#extras() });
    } catch (error) {
      return failed(error);
    }
  }

  /** API-4: contents and metadata, of one moment. */
  getContentsAndStat(options?: CallOptions): Promise<Contents> {
    const body: CallBody = { $case: "getContentsAndStat", value: { handle: this.#token } };
    return this.#call(body, contentsOf, options);
  }

  /** API-5. */
  getStat(options?: CallOptions): Promise<NodeStat> {
    return this.#call({ $case: "getStat", value: { handle: this.#token } }, statOf, options);
  }

  /** API-6: all children with their metadata, sorted by name. */
  readDir(options?: CallOptions): Promise<DirectoryChild[]> {
    return quiet(this.#readAll(options));
  }

  /** The same page by page, for long directories: each page is of its own moment, and has its own time. */
  entries(options?: CallOptions): AsyncGenerator<DirectoryChild, void, undefined> {
    const entries = this.#entries(() => options);
    const next = entries.next.bind(entries);
    // Whoever asks ahead and then does not wait is to live on, as with any other call.
    entries.next = () => quiet(next());
    return entries;
  }

  /** API-7: writes the whole file; with `ifGeneration`, only if that is its content generation. */
  setContents(
    contents: Uint8Array | string,
    options?: CallOptions & { readonly ifGeneration?: number | undefined },
  ): Promise<NodeStat> {
    try {
      const ifGeneration = options?.ifGeneration;
      checkGeneration(ifGeneration);
      const value = {
        handle: this.#token,
        contents: contentsBytes(contents),
        hasIfGeneration: ifGeneration !== undefined,
        ifGeneration: ifGeneration ?? 0,
      };
      return this.#call({ $case: "setContents", value }, statOf, options);
    } catch (error) {
      return failed(error);
    }
  }

  /** API-9: only a node without children. */
  delete(options?: CallOptions): Promise<void> {
    return this.#call({ $case: "delete", value: { handle: this.#token } }, nothing, options);
  }

  /**
   * API-10: waits until the lock is free, in the order of arrival. A handle that holds it already is
   * granted it at once, as one lock with all that it was granted before: releasing any releases all. In the
   * other mode that is an invalid_argument: no lock is turned from shared into exclusive, or back.
   */
  acquire(options?: AcquireOptions): Promise<Lock> {
    return this.#acquire(options, true);
  }

  /** API-11: undefined when the lock is held or in its lock-delay, or others wait for it (GAP-7). */
  tryAcquire(options?: AcquireOptions): Promise<Lock | undefined> {
    return this.#acquire(options, false, busyAsUndefined);
  }

  /** API-12. */
  release(options?: CallOptions): Promise<void> {
    const body: CallBody = { $case: "release", value: { handle: this.#token } };
    return this.#call(body, nothing, options, undefined, this.#onReleaseStarted);
  }

  /** API-13: describes the lock that this handle holds. */
  getSequencer(options?: CallOptions): Promise<Uint8Array> {
    const body: CallBody = { $case: "getSequencer", value: { handle: this.#token } };
    return this.#call(body, sequencerOf, options);
  }

  /**
   * API-14: every later call on this handle fails with sequencer_stale once the sequencer is no
   * longer valid; only what gives something back, `release` and `close`, does not ask. Undefined
   * lifts the condition.
   */
  setSequencer(sequencer: Uint8Array | string | undefined): void {
    this.#guard = sequencer === undefined ? EMPTY_BYTES : sequencerBytes(sequencer);
  }

  /** API-15: whether the sequencer is that of a present holder of this node's lock. */
  checkSequencer(
    sequencer: Uint8Array | string,
    mode?: LockMode,
    options?: CallOptions,
  ): Promise<SequencerVerdict> {
    try {
      const body = checkSequencerBody(this.path, sequencer, mode);
      const { instance } = this.openedStat;
      const read = (result: CallResult) => verdictOfOwn(result, body.value.sequencer, instance);
      return this.#call(body, read, options);
    } catch (error) {
      return failed(error);
    }
  }

  /**
   * API-2: never fails. Every `acquire` and `tryAcquire` without an answer ends with `cancelled` and
   * leaves nothing held, and a lock that is held is released, without lock-delay (GAP-6).
   */
  close(): Promise<void> {
    this.#close ??= this.#closeNow();
    return this.#close;
  }

  /** API-3: every call under way and every later one fails; the node stays open at the cell. */
  poison(): void {
    if (this.#refusal !== undefined) return;
    this.#refuse("handle_poisoned", `The handle of ${quoted(this.path)} was poisoned.`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** For `Lock.release`: never rejects. */
  async releaseQuietly(lock: Lock): Promise<boolean> {
    lock.markReleased();
    this.#session.removeLock(lock);
    this.#locks.delete(lock);
    // Others that were granted the same lock may be at work under it.
    this.#loseLocks("it was released by another user of its handle");
    this.#markReleased();
    try {
      const body: CallBody = { $case: "release", value: { handle: this.#token } };
      await this.#session.call(body, nothing, { timeoutMs: GIVE_BACK_MS });
      return true;
    } catch {
      return false;
    }
  }

  onCallSettled(call: Call, failure: Failure | undefined): void {
    this.#calls.delete(call);
    // HND-3: the node is gone, and the lock with it (GAP-8).
    const isGone = failure?.code === "stale_handle" || call.result?.$case === "delete";
    if (isGone) this.#loseLocks("the node was deleted");
    if (failure?.code !== "sequencer_stale") return;
    // The cell looks at it first, so that it may be all that it says of a node that is gone.
    for (const lock of this.#locks) {
      if (!equalBytes(lock.sequencer, call.guard)) continue;
      this.#session.removeLock(lock);
      this.loseLock(lock, failure.detail.replace(/\.$/, ""));
    }
  }

  /** For the session: it is over, and with it all that was held through it. */
  loseLock(lock: Lock, why: string): void {
    this.#locks.delete(lock);
    lock.lose(why);
  }

  #call<T>(
    body: CallBody,
    convert: (result: CallResult) => T,
    options: CallOptions | undefined,
    absorb?: (code: ErrorCode) => { value: T } | undefined,
    onStarted = this.#onStarted,
  ): Promise<T> {
    // HND-4 goes before it: what the session says is said for every handle, closed or not.
    if (this.#refusal !== undefined) return failed(this.#refusalError(this.#refusal));
    // A release that the cell refused would leave a lock held that this handle has let go of.
    const guard = body.$case === "release" ? EMPTY_BYTES : this.#guard;
    return this.#session.call(body, convert, options, {
      ...this.#extras(),
      guard,
      onStarted,
      absorb,
    });
  }

  #extras(): CallExtras {
    return { guard: this.#guard, owner: this, onStarted: this.#onStarted };
  }

  async #readAll(options?: CallOptions): Promise<DirectoryChild[]> {
    const children: DirectoryChild[] = [];
    const timeLeft = this.#session.timeLeft(options ?? {});
    for await (const child of this.#entries(timeLeft)) children.push(child);
    return children;
  }

  /** `options` gives those of the next page. */
  async *#entries(
    options: () => CallOptions | undefined,
  ): AsyncGenerator<DirectoryChild, void, undefined> {
    let after = "";
    for (;;) {
      const body: CallBody = { $case: "readDir", value: { handle: this.#token, after } };
      const page = await this.#call(body, pageOf, options());
      yield* page.children;
      const last = page.children.at(-1);
      if (!page.more || last === undefined) return;
      after = last.name;
    }
  }

  readonly #onStarted = (call: Call): void => {
    this.#calls.add(call);
  };

  /** One that is refused before it is sent gives nothing back: `Lock.release` must still do that. */
  readonly #onReleaseStarted = (call: Call): void => {
    this.#onStarted(call);
    this.#markReleased();
  };

  #acquire<T = never>(
    options: AcquireOptions | undefined,
    wait: boolean,
    absorb?: (code: ErrorCode) => { value: T } | undefined,
  ): Promise<Lock | T> {
    const mode = options?.mode ?? "exclusive";
    try {
      const value = { handle: this.#token, mode: wireModeOf(mode), wait };
      return this.#call<Lock | T>({ $case: "acquire", value }, this.#lockOf(mode), options, absorb);
    } catch (error) {
      return failed(error);
    }
  }

  #lockOf(mode: LockMode): (result: CallResult) => Lock {
    return (result) => {
      if (result.$case !== "acquire") throw unexpected(result);
      const { sequencer, lockGeneration } = result.value;
      const grant = { mode, sequencer: new Uint8Array(sequencer), lockGeneration };
      const lock = new Lock(this.#session, this, grant);
      if (this.#close !== undefined) {
        // It was granted already when the handle was closed: the Close gives the lock back.
        lock.lose("its handle was closed");
        return lock;
      }
      if (this.#releasedGrants.has(result)) {
        lock.lose("it was released as it was granted");
        return lock;
      }
      this.#locks.add(lock);
      this.#session.addLock(lock, this);
      return lock;
    };
  }

  async #closeNow(): Promise<void> {
    this.#refuse("stale_handle", `The handle of ${quoted(this.path)} was closed.`);
    this.#markReleased();
    try {
      const body: CallBody = { $case: "close", value: { handle: this.#token } };
      await this.#session.call(body, nothing, { timeoutMs: GIVE_BACK_MS });
    } catch {
      // API-2: nothing that could be said here would help; the session's end closes it too.
    }
  }

  /** Refuses later calls and ends those under way; on closing, only those that may leave a lock. */
  #refuse(code: ErrorCode, detail: string): void {
    const isClosing = code !== "handle_poisoned";
    this.#refusal = { code, detail };
    for (const call of [...this.#calls]) {
      if (!isClosing) this.#session.giveUp(call, code, detail);
      else if (call.body.$case === "acquire") {
        // Asked for again at a master that knows of no Close, it would be granted (FO-8): its Cancel
        // keeps it from that, and gives back what it was granted.
        this.#session.giveUp(call, "cancelled", detail);
      }
    }
  }

  #refusalError(refusal: { code: ErrorCode; detail: string }): CubbyError {
    return this.#session.endingError() ?? new CubbyError(refusal.code, refusal.detail);
  }

  /** A handle holds its lock once, however often it was acquired. */
  #markReleased(): void {
    for (const lock of this.#locks) lock.markReleased();
    this.#forgetLocks();
    // A grant may have arrived in this very turn, for a Lock that is not made yet.
    for (const { result } of this.#calls) {
      if (result !== undefined) this.#releasedGrants.add(result);
    }
  }

  #loseLocks(why: string): void {
    for (const lock of this.#locks) lock.lose(why);
    this.#forgetLocks();
  }

  #forgetLocks(): void {
    for (const lock of this.#locks) this.#session.removeLock(lock);
    this.#locks.clear();
  }
}

function busyAsUndefined(code: ErrorCode): { value: undefined } | undefined {
  return code === "lock_held" || code === "lock_delayed" ? { value: undefined } : undefined;
}

function contentsOf(result: CallResult): Contents {
  if (result.$case !== "getContentsAndStat") throw unexpected(result);
  // A copy: what arrived is a view of a whole chunk of the socket.
  return { contents: new Uint8Array(result.value.contents), stat: nodeStatOf(result.value.stat) };
}

function statOf(result: CallResult): NodeStat {
  if (result.$case !== "getStat" && result.$case !== "setContents") throw unexpected(result);
  return nodeStatOf(result.value);
}

function pageOf(result: CallResult): { children: DirectoryChild[]; more: boolean } {
  if (result.$case !== "readDir") throw unexpected(result);
  const { entries, more } = result.value;
  const children = entries.map(({ name, stat }) => ({ name, stat: nodeStatOf(stat) }));
  return { children, more };
}

function sequencerOf(result: CallResult): Uint8Array {
  if (result.$case !== "getSequencer") throw unexpected(result);
  return new Uint8Array(result.value.sequencer);
}

export function checkSequencerBody(
  path: string,
  sequencer: Uint8Array | string,
  mode: LockMode | undefined,
): Extract<CallBody, { $case: "checkSequencer" }> {
  const value = {
    sequencer: sequencerBytes(sequencer),
    mode: mode === undefined ? WireLockMode.FREE : wireModeOf(mode),
    name: checkPath(checkText("path", path)),
  };
  return { $case: "checkSequencer", value };
}

export function verdictOf(result: CallResult): SequencerVerdict {
  if (result.$case !== "checkSequencer") throw unexpected(result);
  return { valid: result.value.valid, reason: result.value.reason };
}

/** HND-3: what is valid may be of another node that was created under the same name since. */
function verdictOfOwn(
  result: CallResult,
  sequencer: Uint8Array,
  instance: number,
): SequencerVerdict {
  const verdict = verdictOf(result);
  if (!verdict.valid || decodeSequencer(sequencer).instance === instance) return verdict;
  return { valid: false, reason: "the sequencer is not of the node that this handle has open" };
}

function nothing(): void {
  // The answer says no more than that it was done.
}

export function unexpected(result: CallResult): CubbyError {
  return new CubbyError("internal", `An answer of the kind ${result.$case} was not expected.`);
}
