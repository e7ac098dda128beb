import {
  Command,
  CreateMode,
  decodeSequencer,
  type ErrorCode,
  IN_FLIGHT_MAX,
  LockMode,
  NodeKind,
  type Reply,
  type Stat,
} from "@cubby/protocol";
import { Violation } from "./violation.ts";

/**
 * What a cell must do with a chain of commands, written a second time and as plainly as may be: flat
 * maps, no quotas, no tokens. It shares no code with the production state machine, so that what it
 * expects and what a client is told can differ. It knows what the workloads use and no more.
 */

export type Expected = {
  /** The case of the result, or "error". */
  readonly result: string;
  readonly code?: ErrorCode;
  readonly lockGeneration?: number;
  readonly contentGeneration?: number;
  readonly instance?: number;
  readonly created?: boolean;
  readonly released?: boolean;
};

/** `before`: what was told until a Cancel gave it back. */
export type Told = Expected & { readonly index: number; readonly before?: Told };

export type FileVersion = {
  readonly instance: number;
  readonly generation: number;
  readonly contents: Uint8Array;
  readonly index: number;
};

/** What was so from an index on, in words. */
export type Past = { readonly index: number; readonly text: string };

/** What commands change of a node's metadata, or fix when they make it. */
type Metadata = Pick<
  Stat,
  | "kind"
  | "ephemeral"
  | "contentGeneration"
  | "lockGeneration"
  | "lockMode"
  | "lockHolders"
  | "lockDelayed"
>;

export type Grant = {
  readonly path: string;
  readonly sessionId: number;
  readonly handleId: number;
  readonly mode: LockMode;
  readonly generation: number;
  readonly delayMs: number;
};

type Holder = { readonly sessionId: number; readonly handleId: number; claims: number[] };
type Delay = { readonly ms: number; readonly mode: LockMode; readonly beganAt: number };

type RefNode = {
  readonly path: string;
  readonly kind: NodeKind;
  readonly ephemeral: boolean;
  readonly instance: number;
  contentGeneration: number;
  lockGeneration: number;
  contents: Uint8Array;
  mode: LockMode;
  readonly holders: Map<string, Holder & { readonly delayMs: number }>;
  readonly openers: Set<string>;
  delay: Delay | undefined;
};

type RefSession = {
  readonly id: number;
  lowest: number;
  readonly results: Map<number, Expected>;
};

type Body<C> = Extract<NonNullable<Command["body"]>, { $case: C }>;
type Value<C> = Body<C> extends { value: infer V } ? V : never;

const ROOT = "/ls/local";

export class ReferenceCell {
  index = 0;
  paxosEpoch = 0;
  clientEpoch = 0;
  readonly nodes = new Map<string, RefNode>();
  readonly sessions = new Map<number, RefSession>();
  /** Every result there ever was: what a client is told must be one of them. */
  readonly #told = new Map<number, Map<number, Told>>();
  readonly #versions = new Map<string, Map<string, FileVersion>>();
  /** By path and instance, in order: `name:instance` of each child of a directory, sorted. */
  readonly #listings = new Map<string, Past[]>();
  readonly #metadata = new Map<string, Past[]>();
  readonly #removed = new Map<string, number>();
  readonly #lastRemoved = new Map<string, number>();
  readonly #highest = new Map<string, number>();
  readonly #markers = new Map<string, Delay>();
  #counter = 1;
  /** What the last command did, for those who watch locks and time. */
  granted: Grant | undefined;
  freed: string[] = [];
  delaysBegun: { readonly path: string; readonly ms: number }[] = [];
  delayEnded: string | undefined;
  expired = 0;
  ended: number[] = [];
  began = 0;
  isReplay = false;
  cancelled = false;
  recreated = false;
  abandoned = 0;
  /** The request that has just been answered. */
  applied: { readonly sessionId: number; readonly number: number } | undefined;

  resultOf(sessionId: number, number: number): Told | undefined {
    return this.#told.get(sessionId)?.get(number);
  }

  version(path: string, instance: number, generation: number): FileVersion | undefined {
    return this.#versions.get(path)?.get(`${instance}/${generation}`);
  }

