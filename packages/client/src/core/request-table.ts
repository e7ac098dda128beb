import { assert } from "@cubby/base";
import type { Call } from "./call.ts";
import { CONTENTS_IN_FLIGHT_MAX, QUEUED_CALLS_MAX } from "./limits.ts";
import { ReleaseOrder } from "./release-order.ts";

/** So many calls that were given up may stand in a queue before it is tidied. */
const GIVEN_UP_MAX = 64;

/**
 * The unanswered requests of one session, and the calls that wait for room among them.
 *
 * Invariant: the numbers from `lowestUnanswered` up to the next one span no more than the window,
 * because the master keeps results for that many and refuses a number below the lowest. A number
 * that was given up counts as unanswered until its Cancel has been answered. A Cancel has a number
 * of its own, so that part of the window is kept free for Cancels, and the last places for the
 * Cancel of the lowest number, which always makes room.
 */
export class RequestTable {
  #windowMax: number;
  #nextNumber = 1;
  #lowest = 1;
  /** Ascending: numbers are given in order, and a replaced value keeps its place. */
  readonly #numbered = new Map<number, Call | undefined>();
  readonly #unnumbered = new Set<Call>();
  /** Numbers that were given up and whose Cancel has no number yet. */
  readonly #toCancel = new Set<number>();
  #queue: Call[] = [];
  #queueHead = 0;
  /** Queued calls that must not be sent yet wait in it, beside the queue. */
  readonly #releaseOrder = new ReleaseOrder();
  #queuedCount = 0;
  /** Bytes by number, where there are any: also of a number that was given up, as they lie in a socket. */
  readonly #contents = new Map<number, number>();
  #contentsBytes = 0;
  /** Calls in flight that are not on their way to the master now. */
  #unsentCount = 0;
  /** Acquires that wait for others, in flight or queued. */
  #waiterCount = 0;

  constructor(windowMax: number) {
    this.#windowMax = windowMax;
  }

  /** CreateSession's answer brings the cell's own figure. */
  setWindow(windowMax: number): void {
    assert(windowMax >= 1, "a session may have a request in flight");
    this.#windowMax = windowMax;
  }

  get lowestUnanswered(): number {
    return this.#lowest;
  }

  get inFlightCount(): number {
    return this.#numbered.size + this.#unnumbered.size;
  }

  get queuedCount(): number {
    return this.#queuedCount;
  }

  /** How much it remembers beside what is in flight: past calls included. */
  get keptCount(): number {
    return this.#queue.length + this.#contents.size;
  }

  get hasUnsent(): boolean {
    return this.#unsentCount > 0;
  }

