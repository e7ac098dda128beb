import { equalBytes, type Instant } from "@cubby/base";
import type { Call, SessionMachine } from "@cubby/client/core";
import {
  type Acquired,
  type ErrorCode,
  LockMode,
  type Reply,
  type Request,
  type Stat,
} from "@cubby/protocol";
import {
  checkCreated,
  checkDirectory,
  checkStat,
  checkToken,
  checkValidity,
} from "./check-answers.ts";
import { CallChecker } from "./check-calls.ts";
import type { Asked, Queues, Waiter } from "./check-waiting.ts";
import type { ClientProcess } from "./client-process.ts";
import type { Coverage } from "./coverage.ts";
import { type Expected, expectedOf, type ReferenceCell } from "./reference-cell.ts";
import type { About, Hold } from "./script.ts";
import { Violation } from "./violation.ts";

/** How far a node had got, as somebody was told: (instance, content generation). */
type Mark = { readonly instance: number; readonly generation: number };
type Begun = {
  readonly mark: Mark;
  /** Somebody had been answered from this one. */
  readonly index: number;
  /** The latest of the lock, of the guard's if there is one, that anybody had been granted. */
  readonly lockGeneration: number;
  readonly process: ClientProcess;
  readonly atMs: number;
  /** How many calls had been made before. */
  readonly order: number;
  /** The same instant on the process's own clock. */
  readonly localAt: Instant;
  /** If it is one. */
  readonly waiter: Waiter | undefined;
  readonly asked: Asked;
};

/** Timers are late, and deadlines are kept in coarse steps. */
const LATE_MS_MAX = 2_000;
const NO_MARK: Mark = { instance: 0, generation: 0 };

/**
 * What clients see (reliability §3, 9 to 11 and 13 to 16): the cheap witness. Each answer must be
 * the reference's at its index, and the order of indexes must respect real time.
 */
export class ClientChecker implements Queues {
  readonly #reference: ReferenceCell;
  readonly #coverage: Coverage;
  readonly #begun = new Map<Call, Begun>();
  /** Nobody waits for them any more, and masters may not have heard of that. */
  #left: { readonly sessionId: number; readonly number: number; readonly waiter: Waiter }[] = [];
  readonly #marks = new Map<string, Mark>();
  readonly #lockMarks = new Map<string, number>();
  /** The latest grant of each handle. */
  readonly #grants = new WeakMap<Uint8Array, number>();
  readonly #holds = new Map<string, Set<Hold>>();
  /** What was answered "not applied" must never be found applied: `session/number`. */
  readonly #neverApplied = new Set<string>();
  readonly #resources = new Map<string, { generation: number; session: SessionMachine }>();
  readonly #answered = new Map<number, number>();
  /** Whoever believes to hold what others have been granted since, and the first call after that. */
  readonly #succeeded = new Map<SessionMachine, { readonly hold: Hold; readonly order: number }>();
  #called = 0;
  #seenIndex = 0;
  acknowledged = 0;
  /** Whether the lock was in a lock-delay at any time since an instant. */
  wasDelayed: (path: string, sinceMs: number) => boolean = () => true;
  readonly calls: CallChecker;
  /** Told of each acquire that is answered, and of when it was made. */
  onGranted: ((path: string, mode: LockMode, begunAt: number) => void) | undefined;

  constructor(reference: ReferenceCell, coverage: Coverage) {
    this.#reference = reference;
    this.#coverage = coverage;
    this.calls = new CallChecker(reference);
  }

  /** Calls of a client that the cell answered. */
  answeredBy(client: number): number {
    return this.#answered.get(client) ?? 0;
  }

