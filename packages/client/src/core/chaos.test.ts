import { assert, type Instant, instant, Rng } from "@cubby/base";
import type { Reply } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { ModelCell } from "../test-support/model-cell.ts";
import { Call, type CallBody } from "./call.ts";
import { ClientCore } from "./client-core.ts";
import { SessionMachine } from "./session-machine.ts";

const ADDRESSES = ["h:1", "h:2", "h:3"];

type Made = {
  readonly call: Call;
  readonly id: string;
  readonly session: SessionMachine;
  /** In the order of everything that the application does and hears. */
  readonly madeAs: number;
  settledAs: number;
};
type Event = { readonly at: number; readonly run: () => void };

/** A client, a model of a cell, and a network with delays and breaks, all from one seed. */
class Chaos {
  readonly rng: Rng;
  readonly cell: ModelCell;
  readonly core: ClientCore;
  readonly sessions: SessionMachine[] = [];
  readonly made: Made[] = [];
  now: Instant = instant(1_000);
  #events: Event[] = [];
  #serial = 0;
  readonly #links = new Map<number, { address: string; out: number; back: number }>();

  constructor(seed: string) {
    this.rng = new Rng(seed);
    this.cell = new ModelCell(this.rng.fork("cell"), ADDRESSES, (connection, reply) =>
      this.#sendReply(connection, reply),
    );
    this.core = new ClientCore({ addresses: ADDRESSES, cellName: "local", seed });
    for (let i = 0; i < 1 + this.rng.below(3); i += 1) this.#openSession();
  }

  call(body: CallBody, id: string, timeoutMs: number | undefined): void {
    const session = this.sessions[this.rng.below(this.sessions.length)];
    assert(session !== undefined, "there is a session");
    const call = new Call(session, body, { timeoutMs });
    this.made.push({ call, id, session, madeAs: this.#serial, settledAs: 0 });
    this.#serial += 1;
    this.core.step(this.now, { kind: "call", call });
    this.#carryOut();
  }

  abortSomething(): void {
    const open = this.made.filter(({ call }) => !call.isSettled);
    const { call } = open[this.rng.below(Math.max(1, open.length))] ?? {};
    if (call === undefined) return;
    this.core.step(this.now, { kind: "giveUp", call, code: "cancelled", detail: "" });
    this.#carryOut();
  }

  cutSomething(): void {
    const links = [...this.#links.keys()];
    const connection = links[this.rng.below(Math.max(1, links.length))];
    if (connection !== undefined) this.#cut(connection);
  }

  expireSomething(): void {
    const ids = [...this.cell.sessions.keys()];
    const id = ids[this.rng.below(Math.max(1, ids.length))];
    if (id !== undefined) this.cell.expire(id);
  }

  run(ms: number): void {
    const end = this.now + ms;
    for (let turns = 0; ; turns += 1) {
      assert(turns < 200_000, "the client rests now and then");
      this.#events.sort((a, b) => a.at - b.at);
      const wakeAt = this.core.take().wakeAt;
      const next = this.#events[0];
      const at = Math.min(next?.at ?? Number.POSITIVE_INFINITY, Math.max(wakeAt, this.now));
      if (at > end) break;
      this.now = instant(at);
      if (next !== undefined && next.at === at) {
        this.#events.shift();
        next.run();
      } else this.core.step(this.now, { kind: "wake" });
      this.#carryOut();
    }
    this.now = instant(end);
  }

  #openSession(): void {
    const terms = { leaseMs: 0, gracePeriodMs: 45_000, clientName: "", openWithinMs: 60_000 };
    const session = new SessionMachine(terms, this.core.rngFor(`${this.sessions.length}`));
    this.sessions.push(session);
    this.core.step(this.now, { kind: "openSession", session });
    this.#carryOut();
  }

  #carryOut(): void {
    for (;;) {
      const output = this.core.take();
      for (const call of output.settled) {
        const made = this.made.find((other) => other.call === call);
        if (made === undefined) continue;
        made.settledAs = this.#serial;
        this.#serial += 1;
      }
      for (const id of output.disconnects) this.#links.delete(id);
      for (const { connection, address } of output.connects) {
        this.#links.set(connection, { address, out: 0, back: 0 });
        this.#later(this.rng.below(5), () => {
          if (!this.#links.has(connection)) return;
          this.core.step(this.now, { kind: "connected", connection });
        });
      }
      for (const { connection, request } of output.sends) {
        const link = this.#links.get(connection);
        if (link === undefined) continue;
        link.out = Math.max(link.out, this.now + this.rng.below(10));
        // What has left may still arrive after the connection is gone.
        this.#at(link.out, () => {
          if (!this.#links.has(connection) && this.rng.chance(0.5)) return;
          this.cell.onRequest(link.address, connection, request);
        });
      }
      if (output.connects.length + output.sends.length === 0) return;
    }
  }

  #sendReply(connection: number, reply: Reply): void {
    const link = this.#links.get(connection);
    if (link === undefined) return;
    link.back = Math.max(link.back, this.now + this.rng.below(10));
    this.#at(link.back, () => {
      if (!this.#links.has(connection)) return;
      this.core.step(this.now, { kind: "reply", connection, reply });
    });
  }

  #cut(connection: number): void {
    if (!this.#links.delete(connection)) return;
    const why = { code: "connection_lost", detail: "" } as const;
    this.core.step(this.now, { kind: "disconnected", connection, ...why });
    this.#carryOut();
  }

  #later(delayMs: number, run: () => void): void {
    this.#at(this.now + delayMs, run);
  }

  #at(at: number, run: () => void): void {
    this.#events.push({ at, run });
  }
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function randomCall(rng: Rng, id: string): CallBody {
  const handle = encode(`handle ${rng.below(3)}`);
  const draw = rng.below(10);
  if (draw < 5) {
    const value = { handle, contents: encode(id), hasIfGeneration: false, ifGeneration: 0 };
    return { $case: "setContents", value };
  }
  if (draw < 6) return { $case: "getContentsAndStat", value: { handle } };
  if (draw < 8) return { $case: "acquire", value: { handle, mode: 1, wait: draw === 6 } };
  return { $case: "release", value: { handle } };
}

