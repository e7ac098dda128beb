import { after, assert, type Instant, instant, toHex, utf8Encode } from "@cubby/base";
import { type Ballot, ballotText, compareBallots, type ReplicaId, ZERO_BALLOT } from "../ballot.ts";
import { isCommand } from "../log-entry.ts";
import { encodeMessage } from "../message-codec.ts";
import type { HeartbeatReplyMessage, PaxosMessage } from "../messages.ts";
import type { PaxosOptions } from "../options.ts";
import type { PaxosEvent, Send } from "../outbox.ts";
import { PaxosReplica } from "../paxos-replica.ts";
import type { PaxosRecord } from "../record.ts";
import { Violation } from "./checkers.ts";
import { SimulatedDisk } from "./simulated-disk.ts";

/** So often an election is tried: who is bound, or waits for its disk, does not stand. */
const STAND_TRIES = 40;

/** Where clocks are of no account: how long a restart takes, and timers run. */
const RESTART_MS = 10;
const TICK_MS = 250;

/** Lives that are kept beside their states, in place of being lived again. */
const LIVES_MAX = 10_000;

export type Packet = {
  readonly id: number;
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  readonly message: PaxosMessage;
  readonly text: string;
};

export type Answer = Omit<HeartbeatReplyMessage, "kind" | "round">;

/** What can happen to one replica. `text` names it, and all that it depends on. */
export type Stimulus = { readonly text: string } & (
  | { readonly kind: "deliver"; readonly packet: Packet }
  | { readonly kind: "persist" }
  /** The process ends, so many of the records being written survive, and it starts again. */
  | { readonly kind: "crash"; readonly keeps: number }
  /** Nobody answers for a leader, and this one stands. */
  | { readonly kind: "stand" }
  /** Timers run, and heartbeats are answered. */
  | { readonly kind: "tick"; readonly answers: ReadonlyMap<ReplicaId, Answer> }
  | { readonly kind: "propose"; readonly command: string }
  | { readonly kind: "handOver" }
);

/** What the world knows of one replica by what left it; this outlives the process. */
type Said = {
  promised: Ballot;
  accepted: { readonly ballot: Ballot; readonly length: number };
  /** Ballots that this life led in, and those of earlier ones. */
  ballots: readonly string[];
  formerBallots: readonly string[];
};

type Start = {
  readonly replica: ReplicaId;
  readonly records: readonly PaxosRecord[];
  readonly clock: Instant;
  readonly said: Said;
};

/** One replica between two inputs. */
export type ReplicaState = {
  readonly id: number;
  readonly replica: ReplicaId;
  readonly clock: Instant;
  readonly role: string;
  /** What it answers to heartbeats. */
  readonly answer: Answer;
  /** Records under way to its disk. */
  readonly writing: number;
  /** Its durable log, as it would be recovered. */
  readonly disk: { readonly acceptedBallot: Ballot; readonly entries: readonly string[] };
  /** It believes to hold the master lease until then. */
  readonly leaseUntil: Instant | undefined;
  /** Until when it can promise nothing to anybody but this replica. */
  readonly boundTo: ReadonlyMap<ReplicaId, Instant>;
  readonly boundUntil: Instant;
  readonly cameBy:
    | { readonly start: Start }
    | { readonly before: ReplicaState; readonly stimulus: Stimulus; readonly now: Instant };
  readonly steps: Map<string, Step | undefined>;
};

export type Step = {
  readonly state: ReplicaState;
  readonly packets: readonly Packet[];
  readonly chosen: readonly { readonly slot: number; readonly command: string }[];
};

export type AutomatonOptions = {
  readonly ids: readonly ReplicaId[];
  readonly paxos: Partial<PaxosOptions> & { readonly leaseMs: number };
  /** Master leases are played: their messages travel, and time is what the caller says. */
  readonly leases: boolean;
};

/** One life of a replica: the production class, its disk, and what leaves it. */
class Life {
  readonly #options: AutomatonOptions;
  readonly #replica: ReplicaId;
  readonly #engine: PaxosReplica;
  readonly #said: Said;
  readonly #disk: SimulatedDisk;
  #issued = 0;
  #persisted = 0;
  #held: { readonly after: number; readonly sends: readonly Send[] }[] = [];
  #asked: { readonly to: ReplicaId; readonly round: number }[] = [];
  #wakeAt: Instant;
  #leaseUntil: Instant | undefined;
  #clock: Instant;
  #sends: Send[] = [];
  #chosen: { slot: number; command: string }[] = [];

