import { Rng } from "@cubby/base";
import { LockMode, type Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import {
  type Call,
  codeOf,
  Harness,
  openCall,
  setCall,
  TestSession,
} from "./test-support/harness.ts";

const SEEDS = Array.from({ length: 15 }, (_, i) => `cell-${i}`);
const STEPS = 300;
const PATHS = ["/ls/local/a", "/ls/local/b", "/ls/local/c"];

/** Sent, and to be answered exactly once. */
type Sent = { readonly session: TestSession; readonly request: Partial<Request>; tag: number };

/** Clients that do anything, over masters that come and go. */
class Chaos {
  readonly harness = new Harness(3, { stretchAboveSessions: 6 });
  readonly #rng: Rng;
  readonly #handles = new Map<TestSession, Uint8Array[]>();
  #sent: Sent[] = [];
  #keepAlives = new Map<TestSession, number>();
  #master = 0;
  answers = new Map<string, number>();

  constructor(seed: string) {
    this.#rng = new Rng(seed);
  }

  run(): void {
    for (let step = 0; step < STEPS; step += 1) {
      this.#step();
      this.#look();
    }
    this.#finish();
  }

  #step(): void {
    const rng = this.#rng;
    const { harness } = this;
    const sessions = [...this.#handles.keys()];
    const roll = rng.below(100);
    if (sessions.length === 0 || (roll < 6 && sessions.length < 10)) {
      this.#newSession();
    } else if (roll < 60) this.#call(this.#pick(sessions));
    else if (roll < 70) this.#keepAlive(this.#pick(sessions));
    else if (roll < 80) harness.advance(rng.below(3_000));
    else if (roll < 84) harness.isHeldBack = !harness.isHeldBack;
    else if (roll < 86) this.#disconnect(rng.between(1, 3));
    else if (roll < 90) this.#elect(rng.below(3));
    else if (roll < 93 && !harness.isHeldBack) this.#restore();
    else if (roll < 96) harness.lease(rng.between(0, 2_000));
    harness.settle();
  }

  #newSession(): void {
    this.harness.isHeldBack = false;
    this.harness.lease(60_000);
    const leaseMs = this.#rng.between(2_000, 15_000);
    const caches = this.#rng.chance(0.3);
    const session = new TestSession(this.harness, {
      leaseMs,
      caches,
      from: this.#rng.between(1, 3),
    });
    this.#handles.set(session, []);
  }

  #call(session: TestSession): void {
    const requestNumber = session.next;
    session.next += 1;
    const request = session.envelope(this.#anyCall(session), {
      requestNumber,
      lowestUnanswered: this.#lowest(session, requestNumber),
    });
    this.#sent.push({ session, request, tag: this.harness.send(request, session.from) });
  }

  #anyCall(session: TestSession): Call {
    const rng = this.#rng;
    const handles = this.#handles.get(session) ?? [];
    if (handles.length === 0 || rng.chance(0.2)) {
      return {
        $case: "open",
        value: openCall(this.#pick(PATHS), {
          ephemeral: rng.chance(0.3),
          hasLockDelay: true,
          lockDelayMs: rng.below(2) * 3_000,
        }),
      };
    }
    const handle = this.#pick(handles);
    const mode = rng.chance(0.5) ? LockMode.EXCLUSIVE : LockMode.SHARED;
    const calls: Call[] = [
      { $case: "acquire", value: { handle, mode, wait: true } },
      { $case: "acquire", value: { handle, mode, wait: true } },
      { $case: "acquire", value: { handle, mode, wait: false } },
      { $case: "release", value: { handle } },
      { $case: "release", value: { handle } },
      { $case: "close", value: { handle } },
      { $case: "setContents", value: setCall(handle, "x") },
      { $case: "getStat", value: { handle } },
      { $case: "delete", value: { handle } },
      { $case: "cancel", value: { requestNumber: Math.max(1, session.next - rng.between(1, 6)) } },
    ];
    return this.#pick(calls);
  }

  #lowest(session: TestSession, otherwise: number): number {
    const open = this.#sent.filter((sent) => sent.session === session);
    return Math.min(otherwise, ...open.map(({ request }) => request.requestNumber ?? 1));
  }

  #keepAlive(session: TestSession): void {
    session.epoch = this.harness.epoch;
    const tag = session.keepAlive(session.epoch);
    this.#keepAlives.set(session, tag);
  }

  #elect(at: number): void {
    const { harness } = this;
    // Some of what the old master proposed had been accepted by others: it is chosen first.
    const { proposed } = harness.pair(this.#master).log;
    const accepted = proposed.slice(0, this.#rng.below(proposed.length + 1));
    const wasHeldBack = harness.isHeldBack;
    harness.isHeldBack = true;
    this.#master = at;
    harness.elect(at);
    const own = harness.pair(at).log.proposed.splice(0);
    for (const entry of accepted) harness.choose(entry);
    for (const entry of own) harness.choose(entry);
    harness.isHeldBack = wasHeldBack;
    harness.settle();
  }

  /** A client whose connection breaks repeats on another one what it has no answer to. */
  #disconnect(from: number): void {
    this.harness.disconnect(from);
    for (const sent of this.#sent) {
      if (sent.session.from === from) sent.tag = this.harness.send(sent.request, from + 10);
    }
  }

  #restore(): void {
    const at = this.#rng.below(3);
    if (at !== this.#master) this.harness.restore(at, this.#master);
  }

  /** Takes the replies, repeats what may be repeated, and checks what must always hold. */
  #look(): void {
    const { harness } = this;
    for (const { cell } of harness.replicas) cell.checkInvariants();
    const [hash, ...others] = harness.replicas.map(({ cell }) => cell.stateHash());
    expect(others).toEqual(others.map(() => hash));
    for (const sent of [...this.#sent]) this.#onReply(sent);
    // KeepAlives are not repeated here; those that were replaced have been answered too.
    for (const tag of this.#keepAlives.values()) harness.replyTo(tag);
  }

  #onReply(sent: Sent): void {
    const { harness } = this;
    const result = harness.resultOf(sent.tag);
    if (result === undefined) return;
    const code = codeOf(result);
    this.answers.set(code, (this.answers.get(code) ?? 0) + 1);
    if (["stale_epoch", "not_master", "connection_lost", "no_quorum"].includes(code)) {
      if (code === "stale_epoch") this.#keepAlive(sent.session);
      const request = { ...sent.request, clientEpoch: sent.session.epoch };
      sent.tag = harness.send(request, sent.session.from);
      return;
    }
    this.#sent = this.#sent.filter((other) => other !== sent);
    if (result.$case === "open") this.#handles.get(sent.session)?.push(result.value.handle);
    if (code === "session_expired") this.#handles.delete(sent.session);
  }

  /** Every request is answered, once: nothing waits for ever, no wake-up is lost. */
  #finish(): void {
    const { harness } = this;
    harness.isHeldBack = false;
    harness.lease(1_000_000_000);
    harness.settle();
    for (let round = 0; round < 40; round += 1) {
      harness.advance(5_000);
      this.#look();
    }
    expect(this.#sent.map(({ request }) => request.call?.$case)).toEqual([]);
    expect(harness.cell.status(harness.now)).toMatchObject({ sessions: 0, locksHeld: 0 });
  }

  #pick<T>(list: readonly T[]): T {
    const picked = list[this.#rng.below(list.length)];
    if (picked === undefined) throw new Error("nothing to pick from");
    return picked;
  }
}

describe("a cell under clients that do anything and masters that come and go", () => {
  it.each(SEEDS)(
    "keeps its invariants, its replicas equal, and answers everyone once (%s)",
    (seed) => {
      const chaos = new Chaos(seed);
      chaos.run();
      expect(chaos.answers.get("acquire") ?? 0).toBeGreaterThan(0);
    },
  );
});