  /** All that a directory has held since, oldest first. */
  listingsSince(path: string, instance: number, index: number): readonly Past[] {
    return since(this.#listings.get(`${path}/${instance}`), index);
  }

  /** The same of a node's metadata, as `described` puts it. */
  metadataSince(path: string, instance: number, index: number): readonly Past[] {
    return since(this.#metadata.get(`${path}/${instance}`), index);
  }

  /** The index at which a node was made. */
  bornAt(path: string, instance: number): number | undefined {
    return this.#metadata.get(`${path}/${instance}`)?.[0]?.index;
  }

  /** The index at which a node was deleted, if it was. */
  removedAt(path: string, instance: number): number | undefined {
    return this.#removed.get(`${path}/${instance}`);
  }

  /** Whether any node was there at that index or at any time since. */
  wasThere(path: string, index: number): boolean {
    return this.nodes.has(path) || (this.#lastRemoved.get(path) ?? 0) > index;
  }

  get locksHeld(): number {
    let held = 0;
    for (const node of this.nodes.values()) if (node.holders.size > 0) held += 1;
    return held;
  }

  apply(index: number, bytes: Uint8Array): void {
    this.granted = undefined;
    this.freed = [];
    this.delaysBegun = [];
    this.delayEnded = undefined;
    this.expired = 0;
    this.ended = [];
    this.began = 0;
    this.isReplay = false;
    this.cancelled = false;
    this.recreated = false;
    this.abandoned = 0;
    this.applied = undefined;
    this.index = index;
    const command = Command.decode(bytes);
    const { body } = command;
    if (body?.$case === "beginEpoch") {
      this.#beginEpoch(body.value.paxosEpoch);
      return;
    }
    if (this.clientEpoch === 0 || command.paxosEpoch !== this.paxosEpoch) return;
    switch (body?.$case) {
      case "beginSession":
        this.sessions.set(index, { id: index, lowest: 1, results: new Map() });
        this.#told.set(index, new Map());
        this.began = index;
        return;
      case "expireSession":
        if (this.sessions.has(body.value.sessionId)) this.expired = body.value.sessionId;
        this.#endSession(body.value.sessionId, true);
        return;
      case "endLockDelay":
        this.#endDelay(body.value.path, body.value.beganAt);
        return;
      case "setStretch":
      case undefined:
        return;
      default:
        this.#inSession(command);
    }
  }

  #beginEpoch(epoch: number): void {
    // A master that lost its lease and was deposed may come back in one ballot, and so in one epoch.
    if (epoch < this.paxosEpoch) {
      throw new Violation(4, "epochs-rise", `epoch ${epoch} begins after ${this.paxosEpoch}`);
    }
    this.paxosEpoch = epoch;
    this.clientEpoch += 1;
  }

  #inSession(command: Command): void {
    const { sessionId, requestNumber: number } = command;
    const session = this.sessions.get(sessionId);
    if (session === undefined) {
      this.#tell(sessionId, number, { result: "error", code: "session_expired" });
      return;
    }
    session.lowest = Math.max(session.lowest, Math.min(command.lowestUnanswered, number));
    for (const old of session.results.keys()) if (old < session.lowest) session.results.delete(old);
    if (number < session.lowest || number >= session.lowest + IN_FLIGHT_MAX) return;
    if (session.results.has(number)) {
      this.isReplay = true;
      return;
    }
    const stale = this.#guardFails(command.guard);
    const expected = stale ? failed("sequencer_stale") : this.#run(session, command);
    if (expected === undefined) return;
    if (this.sessions.has(sessionId)) session.results.set(number, expected);
    this.applied = { sessionId, number };
    this.#tell(sessionId, number, expected);
  }

  #run(session: RefSession, command: Command): Expected | undefined {
    const { body, requestNumber: number } = command;
    switch (body?.$case) {
      case "openNode":
        return this.#open(session, number, body.value);
      case "closeHandle":
        this.#closeHandle(session.id, body.value.handleId);
        return { result: "close" };
      case "writeContents":
        return this.#write(body.value);
      case "deleteNode":
        return this.#delete(body.value.path, body.value.instance);
      case "acquireLock":
        return this.#acquire(session, number, body.value);
      case "releaseLock":
        return this.#release(session.id, number, body.value.handleId);
      case "cancel":
        return this.#cancel(session, body.value.requestNumber);
      case "endSession":
        this.#endSession(session.id, false);
        return { result: "endSession" };
      default:
        throw new Violation(9, "known-commands", `a ${body?.$case} in a session`);
    }
  }

