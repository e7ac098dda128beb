import { assert, type Instant, type Rng } from "@cubby/base";
import {
  Call,
  ClientCore,
  type ClientInput,
  type ConnectionId,
  type SessionEvent,
  SessionMachine,
} from "@cubby/client/core";
import type { ErrorCode, Reply, Request } from "@cubby/protocol";
import type { Plan } from "./plan.ts";
import { ProcessClock } from "./process-clock.ts";
import { addressOf } from "./replica-process.ts";
import type { Ask, CallAsk, Script, ScriptStart } from "./script.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What a client process asks of the world around it. */
export interface ClientHouse {
  readonly time: VirtualTime;
  readonly plan: Plan;
  connect(process: ClientProcess, connection: ConnectionId, address: string): void;
  send(process: ClientProcess, connection: ConnectionId, request: Request): void;
  disconnect(process: ClientProcess, connection: ConnectionId): void;
  onClientInput(process: ClientProcess, input: ClientInput): void;
  /** It stood still with its machine, and has had a turn since. */
  onResumed(): void;
  onCalled(process: ClientProcess, call: Call): void;
  onSettled(process: ClientProcess, call: Call): void;
  onSession(process: ClientProcess, session: SessionMachine, event: SessionEvent): void;
}

type Task = { readonly script: Script; readonly session: SessionMachine };

const GRACE_PERIOD_MS = 45_000;
const OPEN_WITHIN_MS = 600_000;
const REOPEN_MS = 300;

/**
 * An application with a real client core: some sessions, each with scripts that call the cell. A
 * session that is lost is followed by a new one with the same scripts, as an application would do.
 */
export class ClientProcess {
  readonly id: number;
  readonly name: string;
  readonly #house: ClientHouse;
  readonly #rng: Rng;
  readonly #core: ClientCore;
  readonly #starts: readonly (readonly ScriptStart[])[];
  readonly #startsOf = new Map<SessionMachine, readonly ScriptStart[]>();
  readonly #tasks = new Map<SessionMachine, Set<Task>>();
  readonly #taskOf = new Map<Call, Task>();
  /** Calls whose end nobody has been told yet. */
  readonly #open = new Set<Call>();
  #inbox: ClientInput[] = [];
  #isTurnDue = false;
  #wasSuspended = false;
  isDead = false;
  readonly clock: ProcessClock;

  constructor(
    id: number,
    house: ClientHouse,
    rng: Rng,
    starts: readonly (readonly ScriptStart[])[],
  ) {
    this.id = id;
    this.name = `c${id}`;
    this.#house = house;
    this.#rng = rng;
    const { plan } = house;
    this.clock = new ProcessClock(house.time, rng, plan);
    const addresses = Array.from({ length: plan.replicas }, (_, i) => addressOf(i + 1));
    const seed = `${rng.next32()}`;
    this.#core = new ClientCore({ addresses, cellName: "local", seed });
    this.#starts = starts;
  }

  start(): void {
    for (const starts of this.#starts) this.#openSession(starts);
    this.#scheduleTurn();
  }

  localNow(): Instant {
    return this.clock.now();
  }

  /** Those that are on their way in or out as well. */
  get everySession(): readonly SessionMachine[] {
    return [...this.#startsOf.keys()];
  }

  get sessions(): readonly SessionMachine[] {
    return [...this.#tasks.keys()];
  }

  /** Whether code that runs in this process now may rely on what the session holds. */
  relies(session: SessionMachine): boolean {
    if (session.isOver || session.state === "closing") return false;
    if (this.clock.isSuspended) return false;
    return this.localNow() < session.leaseDeadline;
  }

  /** Everything it knew is gone; its connections are told by whoever carries them. */
  die(): void {
    this.isDead = true;
    this.#tasks.clear();
    this.#taskOf.clear();
    this.#open.clear();
  }

  /** Runs on at once, whatever it was paused for. */
  resume(): void {
    if (!this.clock.resume()) return;
    this.#isTurnDue = false;
    this.#scheduleTurn();
  }

  /** On purpose: locks are freed at once. */
  closeSession(session: SessionMachine): void {
    this.#step({ kind: "closeSession", session, withinMs: 2_000 });
    this.#scheduleTurn();
  }

  onConnected(connection: ConnectionId): void {
    this.#take({ kind: "connected", connection });
  }

  onReply(connection: ConnectionId, reply: Reply): void {
    this.#take({ kind: "reply", connection, reply: this.#withItsWindow(reply) });
  }

  onDisconnected(connection: ConnectionId, code: ErrorCode): void {
    this.#take({ kind: "disconnected", connection, code, detail: "simulated" });
  }

  /** The cell has one window, built in; with a smaller one its client asks for no more than it lets it. */
  #withItsWindow(reply: Reply): Reply {
    const { result } = reply;
    if (result?.$case !== "createSession") return reply;
    const { windowMax } = this.#house.plan;
    return { ...reply, result: { ...result, value: { ...result.value, inFlightMax: windowMax } } };
  }

  #take(input: ClientInput): void {
    if (this.isDead) return;
    this.#inbox.push(input);
    this.#scheduleTurn();
  }

  #scheduleTurn(): void {
    if (this.#isTurnDue || this.isDead) return;
    this.#isTurnDue = true;
    this.clock.nextTurn(() => {
      if (!this.isDead) this.#turn();
    });
  }

  #turn(): void {
    this.#isTurnDue = false;
    const inbox = this.#inbox;
    this.#inbox = [];
    for (const input of inbox) this.#step(input);
    this.#carryOut();
    if (this.#wasSuspended) this.#house.onResumed();
    this.#wasSuspended = false;
  }

  #step(input: ClientInput): void {
    // The shell asks its detector before anything else.
    if (this.clock.takePause().wasSuspended) {
      this.#wasSuspended = true;
      this.#step({ kind: "suspended" });
    }
    this.#house.onClientInput(this, input);
    this.#core.step(this.localNow(), input);
  }