  constructor(options: AutomatonOptions, { replica, records, clock, said }: Start) {
    this.#options = options;
    this.#replica = replica;
    this.#disk = new SimulatedDisk(records);
    this.#said = { ...said, ballots: [], formerBallots: [...said.formerBallots, ...said.ballots] };
    const recovered = this.#disk.recover();
    const { ballot, length } = said.accepted;
    const order = compareBallots(recovered.acceptedBallot, ballot);
    // Invariant 3, across restarts.
    if (compareBallots(recovered.promised, said.promised) < 0) {
      throw new Violation(`${replica} has forgotten its promise ${ballotText(said.promised)}`);
    }
    if (order < 0 || (order === 0 && recovered.entries.length < length)) {
      throw new Violation(`${replica} has forgotten what it accepted in ${ballotText(ballot)}`);
    }
    this.#clock = clock;
    this.#wakeAt = clock;
    const { ids: members, paxos } = options;
    const own = { self: replica, incarnation: `i${replica}`, members, seed: "exhaustive" };
    this.#engine = new PaxosReplica({ ...paxos, ...own }, recovered, clock);
  }

  /** False if it cannot happen here. */
  apply(stimulus: Exclude<Stimulus, { kind: "crash" }>, now: Instant): boolean {
    this.#sends = [];
    this.#chosen = [];
    this.#asked = [];
    this.#clock = now;
    switch (stimulus.kind) {
      case "deliver": {
        const { from, message } = stimulus.packet;
        this.#step({ kind: "message", from, incarnation: `i${from}`, message });
        return true;
      }
      case "persist":
        this.#persist();
        return true;
      case "propose":
        this.#step({ kind: "propose", entries: [utf8Encode(stimulus.command)] });
        return true;
      case "handOver":
        this.#step({ kind: "handOver" });
        return this.#sends.some(({ message }) => message.kind === "invite");
      case "stand":
        return this.#stand();
      case "tick":
        this.#tick(stimulus.answers, after(now, this.#options.leases ? 0 : TICK_MS));
        return true;
      default:
        return false;
    }
  }