  onCalled(process: ClientProcess, call: Call, now: number): void {
    const { path, guardedBy } = call.context as About;
    const mark = this.#marks.get(path) ?? NO_MARK;
    const lockGeneration = this.#lockMarks.get(guardedBy?.path ?? path) ?? 0;
    const asked = askedOf(call);
    const waiter = waiterOf(call, asked, now);
    const localAt = process.localNow();
    const order = this.#called;
    this.#called += 1;
    const index = this.#seenIndex;
    this.calls.onCalled(call, waiter);
    this.#begun.set(call, {
      process,
      mark,
      index,
      order,
      lockGeneration,
      atMs: now,
      localAt,
      waiter,
      asked,
    });
  }

  onSettled(client: number, call: Call): void {
    const begun = this.#begun.get(call);
    if (begun === undefined) return;
    this.#begun.delete(call);
    const { result, failure } = call;
    const { sessionId, state } = call.session as SessionMachine;
    const isLeft = state !== "safe" && state !== "jeopardy";
    const isGivenUp = failure?.code === "cancelled" || failure?.code === "deadline_exceeded";
    // In a session that is lost, one that was to get another number stands in its queue under the last.
    if (begun.waiter !== undefined && (isLeft || (isGivenUp && call.number > 0))) {
      this.#left.push({ sessionId, number: call.number, waiter: begun.waiter });
    }
    if (result !== undefined) {
      this.acknowledged += 1;
      this.#answered.set(client, this.answeredBy(client) + 1);
    } else if (failure !== undefined && call.number > 0) {
      if (failure.code === "lock_delayed") this.#checkDelayed(call, begun);
      this.#onFailure(sessionId, call, failure.code, failure.outcome);
    }
    this.calls.onSettled(call, begun, this.#called);
    if (result === undefined) return;
    if (call.traits.inSession) this.#checkSucceeded(call, begun);
    if (call.number > 0)
      this.#checkNumbered(sessionId, call, begun, expectedOf(result, "internal"));
    switch (result.$case) {
      case "getContentsAndStat":
        this.#checkRead(call, begun, result.value);
        return;
      case "open":
        if (result.value.stat !== undefined) this.#checkOpened(call, begun, result.value.stat);
        return;
      case "setContents":
        this.#coverage.add("writes");
        this.#checkGuarded(call, begun);
        this.#checkStat(call, begun, result.value);
        return;
      case "acquire":
        this.#onAcquired(call, begun, result.value);
        return;
      case "getStat":
        this.#coverage.add("stats read");
        this.#checkStat(call, begun, result.value);
        return;
      case "readDir": {
        this.#coverage.add("directories read");
        const { context } = call;
        const about = context as About;
        const index = checkDirectory(this.#reference, about, begun.index, result.value);
        this.#seenIndex = Math.max(this.#seenIndex, index);
        return;
      }
      case "getSequencer": {
        this.#coverage.add("sequencers given again");
        const { mode = LockMode.FREE, generation = 0 } = call.context as About;
        checkToken(call.context as About, mode, generation, result.value.sequencer);
        return;
      }
      case "checkSequencer":
        this.#checkSequencer(call, begun, result.value.valid);
        return;
      default:
        return;
    }
  }

  /** Its Cancel went ahead of it as it got another number: it stands at the end, as one that is new there. */
  onPlaceLeft(body: Request["call"]): void {
    for (const [call, begun] of this.#begun) {
      if (call.body !== body || begun.waiter === undefined) continue;
      this.#begun.set(call, { ...begun, waiter: { ...begun.waiter } });
    }
  }

  /** A new command took effect at the reference. */
  onApplied(sessionId: number, number: number): void {
    if (!this.#neverApplied.has(`${sessionId}/${number}`)) return;
    const told = this.#reference.resultOf(sessionId, number);
    if (told === undefined || told.result === "error" || this.#reference.isReplay) return;
    const detail = `${told.result} ${sessionId}/${number} was answered "not applied" before`;
    throw new Violation(10, "outcomes-true", detail);
  }

  /** 16: nobody else believes the same at this true time. */
  onHolds(hold: Hold): () => void {
    const holds = this.#holds.get(hold.path) ?? new Set<Hold>();
    this.#holds.set(hold.path, holds);
    holds.add(hold);
    this.checkBeliefs(hold.path);
    return () => {
      holds.delete(hold);
    };
  }

  /** Of the present master, or the last one. */
  get epoch(): number {
    return this.#reference.clientEpoch;
  }

  /** Acquires in the queue of a master, of clients that are alive and well connected. */
  get waiters(): readonly Waiter[] {
    return [...this.#heard()].flatMap(([{ phase }, { waiter }]) =>
      phase === "queued" ? [] : (waiter ?? []),
    );
  }

  get decided(): readonly Asked[] {
    const decided: Asked[] = [];
    for (const [{ session, number }, { waiter }] of this.#heard()) {
      const { sessionId } = session as SessionMachine;
      if (waiter === undefined) continue;
      if (this.#reference.resultOf(sessionId, number) !== undefined) decided.push(waiter);
    }
    return decided;
  }

  get asked(): readonly Asked[] {
    return [...this.#heard()].flatMap(([{ phase }, { waiter, asked }]) =>
      waiter === undefined || phase === "queued" ? asked : [],
    );
  }

  *#heard(): Iterable<readonly [Call, Begun]> {
    for (const [call, begun] of this.#begun) {
      const { process } = begun;
      if (process.isDead || process.clock.isPaused) continue;
      const { maySend, epoch } = call.session as SessionMachine;
      // Some of those who are at a deposed master have not noticed yet.
      const isHeard = maySend && epoch === this.#reference.clientEpoch;
      const isOpen = call.phase === "inFlight" || call.phase === "queued";
      if (isOpen && isHeard) yield [call, begun];
    }
  }

  /** All that a master may have in a queue: those of clients that are gone until their sessions end. */
  get queued(): readonly Waiter[] {
    // What was given up leaves it by its Cancel, which a session that is lost never sends.
    this.#left = this.#left.filter(
      ({ sessionId, number }) =>
        this.#reference.sessions.has(sessionId) &&
        this.#reference.resultOf(sessionId, number) === undefined,
    );
    const queued = this.#left.map(({ waiter }) => waiter);
    for (const [call, { process, waiter }] of this.#begun) {
      const { sessionId } = call.session as SessionMachine;
      if (waiter === undefined) continue;
      if (this.#reference.sessions.has(sessionId)) queued.push(waiter);
      else if (process.isDead) this.#begun.delete(call);
    }
    return queued;
  }

  /**
   * 23: calls that their clients should have been told the end of. Each client's own clock tells, so
   * that its rate, and the time for which it stood still, do not count.
   */
  overdueCalls(): readonly string[] {
    const overdue: string[] = [];
    for (const [call, { process, localAt }] of this.#begun) {
      if (call.timeoutMs === undefined || process.isDead || process.clock.isPaused) continue;
      const lateMs = process.localNow() - localAt - call.timeoutMs;
      if (lateMs <= LATE_MS_MAX) continue;
      const { path } = call.context as About;
      const what = `${call.body.$case} ${path} of ${process.name}, ${call.phase}`;
      overdue.push(`${what}, should have ended ${lateMs} ms ago`);
    }
    return overdue;
  }

  checkAllBeliefs(): void {
    for (const path of this.#holds.keys()) this.checkBeliefs(path);
  }

  checkBeliefs(path: string): void {
    const holds = this.#holds.get(path);
    if (holds === undefined) return;
    const believing: Hold[] = [];
    for (const hold of holds) {
      if (hold.process.isDead || hold.session.isOver) holds.delete(hold);
      else if (hold.process.relies(hold.session)) believing.push(hold);
    }
    for (const a of believing) {
      for (const b of believing) {
        if (a === b || a.session === b.session || a.instance !== b.instance) continue;
        if (a.mode !== LockMode.EXCLUSIVE && b.mode !== LockMode.EXCLUSIVE) continue;
        const detail =
          `${a.process.name} at generation ${a.generation} and ${b.process.name} at ` +
          `${b.generation} both rely on ${path}`;
        throw new Violation(16, "one-believer", detail);
      }
    }
  }

  /** 15: the resource takes nothing older than what it has taken; a careless one would. */
  onUsed(hold: Hold): void {
    const last = this.#resources.get(hold.path);
    if (last === undefined || hold.generation > last.generation) {
      this.#resources.set(hold.path, { generation: hold.generation, session: hold.session });
      return;
    }
    if (hold.generation < last.generation) {
      this.#coverage.add("fenced writes refused");
      if (hold.mode === LockMode.EXCLUSIVE) this.#coverage.add("careless overlaps");
      return;
    }
    if (hold.mode === LockMode.EXCLUSIVE && last.session !== hold.session) {
      const detail = `generation ${hold.generation} of ${hold.path} has two exclusive holders`;
      throw new Violation(14, "sequencers-grow", detail);
    }
  }

  #onFailure(sessionId: number, call: Call, code: ErrorCode, outcome: string): void {
    if (code === "generation_mismatch") this.#coverage.add("compare-and-swaps refused");
    if (code === "sequencer_stale") this.#coverage.add("guarded writes refused");
    if (code === "lock_held" || code === "lock_delayed") this.#coverage.add("locks refused");
    if (outcome !== "not-applied" || !CHANGES.has(call.body.$case)) return;
    const told = this.#reference.resultOf(sessionId, call.number);
    if (told !== undefined && told.result !== "error") {
      const detail = `${call.body.$case} ${sessionId}/${call.number} failed with ${code}, "not applied"`;
      throw new Violation(10, "outcomes-true", detail);
    }
    this.#neverApplied.add(`${sessionId}/${call.number}`);
  }

  /** 20: a lock that its holder let go of is free at once. */
  #checkDelayed(call: Call, begun: Begun): void {
    const { path } = call.context as About;
    if (this.wasDelayed(path, begun.atMs)) return;
    throw new Violation(20, "released-free-at-once", `${path} is said to be in a lock-delay`);
  }

  #checkNumbered(sessionId: number, call: Call, begun: Begun, seen: Expected): void {
    const told = this.#reference.resultOf(sessionId, call.number);
    const where = `${call.body.$case} ${sessionId}/${call.number}`;
    if (told === undefined) {
      if (!LOGGED.has(seen.result) && seen.created !== true) return;
      throw new Violation(9, "witness", `${where} was answered and stands in no log`);
    }
    // A close of what holds nothing is answered without the log, and may be cancelled in it.
    if (told.code === "cancelled" && seen.result === "close") return;
    const { index, before: _, ...expected } = told.before ?? told;
    if (index <= begun.index) {
      const detail = `${where} is answered with what was done at ${index}, before it was called at ${begun.index}`;
      throw new Violation(9, "witness", detail);
    }
    this.#seenIndex = Math.max(this.#seenIndex, index);
    checkSame(`${where} at ${index}`, expected, seen);
  }

  /** 10: nor may an answer that nobody waits for, a Cancel's or to a copy, say what was not done. */
  checkReply({ sessionId, requestNumber, call }: Request, { result }: Reply): void {
    const told = this.#reference.resultOf(sessionId, requestNumber);
    if (told === undefined || result === undefined || result.$case === "error") return;
    // It may have been answered from state as its Cancel came.
    if (told.code === "cancelled" && told.before === undefined) return;
    const { index, before: _, ...expected } = told.before ?? told;
    const where = `${call?.$case} ${sessionId}/${requestNumber} at ${index}`;
    checkSame(where, expected, expectedOf(result, "internal"));
  }

  #checkRead(
    call: Call,
    begun: Begun,
    { contents, stat }: { contents: Uint8Array; stat?: Stat | undefined },
  ): void {
    this.#coverage.add("reads");
    const { path } = call.context as About;
    const { instance = 0, contentGeneration: generation = 0 } = stat ?? {};
    const version = this.#reference.version(path, instance, generation);
    if (stat === undefined || version === undefined || !equalBytes(version.contents, contents)) {
      const detail = `${path} read at ${instance}/${generation}, which nobody wrote`;
      throw new Violation(9, "witness", detail);
    }
    this.#checkStat(call, begun, stat);
  }

  #checkOpened(call: Call, begun: Begun, stat: Stat): void {
    this.#checkStat(call, begun, stat);
    const { body, context, result } = call;
    if (body.$case !== "open" || result?.$case !== "open" || !result.value.created) return;
    checkCreated(this.#reference, context as About, body.value, stat);
  }

  #checkStat(call: Call, begun: Begun, stat: Stat): void {
    const { path, instance } = call.context as About;
    this.#checkThere(call, begun, stat.instance);
    this.#checkMark(call, begun.mark, stat.instance, stat.contentGeneration);
    // An Open has no handle yet, whose instance it would have to be.
    const about = { path, instance: instance || stat.instance };
    checkStat(this.#reference, about, begun.index, stat);
  }

  /** Nothing is read of what somebody had been told is deleted. */
  #checkThere(call: Call, begun: Begun, instance: number): void {
    const { path } = call.context as About;
    const at = this.#reference.removedAt(path, instance);
    if (at === undefined || at > begun.index) return;
    const detail = `${path}/${instance} is read, which was deleted at ${at}, and ${begun.index} was seen`;
    throw new Violation(9, "no-stale-read", detail);
  }

  #checkMark(call: Call, mark: Mark, instance: number, generation: number): void {
    if (isBelow({ instance, generation }, mark)) {
      const { path } = call.context as About;
      const detail = `${path} read at ${instance}/${generation} after ${mark.instance}/${mark.generation} was seen`;
      throw new Violation(9, "no-stale-read", detail);
    }
    this.#raise(call, instance, generation);
  }

  #onAcquired(call: Call, begun: Begun, { lockGeneration: generation, sequencer }: Acquired): void {
    const { path, instance } = call.context as About;
    const mode = call.body.$case === "acquire" ? call.body.value.mode : LockMode.FREE;
    checkToken(call.context as About, mode, generation, sequencer);
    if (generation < begun.lockGeneration) {
      const detail = `${path} granted at ${generation} after ${begun.lockGeneration} was seen`;
      throw new Violation(14, "sequencers-grow", detail);
    }
    for (const hold of this.#holds.get(path) ?? []) {
      if (hold.generation >= generation || this.#succeeded.has(hold.session)) continue;
      if (hold.instance === instance)
        this.#succeeded.set(hold.session, { hold, order: this.#called });
    }
    this.#lockMarks.set(path, Math.max(generation, this.#lockMarks.get(path) ?? 0));
    if (!this.#isGrantedAgain(call, generation)) this.onGranted?.(path, mode, begun.atMs);
  }

  /** LCK-11: what a handle has already is no turn in the queue. */
  #isGrantedAgain({ body }: Call, generation: number): boolean {
    if (body.$case !== "acquire") return false;
    const { handle } = body.value;
    const isKnown = this.#grants.get(handle) === generation;
    this.#grants.set(handle, generation);
    return isKnown;
  }

  /** 13, with no look at the log: nobody is granted what a session that lives has not given back. */
  #checkSucceeded(call: Call, begun: Begun): void {
    const lost = this.#succeeded.get(call.session as SessionMachine);
    if (lost === undefined || begun.order < lost.order) return;
    const { path, generation, process } = lost.hold;
    const detail = `${process.name} lost ${path} at ${generation} to another, and its session lives`;
    throw new Violation(13, "held-while-alive", detail);
  }

  /** SEQ-7: whoever was succeeded writes nothing more. */
  #checkGuarded(call: Call, begun: Begun): void {
    const { path, guardedBy } = call.context as About;
    if (guardedBy === undefined || guardedBy.generation >= begun.lockGeneration) return;
    const detail = `${path} was written under ${guardedBy.path} at ${guardedBy.generation} after ${begun.lockGeneration} was granted`;
    throw new Violation(14, "guards-kept", detail);
  }

  #checkSequencer(call: Call, begun: Begun, valid: boolean): void {
    this.#coverage.add(valid ? "sequencers found valid" : "sequencers refused");
    const { body, context } = call;
    const { path, instance, generation = 0 } = context as About;
    const mode = body.$case === "checkSequencer" ? body.value.mode : LockMode.FREE;
    const token = { path, instance, generation, mode };
    checkValidity(this.#reference, token, begun.index, valid);
    if (valid && generation < begun.lockGeneration) {
      const detail = `the sequencer of ${path} at ${generation} is said to be valid after ${begun.lockGeneration} was granted`;
      throw new Violation(14, "sequencers-checked", detail);
    }
  }

  #raise(call: Call, instance: number, generation: number): void {
    const { path } = call.context as About;
    const mark = { instance, generation };
    if (isBelow(this.#marks.get(path) ?? NO_MARK, mark)) this.#marks.set(path, mark);
  }
}