  #carryOut(): void {
    for (let round = 0; ; round += 1) {
      assert(round < 10_000, "the client and its scripts come to rest");
      const output = this.#core.take();
      for (const { session, event } of output.events) this.#onEvent(session, event);
      for (const call of output.settled) this.#onSettled(call);
      for (const connection of output.disconnects) this.#house.disconnect(this, connection);
      for (const { connection, address } of output.connects) {
        this.#house.connect(this, connection, address);
      }
      for (const { connection, request } of output.sends) {
        this.#house.send(this, connection, request);
      }
      if (output.events.length + output.settled.length === 0) {
        this.clock.armWake(output.wakeAt, () => this.#take({ kind: "wake" }));
        return;
      }
    }
  }

  #openSession(starts: readonly ScriptStart[]): void {
    const terms = {
      leaseMs: this.#house.plan.sessionLeaseMs,
      gracePeriodMs: GRACE_PERIOD_MS,
      clientName: this.name,
      openWithinMs: OPEN_WITHIN_MS,
    };
    const rng = this.#core.rngFor(`session ${this.#startsOf.size}`);
    const session = new SessionMachine(terms, rng);
    this.#startsOf.set(session, starts);
    this.#step({ kind: "openSession", session });
  }

  #onEvent(session: SessionMachine, event: SessionEvent): void {
    this.#house.onSession(this, session, event);
    if (event.kind === "opened") {
      const tasks = new Set<Task>();
      this.#tasks.set(session, tasks);
      for (const start of this.#startsOf.get(session) ?? []) {
        const task: Task = { script: start(this, session), session };
        tasks.add(task);
        this.#resume(task, undefined);
      }
      return;
    }
    if (event.kind !== "expired" && event.kind !== "closed" && event.kind !== "failedToOpen")
      return;
    this.#tasks.delete(session);
    const starts = this.#startsOf.get(session);
    if (starts === undefined) return;
    this.#startsOf.delete(session);
    this.#house.time.after(REOPEN_MS + this.#rng.below(REOPEN_MS), () => {
      this.#afterPause(() => this.#openSession(starts));
    });
  }

  #onSettled(call: Call): void {
    this.#open.delete(call);
    this.#house.onSettled(this, call);
    const task = this.#taskOf.get(call);
    if (task === undefined) return;
    this.#taskOf.delete(call);
    this.#resume(task, call);
  }

  /** Lets the script run to its next question. */
  #resume(task: Task, answer: Call | undefined): void {
    const tasks = this.#tasks.get(task.session);
    if (this.isDead || tasks?.has(task) !== true) return;
    const step = task.script.next(answer);
    if (step.done) {
      tasks.delete(task);
      return;
    }
    this.#ask(task, step.value);
  }

  #ask(task: Task, ask: Ask): void {
    const { time } = this.#house;
    switch (ask.kind) {
      case "sleep":
        time.after(ask.ms, () => this.#afterPause(() => this.#resume(task, undefined)));
        return;
      case "closeSession":
        this.closeSession(task.session);
        return;
      case "call":
        this.#taskOf.set(this.#call(task, ask), task);
        return;
      case "start":
        this.#resume(task, this.#call(task, ask.ask));
        return;
      case "settled":
        if (this.#open.has(ask.call)) this.#taskOf.set(ask.call, task);
        else this.#resume(task, ask.call);
        return;
    }
  }

  #call({ session }: Task, { body, guard, timeoutMs, giveUpAfterMs, about }: CallAsk): Call {
    const call = new Call(session, body, { guard, timeoutMs, context: about });
    this.#open.add(call);
    this.#house.onCalled(this, call);
    this.#step({ kind: "call", call });
    if (giveUpAfterMs !== undefined) this.#giveUpLater(call, giveUpAfterMs);
    return call;
  }

  #giveUpLater(call: Call, ms: number): void {
    this.#house.time.after(ms, () => {
      this.#afterPause(() => {
        if (call.isSettled) return;
        this.#step({ kind: "giveUp", call, code: "cancelled", detail: "given up" });
      });
    });
  }

  /** What a timer of the application runs: not while the process stands still. */
  #afterPause(run: () => void): void {
    this.clock.onceRunning(() => {
      if (this.isDead) return;
      run();
      this.#scheduleTurn();
    });
  }
}
