import { EMPTY_BYTES, type Instant, NEVER } from "@cubby/base";
import type { ErrorCode, Outcome, Reply, Request } from "@cubby/protocol";
import { UNANSWERED_MS } from "./limits.ts";

/** Names one TCP connection; never used again for another. */
export type ConnectionId = number;

export type CallBody = NonNullable<Request["call"]>;
export type CallResult = Exclude<NonNullable<Reply["result"]>, { $case: "error" }>;

/** Why a call or a session failed. The shell makes a `CubbyError` of it. */
export type Failure = {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly outcome: Outcome;
};

export function notApplied(code: ErrorCode, detail: string): Failure {
  return { code, detail, outcome: "not-applied" };
}

/** The session that a call belongs to, as far as the call's keepers must know it. */
export interface CallOwner {
  readonly wakeAt: Instant;
  onWake(now: Instant): void;
  call(now: Instant, call: Call): void;
  giveUp(now: Instant, call: Call, code: ErrorCode, detail: string): void;
  /** Kept by the client around it: when it will next be woken. */
  queuedWakeAt: Instant;
}

/** What the core must know of a kind of call. */
type CallTraits = {
  /** May change the cell: once sent and unanswered, its outcome is unknown. */
  readonly mutating: boolean;
  /** Carries a request number, so that a repeat is answered from the stored result. */
  readonly numbered: boolean;
  /** Belongs to the session. The others carry session 0. */
  readonly inSession: boolean;
  /**
   * Given up, it is cancelled at the master. Close and Release are not: whoever stops waiting for
   * one still wants it done.
   */
  readonly cancellable: boolean;
};

/** Without a number: a repeat does no harm, and a window that an Acquire holds stays free for it. */
const read: CallTraits = { mutating: false, numbered: false, inSession: true, cancellable: true };
const write: CallTraits = { mutating: true, numbered: true, inSession: true, cancellable: true };
const giveBack: CallTraits = { ...write, cancellable: false };
const outside: CallTraits = {
  mutating: false,
  numbered: false,
  inSession: false,
  cancellable: true,
};

const TRAITS: Readonly<Record<CallBody["$case"], CallTraits>> = {
  locate: outside,
  getStatus: outside,
  createSession: { ...outside, mutating: true },
  keepAlive: { ...read, cancellable: false },
  endSession: giveBack,
  cancel: giveBack,
  open: write,
  close: giveBack,
  getContentsAndStat: read,
  getStat: read,
  readDir: read,
  setContents: write,
  delete: write,
  acquire: write,
  release: giveBack,
  getSequencer: read,
  checkSequencer: outside,
};

/** Where a call is in the request table; `done` is nowhere. */
export type CallPhase = "new" | "queued" | "inFlight" | "done";

/**
 * One call of the application, from the moment it is made until it is settled. The driver makes it
 * and reads `result` or `failure` once the core hands it back; everything else is the core's.
 */
export class Call {
  readonly kind = "call";
  readonly session: CallOwner;
  readonly body: CallBody;
  /** SEQ-7: the sequencer that must still be valid, or no bytes. */
  readonly guard: Uint8Array;
  /** How long the caller waits, or undefined for ever. */
  readonly timeoutMs: number | undefined;
  /** Whatever the driver wants to find again. */
  readonly context: unknown;
  readonly traits: CallTraits;

  result: CallResult | undefined = undefined;
  failure: Failure | undefined = undefined;

  /** The caller has been told. A Release or Close may stay in the table all the same. */
  isSettled = false;
  phase: CallPhase = "new";
  /** 0 until it is first sent, and for calls without numbers. */
  number = 0;
  deadline: Instant = NEVER;
  /** The send whose answer counts: 0 while none is under way. */
  connection: ConnectionId = 0;
  tag = 0;
  /**
   * Sends that were not refused: any of them may have been carried out. A request that the master
   * refused with `not-applied` was not.
   */
  doubtfulSends = 0;
  wasSent = false;
  refusals = 0;
  /** After a refusal: not before this. */
  repeatAt: Instant = 0 as Instant;
  sentAt: Instant = 0 as Instant;
  /** How long an answer may take before the call is sent again; doubles each time. */
  patienceMs = UNANSWERED_MS;

  constructor(
    session: CallOwner,
    body: CallBody,
    options: { guard?: Uint8Array; timeoutMs?: number | undefined; context?: unknown } = {},
  ) {
    this.session = session;
    this.body = body;
    this.guard = options.guard ?? EMPTY_BYTES;
    this.timeoutMs = options.timeoutMs;
    this.context = options.context;
    this.traits = TRAITS[body.$case];
  }

  /** True for an acquire that waits in the node's queue: hours may pass before its answer. */
  get waitsForOthers(): boolean {
    return this.body.$case === "acquire" && this.body.value.wait;
  }

  /** Bytes that it takes to the cell beside the small change of a request. */
  get contentsBytes(): number {
    if (this.body.$case === "setContents") return this.body.value.contents.length;
    return this.body.$case === "open" ? this.body.value.initialContents.length : 0;
  }

  /** What is true of this call if no answer to it ever comes. */
  get outcomeUnanswered(): Outcome {
    return this.traits.mutating && this.doubtfulSends > 0 ? "unknown" : "not-applied";
  }
}