  /** False when the queue is full. Close and Release are always taken: handles bound their number. */
  enqueue(call: Call): boolean {
    if (this.#queuedCount >= QUEUED_CALLS_MAX && call.traits.cancellable) return false;
    if (call.waitsForOthers) {
      if (this.#waiterCount >= this.waitersMax) return false;
      this.#waiterCount += 1;
    }
    if (call.body.$case === "release") this.#releaseOrder.begin(call);
    call.phase = "queued";
    this.#queue.push(call);
    this.#queuedCount += 1;
    return true;
  }

  /**
   * Beyond it, acquires that wait would fill the window and stop every other call. To ask one anew
   * takes two numbers, its own and its Cancel's: more than so many would never come to rest.
   */
  get waitersMax(): number {
    return Math.ceil(this.#numbersMax / 2);
  }

  /** How far the numbers of calls may span: the rest of the window is kept for Cancels. */
  get #numbersMax(): number {
    return this.#windowMax - Math.max(1, Math.floor(this.#windowMax / 4));
  }

  /** The next queued call that there is room for, now in flight with its number; or undefined. */
  admit(): Call | undefined {
    const call = this.#firstQueued();
    if (call === undefined || !this.#hasRoomFor(call) || !this.#hasRoomForContents(call)) {
      return undefined;
    }
    this.#queueHead += 1;
    this.#queuedCount -= 1;
    this.#compactQueue();
    if (call.traits.numbered) this.#number(call);
    else this.#unnumbered.add(call);
    call.phase = "inFlight";
    this.#unsentCount += 1;
    return call;
  }

  /** The number whose Cancel is to be sent next, lowest first, if there is room for one. */
  nextToCancel(): number | undefined {
    if (this.#toCancel.size === 0) return undefined;
    let lowest = Number.MAX_SAFE_INTEGER;
    for (const number of this.#toCancel) lowest = Math.min(lowest, number);
    const kept = lowest === this.#lowest ? 0 : this.#keptForLowest;
    return this.#span < this.#windowMax - kept ? lowest : undefined;
  }

  /** Takes the Cancel of a number in, at once in flight. */
  addCancel(cancel: Call, number: number): void {
    assert(this.#toCancel.delete(number), "a number is cancelled once");
    cancel.phase = "inFlight";
    this.#number(cancel);
    this.#unsentCount += 1;
  }

  /** The number of the session's last request: nothing that came before is unanswered any more. */
  takeLastNumber(): number {
    this.clear();
    this.#nextNumber += 1;
    return this.#nextNumber - 1;
  }

  /**
   * Those that only wait for a lock and keep others from getting a number: the oldest, and with it all of
   * the older half, or one would be waited for after the other.
   */
  waitersHoldingWindow(): readonly Call[] {
    const oldest = this.#numbered.get(this.#lowest);
    if (oldest === undefined || !oldest.waitsForOthers) return [];
    if (this.#toCancel.size > 0) return this.nextToCancel() === undefined ? [oldest] : [];
    const call = this.#firstQueued();
    if (call === undefined || !call.traits.numbered || this.#hasRoomFor(call)) return [];
    const holding: Call[] = [];
    const half = this.#lowest + Math.ceil(this.#numbersMax / 2);
    for (const each of this.#numbered.values()) {
      if (each === undefined) continue;
      if (each.number >= half) break;
      if (each.waitsForOthers) holding.push(each);
    }
    return holding;
  }

  markSent(call: Call, connection: number, tag: number): void {
    assert(call.tag === 0, "a call is on its way once");
    call.connection = connection;
    call.tag = tag;
    call.doubtfulSends += 1;
    call.wasSent = true;
    this.#unsentCount -= 1;
  }

  /** Its send was refused, or the connection is gone: it is to be repeated. */
  markUnsent(call: Call): void {
    if (call.tag === 0) return;
    call.connection = 0;
    call.tag = 0;
    this.#unsentCount += 1;
  }

  /** The connection is gone with everything that was on its way. */
  markAllUnsent(): void {
    for (const call of this.inFlight()) this.markUnsent(call);
  }

  /** What is in flight, in the order in which it must be repeated. */
  *inFlight(): IterableIterator<Call> {
    for (const call of this.#numbered.values()) {
      if (call !== undefined) yield call;
    }
    yield* this.#unnumbered;
  }

  *queued(): IterableIterator<Call> {
    for (let i = this.#queueHead; i < this.#queue.length; i += 1) {
      const call = this.#queue[i];
      if (call?.phase === "queued") yield call;
    }
    yield* this.#releaseOrder.heldBack();
  }

  /** Its answer has come: the number is done with, and so is the one that it cancels. */
  onAnswered(call: Call): void {
    this.#leaveFlight(call);
    call.phase = "done";
    if (call.number === 0) this.#unnumbered.delete(call);
    else this.#forget(call.number);
    if (call.body.$case === "cancel") this.#forget(call.body.value.requestNumber);
    if (call.body.$case !== "release") return;
    // What is still in the queue came into it later.
    this.#queue.splice(this.#queueHead, 0, ...this.#releaseOrder.end(call));
  }

  /** The caller has given it up: if it may have been carried out, its number is to be cancelled. */
  onGivenUp(call: Call): void {
    const { phase } = call;
    call.phase = "done";
    if (phase === "queued") {
      this.#releaseOrder.forget(call);
      this.#queuedCount -= 1;
      if (call.waitsForOthers) this.#waiterCount -= 1;
      this.#dropGivenUp();
    } else if (phase === "inFlight") {
      this.#leaveFlight(call);
      if (call.number === 0) this.#unnumbered.delete(call);
      else if (!hasLeftSomething(call)) this.#forget(call.number);
      else {
        this.#numbered.set(call.number, undefined);
        this.#toCancel.add(call.number);
      }
    }
  }

  /** Gives the call in flight a later number: the present one is cancelled. */
  renumber(call: Call): void {
    assert(call.phase === "inFlight", "only what has a number is given another");
    this.onGivenUp(call);
    call.number = 0;
    call.phase = "queued";
    if (call.waitsForOthers) this.#waiterCount += 1;
    this.#queue.push(call);
    this.#queuedCount += 1;
  }

  /** Whether so many can be given later numbers before the present ones are cancelled. */
  hasRoomToRenumber(count: number): boolean {
    const room = this.#windowMax - this.#keptForLowest - this.#span - this.#toCancel.size;
    return 2 * count <= room;
  }

  /** Like `renumber`, with the new number at once. */
  renumberAhead(call: Call): void {
    this.onGivenUp(call);
    if (call.waitsForOthers) this.#waiterCount += 1;
    this.#number(call);
    call.phase = "inFlight";
    this.#unsentCount += 1;
  }

  clear(): void {
    this.#numbered.clear();
    this.#unnumbered.clear();
    this.#toCancel.clear();
    this.#contents.clear();
    this.#contentsBytes = 0;
    this.#queue = [];
    this.#queueHead = 0;
    this.#releaseOrder.clear();
    this.#queuedCount = 0;
    this.#unsentCount = 0;
    this.#waiterCount = 0;
    this.#lowest = this.#nextNumber;
  }

  #hasRoomFor(call: Call): boolean {
    if (!call.traits.numbered) return this.#unnumbered.size < this.#windowMax;
    return this.#span < this.#numbersMaxNow;
  }

  /**
   * While a waiter is the oldest: less, so that there is room for new numbers and Cancels of all that wait,
   * who then keep their places. Where that would leave next to no room for calls, they are cancelled first.
   */
  get #numbersMaxNow(): number {
    const max = this.#numbersMax;
    if (this.#numbered.get(this.#lowest)?.waitsForOthers !== true) return max;
    const ahead = this.#windowMax - this.#keptForLowest - 2 * this.#waiterCount;
    const left = ahead - 2 * this.#waiterCount;
    return left < Math.max(1, this.#windowMax / 8) ? max : Math.min(max, ahead);
  }

  /** One file always has room. */
  #hasRoomForContents({ contentsBytes }: Call): boolean {
    if (contentsBytes === 0 || this.#contentsBytes === 0) return true;
    return this.#contentsBytes + contentsBytes <= CONTENTS_IN_FLIGHT_MAX;
  }

  /** Places that only the Cancel of the lowest number may take, which makes room. */
  get #keptForLowest(): number {
    return Math.ceil(this.#windowMax / 32);
  }

  get #span(): number {
    return this.#nextNumber - this.#lowest;
  }

  #number(call: Call): void {
    call.number = this.#nextNumber;
    this.#nextNumber += 1;
    this.#numbered.set(call.number, call);
    const bytes = call.contentsBytes;
    if (bytes === 0) return;
    this.#contents.set(call.number, bytes);
    this.#contentsBytes += bytes;
  }

  #leaveFlight(call: Call): void {
    if (call.tag === 0) this.#unsentCount -= 1;
    call.connection = 0;
    call.tag = 0;
    if (call.waitsForOthers) this.#waiterCount -= 1;
  }

  #forget(number: number): void {
    this.#numbered.delete(number);
    const bytes = this.#contents.get(number);
    if (bytes !== undefined) {
      this.#contents.delete(number);
      this.#contentsBytes -= bytes;
    }
    while (this.#lowest < this.#nextNumber && !this.#numbered.has(this.#lowest)) this.#lowest += 1;
  }

  #firstQueued(): Call | undefined {
    while (this.#queueHead < this.#queue.length) {
      const call = this.#queue[this.#queueHead];
      if (call?.phase === "queued" && !this.#releaseOrder.holdsBack(call)) return call;
      this.#queueHead += 1;
    }
    this.#compactQueue();
    return undefined;
  }

  /** While nothing may be sent, what was given up would pile up in the queue, contents and all. */
  #dropGivenUp(): void {
    if (this.#queue.length - this.#queueHead <= 2 * this.#queuedCount + GIVEN_UP_MAX) return;
    this.#queue = this.#queue.slice(this.#queueHead).filter((call) => call.phase === "queued");
    this.#queueHead = 0;
  }

  #compactQueue(): void {
    if (this.#queueHead === this.#queue.length) {
      if (this.#queueHead === 0) return;
      this.#queue = [];
      this.#queueHead = 0;
    } else if (this.#queueHead >= 1024) {
      this.#queue = this.#queue.slice(this.#queueHead);
      this.#queueHead = 0;
    }
  }
}

/**
 * What is to be cancelled. An Open may have left a handle though it was refused: its answer, made and then
 * withdrawn as the master's lease ended, had been remembered there.
 */
function hasLeftSomething({ traits, doubtfulSends, body, wasSent }: Call): boolean {
  return traits.mutating && (doubtfulSends > 0 || (body.$case === "open" && wasSent));
}