function play(seed: string, options: { expiries: boolean }): Chaos {
  const chaos = new Chaos(seed);
  const { rng, cell } = chaos;
  cell.replyLoss = rng.chance(0.5) ? 0.05 : 0;
  chaos.run(200);
  for (let i = 0; i < 250; i += 1) {
    const draw = rng.below(100);
    if (draw < 75) {
      const timeoutMs = rng.chance(0.3) ? rng.between(1, 3_000) : undefined;
      chaos.call(randomCall(rng, `op ${i}`), `op ${i}`, timeoutMs);
    } else if (draw < 85) chaos.abortSomething();
    else if (draw < 92) chaos.cutSomething();
    else if (draw < 95) cell.elect(ADDRESSES[rng.below(3)]);
    else if (draw < 96) cell.elect(undefined);
    else if (draw < 97 && options.expiries) chaos.expireSomething();
    chaos.run(rng.chance(0.1) ? rng.below(1_500) : rng.below(20));
  }
  // Liveness: from here on nothing fails any more.
  cell.replyLoss = 0;
  if (cell.master === undefined) cell.elect(ADDRESSES[0]);
  chaos.run(30_000);
  return chaos;
}

function checkOutcomes(chaos: Chaos, seed: string): void {
  expect(chaos.cell.complaints, seed).toEqual([]);
  for (const { call, id } of chaos.made) {
    expect(call.failure?.code, `${seed} ${id}`).not.toBe("request_forgotten");
    if (call.body.$case !== "setContents") continue;
    const times = chaos.cell.applied.get(id) ?? 0;
    expect(times, `${seed} ${id} at most once`).toBeLessThanOrEqual(1);
    if (call.result !== undefined) expect(times, `${seed} ${id} answered`).toBe(1);
    if (call.failure?.outcome === "not-applied") expect(times, `${seed} ${id}`).toBe(0);
  }
}

/** Whoever was granted the lock, and has not called Release since, has it. */
function checkHolders(chaos: Chaos, seed: string): void {
  for (const { call, id, session, settledAs } of chaos.made) {
    if (call.result?.$case !== "acquire" || call.body.$case !== "acquire") continue;
    const key = handleOf(session, call.body.value.handle);
    const isReleased = chaos.made.some(
      (other) =>
        other.call.body.$case === "release" &&
        other.madeAs > settledAs &&
        handleOf(other.session, other.call.body.value.handle) === key,
    );
    if (!isReleased) expect(chaos.cell.holder?.key, `${seed} ${id}`).toBe(key);
  }
}

function handleOf(session: SessionMachine, handle: Uint8Array): string {
  return `${session.sessionId}/${new TextDecoder().decode(handle)}`;
}

describe("a client between failing masters", () => {
  it("runs everything at most once, tells outcomes truly, and leaves no lock with who gave up", () => {
    for (let i = 0; i < 150; i += 1) {
      const seed = `chaos ${i}`;
      const chaos = play(seed, { expiries: false });
      checkOutcomes(chaos, seed);
      checkHolders(chaos, seed);
      for (const { call, id } of chaos.made) {
        // Whoever still waits, waits for the lock.
        if (!call.waitsForOthers) expect(call.isSettled, `${seed} ${id}`).toBe(true);
      }
      const { holder } = chaos.cell;
      if (holder !== undefined) {
        const granted = chaos.made.some(
          ({ call, session }) =>
            call.result?.$case === "acquire" &&
            session.sessionId === holder.sessionId &&
            holder.claims.includes(call.number),
        );
        expect(granted, `${seed}: ${holder.key} was told that it holds the lock`).toBe(true);
      }
      const waiting = chaos.made.filter(({ call }) => !call.isSettled).length;
      if (waiting > 0) expect(holder, `${seed}: who waits waits for somebody`).toBeDefined();
    }
  });

  it("loses only a suffix of a session's operations when it expires (HND-4)", () => {
    for (let i = 0; i < 100; i += 1) {
      const seed = `expiry ${i}`;
      const chaos = play(seed, { expiries: true });
      checkOutcomes(chaos, seed);
      for (const session of chaos.sessions) {
        if (session.state !== "expired") continue;
        const calls = chaos.made.filter((made) => made.session === session);
        const lastAnswered = calls.findLastIndex(({ call }) => call.result !== undefined);
        const firstAfter = calls.slice(lastAnswered + 1);
        for (const { call, id } of firstAfter) {
          expect(call.failure, `${seed} ${id}`).toBeDefined();
        }
      }
    }
  });

  it("does the same for the same seed", () => {
    const trace = (): string =>
      play("again", { expiries: true })
        .made.map(({ call, id }) => `${id} ${call.failure?.code ?? call.result?.$case}`)
        .join("\n");
    expect(trace()).toBe(trace());
  });
});
