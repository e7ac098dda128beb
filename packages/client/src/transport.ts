import { randomBytes } from "node:crypto";
import { type Instant, NEVER, toHex } from "@cubby/base";
import type { ErrorCode, Reply } from "@cubby/protocol";
import { monotonicNow, SuspendDetector } from "./clock.ts";
import { ConnectAttempts } from "./connect-attempts.ts";
import { Connection, type ConnectionListener } from "./connection.ts";
import type { CellAddress } from "./core/cell-address.ts";
import { ClientCore, type ClientInput } from "./core/client-core.ts";
import { type SessionEvent, SessionMachine, type SessionOptions } from "./core/session-machine.ts";
import { PendingCall } from "./pending-call.ts";

const WATCHDOG_MS = 1_000;
/** Longest delay that a timer takes. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * The shell around a ClientCore: sockets, one timer, the clock. Sessions that share it share its
 * connection. Nothing here decides anything.
 */
export class Transport implements ConnectionListener {
  readonly #core: ClientCore;
  readonly #onEvent = new Map<SessionMachine, (event: SessionEvent) => void>();
  readonly #connections = new Map<number, Connection>();
  readonly #unflushed = new Set<Connection>();
  readonly #attempts = new ConnectAttempts();
  readonly #suspend = new SuspendDetector();
  #watchdog: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAt: Instant = NEVER;
  #isTurnScheduled = false;
  #sessionSerial = 0;

  constructor(address: CellAddress) {
    this.#core = new ClientCore({
      addresses: address.endpoints,
      cellName: address.cellName,
      seed: toHex(randomBytes(16)),
    });
  }

  get sessionCount(): number {
    return this.#core.sessionCount;
  }

  /** The cell's name, as a replica told it; empty before any has. */
  get cellName(): string {
    return this.#core.cellName;
  }

  openSession(options: SessionOptions, onEvent: (event: SessionEvent) => void): SessionMachine {
    this.#sessionSerial += 1;
    const session = new SessionMachine(options, this.#core.rngFor(`${this.#sessionSerial}`));
    this.#onEvent.set(session, onEvent);
    // A sleep before there was any session is held against none: nobody has looked since.
    if (this.#core.sessionCount === 0) this.#suspend.hasSlept();
    this.step({ kind: "openSession", session });
    return session;
  }

  /** Takes effect with the present turn of the event loop: what a turn asks for leaves as one. */
  step(input: ClientInput): void {
    this.#core.step(monotonicNow(), input);
    this.#scheduleTurn();
  }

  /** Looks for a sleep of the machine now instead of at the next poll. */
  checkSuspend(): void {
    if (!this.#suspend.hasSlept()) return;
    this.#core.step(monotonicNow(), { kind: "suspended" });
    this.#scheduleTurn();
  }

  onLookedUp(connection: number): void {
    this.#stepAndCarryOut({ kind: "lookedUp", connection });
  }

  onConnected(connection: number): void {
    const made = this.#connections.get(connection);
    if (made !== undefined) this.#attempts.onMade(made.address);
    this.#stepAndCarryOut({ kind: "connected", connection });
  }

  onHeard(connection: number): void {
    // It asks for nothing: whatever was overdue without it looks again when its timer runs.
    this.#core.step(monotonicNow(), { kind: "heard", connection });
  }

  onReplies(connection: number, replies: readonly Reply[]): void {
    // The replies are in memory: only now is it late enough to look at the clock.
    const now = monotonicNow();
    for (const reply of replies) this.#core.step(now, { kind: "reply", connection, reply });
    this.#carryOut();
  }

  onClosed(connection: number, code: ErrorCode, detail: string): void {
    this.#forget(connection);
    this.#stepAndCarryOut({ kind: "disconnected", connection, code, detail });
  }

  #stepAndCarryOut(input: ClientInput): void {
    this.#core.step(monotonicNow(), input);
    this.#carryOut();
  }

  #scheduleTurn(): void {
    if (this.#isTurnScheduled) return;
    this.#isTurnScheduled = true;
    setImmediate(() => this.#onTurn());
  }

  #onTurn(): void {
    this.#isTurnScheduled = false;
    this.#carryOut();
    for (const connection of this.#unflushed) connection.flush();
    this.#unflushed.clear();
  }

  #carryOut(): void {
    const output = this.#core.take();
    for (const { connection, address } of output.connects) {
      const attemptMs = this.#attempts.msFor(address);
      this.#connections.set(connection, new Connection(connection, address, this, attemptMs));
    }
    for (const { connection: id, request } of output.sends) {
      const connection = this.#connections.get(id);
      if (connection === undefined) continue;
      connection.send(request);
      this.#unflushed.add(connection);
    }
    if (this.#unflushed.size > 0) this.#scheduleTurn();
    for (const id of output.disconnects) this.#disconnect(id);
    this.#arm(output.wakeAt);
    for (const { session, event } of output.events) this.#announce(session, event);
    for (const call of output.settled) {
      if (call.context instanceof PendingCall) call.context.settle(call);
    }
    this.#watch();
  }

  #announce(session: SessionMachine, event: SessionEvent): void {
    this.#onEvent.get(session)?.(event);
    // By the event, not by the session's state: that may be over with more to be told (SES-12).
    if (isLast(event)) this.#onEvent.delete(session);
  }

  #disconnect(id: number): void {
    const connection = this.#forget(id);
    if (connection === undefined) return;
    connection.flush();
    this.#unflushed.delete(connection);
    connection.close();
  }

  #forget(id: number): Connection | undefined {
    const connection = this.#connections.get(id);
    if (connection?.hasConnected === false) this.#attempts.onFailed(connection.address);
    this.#connections.delete(id);
    return connection;
  }

  #arm(wakeAt: Instant): void {
    // A timer that is too early only looks and is armed again; that is cheaper than moving it.
    if (this.#timer !== undefined && this.#timerAt <= wakeAt) {
      if (wakeAt !== NEVER) return;
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    if (wakeAt === NEVER) return;
    clearTimeout(this.#timer);
    this.#timerAt = wakeAt;
    const delayMs = Math.max(0, wakeAt - monotonicNow());
    this.#timer = setTimeout(() => this.#onTimer(), Math.min(delayMs, TIMER_MS_MAX));
  }

  #onTimer(): void {
    this.#timer = undefined;
    // After a stall the answers lie in the sockets: they are read before anything is overdue.
    setImmediate(() => {
      this.#noticeSuspend();
      this.#stepAndCarryOut({ kind: "wake" });
    });
  }

  #noticeSuspend(): void {
    if (this.#suspend.hasSlept()) this.#core.step(monotonicNow(), { kind: "suspended" });
  }

  /** Polls for suspension while there is a session. The poll alone keeps no process alive. */
  #watch(): void {
    const isNeeded = this.#core.sessionCount > 0;
    // With no session left, what the timer was set for has no one to wait for it.
    if (isNeeded) this.#timer?.ref();
    else this.#timer?.unref();
    if (isNeeded && this.#watchdog === undefined) {
      this.#watchdog = setInterval(() => this.checkSuspend(), WATCHDOG_MS).unref();
    } else if (!isNeeded && this.#watchdog !== undefined) {
      clearInterval(this.#watchdog);
      this.#watchdog = undefined;
    }
  }
}

function isLast({ kind }: SessionEvent): boolean {
  return kind === "expired" || kind === "closed" || kind === "failedToOpen";
}