function askedOf(call: Call): Asked {
  const session = call.session as SessionMachine;
  const name = (): string => `${call.body.$case} ${session.sessionId}/${call.number}`;
  return { path: (call.context as About).path, name };
}

function waiterOf({ body }: Call, asked: Asked, now: number): Waiter | undefined {
  if (body.$case !== "acquire" || !body.value.wait) return undefined;
  return { ...asked, mode: body.value.mode, begunAt: now };
}

/** Calls that do nothing when they fail. A Release or Close is done, even if nobody waits for it. */
const CHANGES: ReadonlySet<string> = new Set(["acquire", "setContents", "delete", "open"]);

/** Results that only an entry of the log can give. */
const LOGGED: ReadonlySet<string> = new Set(["acquire", "release", "setContents", "delete"]);

function checkSame(where: string, a: Expected, seen: Expected): void {
  const isSame =
    a.result === seen.result &&
    a.code === seen.code &&
    a.lockGeneration === seen.lockGeneration &&
    a.contentGeneration === seen.contentGeneration &&
    a.instance === seen.instance &&
    a.created === seen.created &&
    a.released === seen.released;
  if (isSame) return;
  throw new Violation(9, "witness", `${where}: told ${text(seen)}, expected ${text(a)}`);
}

function text(expected: Expected): string {
  return JSON.stringify(expected);
}

function isBelow(a: Mark, b: Mark): boolean {
  return a.instance < b.instance || (a.instance === b.instance && a.generation < b.generation);
}