  #open(session: RefSession, number: number, body: Value<"openNode">): Expected {
    const { path, directoryPath, kind } = body;
    if (
      directoryPath !== "" &&
      this.nodes.get(directoryPath)?.instance !== body.directoryInstance
    ) {
      return failed("stale_handle");
    }
    let node = this.nodes.get(path);
    const created = node === undefined;
    if (node !== undefined) {
      if (body.create === CreateMode.MUST_CREATE) return failed("already_exists");
      if (kind === NodeKind.FILE && node.kind !== kind) return failed("is_a_directory");
      if (kind === NodeKind.DIRECTORY && node.kind !== kind) return failed("not_a_directory");
    } else {
      if (body.create === CreateMode.NEVER) return failed("not_found");
      const parent = this.nodes.get(parentOf(path));
      if (parentOf(path) !== ROOT && parent === undefined) return failed("not_found");
      if (parent?.kind === NodeKind.FILE) return failed("not_a_directory");
      node = this.#create(path, body);
    }
    if (node.ephemeral) node.openers.add(key(session.id, number));
    const { instance, contentGeneration, lockGeneration } = node;
    return { result: "open", created, instance, contentGeneration, lockGeneration };
  }

  #create(path: string, body: Value<"openNode">): RefNode {
    this.#counter += 1;
    const at = this.#counter;
    this.recreated = this.#highest.has(path);
    if (at <= (this.#highest.get(path) ?? 0)) {
      throw new Violation(14, "generations-grow", `${path} is born again at ${at}`);
    }
    const isFile = body.kind !== NodeKind.DIRECTORY;
    const node: RefNode = {
      path,
      kind: isFile ? NodeKind.FILE : NodeKind.DIRECTORY,
      ephemeral: body.ephemeral,
      instance: at,
      contentGeneration: isFile ? at : 0,
      lockGeneration: at,
      contents: body.initialContents,
      mode: LockMode.FREE,
      holders: new Map(),
      openers: new Set(),
      delay: this.#markers.get(path),
    };
    this.#markers.delete(path);
    this.nodes.set(path, node);
    this.#record(node);
    this.#describe(node);
    this.#list(parentOf(path));
    if (!isFile) this.#list(path);
    return node;
  }

  #write(body: Value<"writeContents">): Expected {
    const node = this.nodes.get(body.path);
    if (node === undefined || node.instance !== body.instance) return failed("stale_handle");
    if (body.hasIfGeneration && body.ifGeneration !== node.contentGeneration) {
      return failed("generation_mismatch");
    }
    node.contents = body.contents;
    node.contentGeneration += 1;
    this.#record(node);
    this.#describe(node);
    const { instance, contentGeneration, lockGeneration } = node;
    return { result: "setContents", instance, contentGeneration, lockGeneration };
  }

  #delete(path: string, instance: number): Expected {
    const node = this.nodes.get(path);
    if (node === undefined || node.instance !== instance) return failed("stale_handle");
    if (this.#childrenOf(path).length > 0) return failed("not_empty");
    this.#remove(node);
    return { result: "delete" };
  }

  #acquire(session: RefSession, number: number, body: Value<"acquireLock">): Expected | undefined {
    const { path, mode, handleId } = body;
    const node = this.nodes.get(path);
    if (node === undefined || node.instance !== body.instance) return failed("stale_handle");
    const mine = node.holders.get(key(session.id, handleId));
    if (mine !== undefined) {
      if (node.mode !== mode) return failed("invalid_argument");
      const pending = mine.claims.filter((claim) => claim >= session.lowest);
      if (pending.length < mine.claims.length) pending.unshift(0);
      mine.claims = [...pending, number];
      return { result: "acquire", lockGeneration: node.lockGeneration };
    }
    const wantsAlone = mode === LockMode.EXCLUSIVE;
    const { delay } = node;
    if (delay !== undefined && (wantsAlone || delay.mode === LockMode.EXCLUSIVE)) {
      // While others share it, an exclusive claim is told of them and not of the delay.
      const isHeld = node.holders.size > 0 && wantsAlone;
      return body.wait ? undefined : failed(isHeld ? "lock_held" : "lock_delayed");
    }
    if (node.holders.size > 0 && (wantsAlone || node.mode === LockMode.EXCLUSIVE)) {
      return body.wait ? undefined : failed("lock_held");
    }
    if (node.holders.size === 0) node.lockGeneration += 1;
    node.mode = mode;
    const holder = { sessionId: session.id, handleId, claims: [number], delayMs: body.lockDelayMs };
    node.holders.set(key(session.id, handleId), holder);
    this.#describe(node);
    const generation = node.lockGeneration;
    this.#raise(path, generation);
    const { delayMs } = holder;
    this.granted = { path, sessionId: session.id, handleId, mode, generation, delayMs };
    return { result: "acquire", lockGeneration: generation };
  }

  #release(sessionId: number, number: number, handleId: number): Expected {
    for (const node of this.nodes.values()) {
      const holder = node.holders.get(key(sessionId, handleId));
      if (holder === undefined) continue;
      // Behind a later claim of the handle it gives back what is its own only.
      holder.claims = holder.claims.filter((claim) => claim > number);
      if (holder.claims.length === 0) this.#free(node, key(sessionId, handleId));
      return { result: "release" };
    }
    return failed("lock_not_held");
  }

  #cancel(session: RefSession, target: number): Expected {
    if (target < session.lowest) return { result: "cancel", released: false };
    if (target >= session.lowest + IN_FLIGHT_MAX) return failed("invalid_argument");
    const known = session.results.get(target);
    const before = known && this.resultOf(session.id, target);
    const hasMade = known?.result === "open" && known.created === true;
    const cancelled = failed(hasMade ? "request_forgotten" : "cancelled");
    const mayGiveBack = known?.result === "acquire" || known?.result === "open";
    if (known !== undefined && !mayGiveBack) return { result: "cancel", released: false };
    session.results.set(target, cancelled);
    this.#tell(session.id, target, cancelled, before);
    if (known === undefined) {
      this.cancelled = true;
      return { result: "cancel", released: false };
    }
    if (known.result === "open") {
      this.#closeHandle(session.id, target);
      return { result: "cancel", released: true };
    }
    return { result: "cancel", released: this.#dropClaim(session.id, target) };
  }

  #dropClaim(sessionId: number, target: number): boolean {
    for (const node of this.nodes.values()) {
      for (const [name, holder] of node.holders) {
        if (holder.sessionId !== sessionId || !holder.claims.includes(target)) continue;
        holder.claims = holder.claims.filter((claim) => claim !== target);
        if (holder.claims.length > 0) return false;
        this.#free(node, name);
        this.cancelled = true;
        return true;
      }
    }
    return false;
  }

  #closeHandle(sessionId: number, handleId: number): void {
    const name = key(sessionId, handleId);
    for (const node of [...this.nodes.values()]) {
      if (node.holders.has(name)) this.#free(node, name);
      if (node.openers.delete(name)) this.#removeIfAbandoned(node);
    }
  }

  #endSession(sessionId: number, hasFailed: boolean): void {
    if (!this.sessions.delete(sessionId)) return;
    this.ended.push(sessionId);
    for (const node of this.nodes.values()) {
      for (const [name, holder] of [...node.holders]) {
        if (holder.sessionId !== sessionId) continue;
        const { mode } = node;
        this.#free(node, name);
        if (!hasFailed || holder.delayMs === 0) continue;
        const ms = Math.max(holder.delayMs, node.delay?.ms ?? 0);
        node.delay = { ms, mode, beganAt: this.index };
        this.#describe(node);
        this.delaysBegun.push({ path: node.path, ms });
      }
    }
    for (const node of [...this.nodes.values()]) {
      let wasOpener = false;
      for (const name of [...node.openers]) {
        if (name.startsWith(`${sessionId}/`)) wasOpener = node.openers.delete(name);
      }
      if (wasOpener) this.#removeIfAbandoned(node);
    }
  }

  #endDelay(path: string, beganAt: number): void {
    const node = this.nodes.get(path);
    const delay = node === undefined ? this.#markers.get(path) : node.delay;
    if (delay?.beganAt !== beganAt) return;
    if (node === undefined) this.#markers.delete(path);
    else {
      node.delay = undefined;
      this.#describe(node);
    }
    this.delayEnded = path;
  }

  #free(node: RefNode, name: string): void {
    node.holders.delete(name);
    if (node.holders.size === 0) {
      node.mode = LockMode.FREE;
      this.freed.push(node.path);
    }
    this.#describe(node);
  }

  #removeIfAbandoned(node: RefNode): void {
    if (!node.ephemeral || node.openers.size > 0) return;
    this.abandoned += 1;
    this.#remove(node);
  }

  #remove(node: RefNode): void {
    const { path, delay } = node;
    this.nodes.delete(path);
    this.#removed.set(`${path}/${node.instance}`, this.index);
    this.#lastRemoved.set(path, this.index);
    this.#counter = Math.max(this.#counter, node.lockGeneration, node.contentGeneration);
    if (delay !== undefined) this.#markers.set(path, delay);
    if (node.holders.size > 0) this.freed.push(path);
    this.#list(parentOf(path));
  }

  #childrenOf(path: string): readonly RefNode[] {
    return [...this.nodes.values()].filter((node) => parentOf(node.path) === path);
  }

  #list(path: string): void {
    const directory = this.nodes.get(path);
    if (directory === undefined) return;
    const names = this.#childrenOf(path).map((node) => listed(baseName(node.path), node.instance));
    this.#keep(this.#listings, directory, names.sort().join(" "));
  }

  #describe(node: RefNode): void {
    const { mode: lockMode, holders, delay } = node;
    const lock = { lockMode, lockHolders: holders.size, lockDelayed: delay !== undefined };
    this.#keep(this.#metadata, node, described({ ...node, ...lock }));
  }

  /** One command is one step: nobody sees what was between. */
  #keep(pasts: Map<string, Past[]>, { path, instance }: RefNode, text: string): void {
    const key = `${path}/${instance}`;
    const kept = pasts.get(key) ?? [];
    pasts.set(key, kept);
    if (kept.at(-1)?.index === this.index) kept.pop();
    kept.push({ index: this.index, text });
  }

  /** SEQ-7: the lock must be held still, in that mode and generation. */
  #guardFails(guard: Uint8Array): boolean {
    if (guard.length === 0) return false;
    const { name, instance, mode, lockGeneration } = decodeSequencer(guard);
    const node = this.nodes.get(name);
    if (node === undefined || node.instance !== instance || node.holders.size === 0) return true;
    return node.lockGeneration !== lockGeneration || node.mode !== mode;
  }

  #record(node: RefNode): void {
    const { path, instance, contentGeneration: generation, contents } = node;
    const versions = this.#versions.get(path) ?? new Map<string, FileVersion>();
    this.#versions.set(path, versions);
    versions.set(`${instance}/${generation}`, {
      instance,
      generation,
      contents,
      index: this.index,
    });
    this.#raise(path, Math.max(generation, node.lockGeneration));
  }

  #raise(path: string, generation: number): void {
    this.#highest.set(path, Math.max(generation, this.#highest.get(path) ?? 0));
  }

  #tell(sessionId: number, number: number, expected: Expected, before?: Told): void {
    const told = this.#told.get(sessionId) ?? new Map<number, Told>();
    this.#told.set(sessionId, told);
    const { index } = this;
    told.set(
      number,
      before === undefined ? { ...expected, index } : { ...expected, index, before },
    );
  }
}