  /** What the next life starts from. */
  crash(keeps: number, now: Instant): Start {
    const records = [...this.#disk.records, ...this.#disk.writing.slice(0, keeps)];
    const clock = after(now, this.#options.leases ? 0 : RESTART_MS);
    return { replica: this.#replica, records, clock, said: { ...this.#said } };
  }

  get sends(): readonly Send[] {
    return this.#sends;
  }

  get chosen(): readonly { readonly slot: number; readonly command: string }[] {
    return this.#chosen;
  }

  /** All that the future depends on, as text. */
  get digest(): string {
    const counts = [this.#issued, this.#persisted];
    const times = [this.#clock, this.#wakeAt, this.#leaseUntil];
    const all = [this.#replica, this.#engine, this.#said, this.#held, this.#disk, counts, times];
    return digestOf(all);
  }

  facts(): Omit<ReplicaState, "id" | "cameBy" | "steps"> {
    const status = this.#engine.status();
    const { own: ballot, follows: leader, happy } = status.election;
    const { acceptedBallot, entries } = this.#disk.recover();
    const texts = entries.map((entry) => (isCommand(entry) ? toHex(entry) : "control"));
    const { ids } = this.#options;
    return {
      replica: this.#replica,
      clock: this.#clock,
      role: status.role,
      answer: { ballot, leader, happy },
      writing: this.#disk.writing.length,
      disk: { acceptedBallot, entries: texts },
      leaseUntil: this.#leaseUntil,
      boundTo: new Map(ids.map((id) => [id, this.#engine.boundToUntil(id)])),
      boundUntil: status.grantUntil,
    };
  }

  #persist(): void {
    this.#persisted = this.#disk.end();
    const done = this.#held.filter((held) => held.after <= this.#persisted);
    this.#held = this.#held.slice(done.length);
    for (const send of done.flatMap(({ sends }) => sends)) this.#leave(send);
    if (this.#disk.hasWork) this.#disk.begin();
    this.#step({ kind: "persisted", through: this.#persisted });
  }

  /** Heartbeats carry no safety, so the search plays those who answer: here, discontented ones. */
  #stand(): boolean {
    const before = this.#engine.status().election.own;
    for (let tries = 0; tries < STAND_TRIES; tries += 1) {
      if (this.#wakeAt > this.#clock) this.#clock = this.#wakeAt;
      this.#step({ kind: "wake" });
      this.#hear((peer) => {
        const ballot = { ...ZERO_BALLOT, replica: peer };
        return { ballot, leader: ZERO_BALLOT, happy: false };
      });
      if (compareBallots(this.#engine.status().election.own, before) > 0) return true;
    }
    return false;
  }

  #tick(answers: ReadonlyMap<ReplicaId, Answer>, until: Instant): void {
    do {
      if (this.#wakeAt > this.#clock && this.#wakeAt <= until) this.#clock = this.#wakeAt;
      this.#step({ kind: "wake" });
      this.#hear((peer) => answers.get(peer));
    } while (this.#wakeAt > this.#clock && this.#wakeAt <= until);
  }

  #hear(answerOf: (peer: ReplicaId) => Answer | undefined): void {
    const asked = this.#asked;
    this.#asked = [];
    for (const { to, round } of asked) {
      const answer = answerOf(to);
      if (answer === undefined) continue;
      const message = { kind: "heartbeatReply", round, ...answer } as const;
      this.#step({ kind: "message", from: to, incarnation: `i${to}`, message });
    }
  }

  #step(input: Parameters<PaxosReplica["step"]>[1]): void {
    this.#engine.step(this.#clock, input);
    const output = this.#engine.take();
    for (const send of output.sends) this.#leave(send);
    this.#issued += output.records.length;
    this.#disk.add(output.records);
    const sends = output.sendsAfterPersist;
    if (this.#persisted === this.#issued) for (const send of sends) this.#leave(send);
    else if (sends.length > 0) this.#held.push({ after: this.#issued, sends });
    if (this.#disk.hasWork) this.#disk.begin();
    for (const event of output.events) this.#onEvent(event);
    for (const event of output.trace) {
      if (event.kind === "impossibleClaim") throw new Violation(`${event.from}: ${event.claim}`);
    }
    this.#wakeAt = output.wakeAt;
  }

  #onEvent(event: PaxosEvent): void {
    if (event.kind === "leading") this.#leaseUntil = event.leaseUntil;
    if (event.kind === "following") this.#leaseUntil = undefined;
    if (event.kind === "chosen") {
      this.#chosen.push({ slot: event.slot, command: toHex(event.command) });
    }
  }

  #leave(send: Send): void {
    const { message, to } = send;
    if (message.kind === "heartbeatRequest") this.#asked.push({ to, round: message.round });
    if (!("ballot" in message) || message.kind === "heartbeatReply") return;
    if (message.kind.startsWith("lease") && !this.#options.leases) return;
    this.#note(message);
    this.#sends.push(send);
  }

  /** Invariants 3 and 4, of what leaves. */
  #note(message: PaxosMessage & { readonly ballot: Ballot }): void {
    const said = this.#said;
    const { ballot, kind } = message;
    const text = ballotText(ballot);
    if (kind === "promise" && compareBallots(ballot, said.promised) > 0) said.promised = ballot;
    if (kind === "accepted") said.accepted = { ballot, length: message.length };
    if (kind === "accepted" || kind === "leaseGrant") {
      if (compareBallots(ballot, said.promised) >= 0) return;
      throw new Violation(`${this.#replica} backs ${text} below its promise`);
    }
    if (kind === "prepare" && !said.ballots.includes(text)) {
      said.ballots = [...said.ballots, text];
      if (!said.formerBallots.includes(text)) return;
      throw new Violation(`${this.#replica} leads in ${text}, as an earlier life of it did`);
    }
  }
}

/**
 * One replica as an automaton that is found out as it is asked for. What it does next follows from
 * its state, so the production class takes each step once, however many schedules share it.
 */
export class ReplicaAutomaton {
  readonly #options: AutomatonOptions;
  readonly #states = new Map<string, ReplicaState>();
  readonly #packets = new Map<string, Packet>();
  /** The life that is in this state now; any other is lived again. */
  readonly #lives = new Map<ReplicaState, Life>();

  constructor(options: AutomatonOptions) {
    this.#options = options;
  }

  get stateCount(): number {
    return this.#states.size;
  }

  /** A replica of a cell that was formed, knows the length of its lease, and has done nothing yet. */
  initial(replica: ReplicaId): ReplicaState {
    const { ids, paxos } = this.#options;
    const members = ids.map((id) => ({ replica: id, incarnation: `i${id}` }));
    const checkpoint = {
      kind: "checkpoint",
      promised: ZERO_BALLOT,
      acceptedBallot: ZERO_BALLOT,
      chosen: 0,
      grantMaxMs: 0,
      leaseMs: paxos.leaseMs,
      genesis: { members, complete: true },
      firstSlot: 1,
      entries: [],
    } as const;
    const accepted = { ballot: ZERO_BALLOT, length: 0 };
    const said = { promised: ZERO_BALLOT, accepted, ballots: [], formerBallots: [] };
    const start = { replica, records: [checkpoint], clock: instant(1_000), said };
    return this.#add(new Life(this.#options, start), { start });
  }

  /** Undefined if it cannot happen; throws what it breaks. */
  step(state: ReplicaState, stimulus: Stimulus, at: Instant): Step | undefined {
    const now = at > state.clock ? at : state.clock;
    const key = `${now} ${stimulus.text}`;
    if (state.steps.has(key)) return state.steps.get(key);
    const step = this.#find(state, stimulus, now);
    state.steps.set(key, step);
    return step;
  }

  #find(before: ReplicaState, stimulus: Stimulus, now: Instant): Step | undefined {
    const life = this.#lives.get(before) ?? this.#relive(before);
    if (stimulus.kind === "crash") {
      const start = life.crash(stimulus.keeps, now);
      const state = this.#add(new Life(this.#options, start), { start });
      return { state, packets: [], chosen: [] };
    }
    this.#lives.delete(before);
    if (!life.apply(stimulus, now)) return undefined;
    const packets = life.sends.map((send) => this.#packet(before.replica, send));
    return { state: this.#add(life, { before, stimulus, now }), packets, chosen: life.chosen };
  }

  #add(life: Life, cameBy: ReplicaState["cameBy"]): ReplicaState {
    const { digest } = life;
    const known = this.#states.get(digest);
    if (known !== undefined) return known;
    const steps = new Map<string, Step | undefined>();
    const state = { ...life.facts(), id: this.#states.size, cameBy, steps };
    this.#states.set(digest, state);
    this.#lives.set(state, life);
    const [oldest] = this.#lives.keys();
    if (oldest !== undefined && this.#lives.size > LIVES_MAX) this.#lives.delete(oldest);
    return state;
  }

  #relive({ cameBy }: ReplicaState): Life {
    if ("start" in cameBy) return new Life(this.#options, cameBy.start);
    const life = this.#relive(cameBy.before);
    assert(cameBy.stimulus.kind !== "crash", "a crash begins another life");
    life.apply(cameBy.stimulus, cameBy.now);
    return life;
  }

  #packet(from: ReplicaId, { to, message }: Send): Packet {
    const key = `${from} ${to} ${toHex(encodeMessage(message))}`;
    const known = this.#packets.get(key);
    if (known !== undefined) return known;
    const ballot = "ballot" in message ? ` ${ballotText(message.ballot)}` : "";
    const id = this.#packets.size;
    const text = `${from} to ${to}: ${message.kind}${ballot} (#${id})`;
    const packet = { id, from, to, message, text };
    this.#packets.set(key, packet);
    return packet;
  }
}

/** Equal texts, equal objects. It reads fields, private ones too where they were made visible. */
function digestOf(root: unknown): string {
  const seen = new Map<object, number>();
  const parts: string[] = [];
  const walk = (value: unknown): void => {
    assert(typeof value !== "function", "what a function holds cannot be read");
    if (typeof value !== "object" || value === null) {
      parts.push(String(value));
      return;
    }
    const at = seen.get(value);
    parts.push(at === undefined ? "(" : `@${at}`);
    if (at !== undefined) return;
    seen.set(value, seen.size);
    if (value instanceof Uint8Array) parts.push(toHex(value));
    else for (const each of fieldsOf(value)) walk(each);
    parts.push(")");
  };
  walk(root);
  return parts.join(" ");
}

function fieldsOf(value: object): unknown[] {
  if (value instanceof Map || value instanceof Set) return [...value];
  const fields = Object.values(value);
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
  assert(isPlain || fields.length > 0, "private fields were made visible when this was bundled");
  return fields;
}