/** The same of what a client was told. */
export function expectedOf(result: NonNullable<Reply["result"]>, code: ErrorCode): Expected {
  switch (result.$case) {
    case "error":
      return { result: "error", code };
    case "acquire":
      return { result: "acquire", lockGeneration: result.value.lockGeneration };
    case "cancel":
      return { result: "cancel", released: result.value.released };
    case "setContents": {
      const { instance, contentGeneration, lockGeneration } = result.value;
      return { result: "setContents", instance, contentGeneration, lockGeneration };
    }
    case "open": {
      const { created, stat } = result.value;
      const { instance = 0, contentGeneration = 0, lockGeneration = 0 } = stat ?? {};
      return { result: "open", created, instance, contentGeneration, lockGeneration };
    }
    default:
      return { result: result.$case };
  }
}

/** What was so at an index, and all that has been so since. */
function since(pasts: readonly Past[] = [], index: number): readonly Past[] {
  const at = pasts.findLastIndex((each) => each.index <= index);
  return pasts.slice(Math.max(0, at));
}

export function described(metadata: Metadata): string {
  const { kind, contentGeneration, lockGeneration, lockMode, lockHolders } = metadata;
  const lock = `${lockedAs(lockMode, lockGeneration)} of ${lockHolders}`;
  const marks = `${metadata.ephemeral ? ", ephemeral" : ""}${metadata.lockDelayed ? ", in delay" : ""}`;
  return `kind ${kind} at ${contentGeneration}, ${lock}${marks}`;
}

/** What is described so is locked in that mode and generation. */
export function lockedAs(mode: LockMode, generation: number): string {
  return `lock ${mode} at ${generation}`;
}

/** A child as listings have it. */
export function listed(name: string, instance: number): string {
  return `${name}:${instance}`;
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function failed(code: ErrorCode): Expected {
  return { result: "error", code };
}

function key(sessionId: number, handleId: number): string {
  return `${sessionId}/${handleId}`;
}
