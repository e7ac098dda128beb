import { type Instant, instant } from "@cubby/base";
import { ballotText, compareBallots, type ReplicaId, replicaId } from "../ballot.ts";
import {
  type Answer,
  type Packet,
  ReplicaAutomaton,
  type ReplicaState,
  type Stimulus,
} from "./replica-automaton.ts";

const IDS = [replicaId(1), replicaId(2), replicaId(3)] as const;
const QUORUM = 2;

/** What has a limit in each schedule; deliveries and writes have none. */
const KINDS = ["stand", "propose", "crash", "tick", "handOver", "drop", "copy", "time"] as const;
type Kind = (typeof KINDS)[number];

export type Setup = {
  /** Links keep their order and end with a process, or any packet may come next, however late. */
  readonly links: "in order" | "in any order";
  readonly budget: Partial<Record<Kind, number>>;
  /** Who may stand for election. */
  readonly candidates: readonly number[];
  /** What replica 1 does first, each time until nothing is under way any more. */
  readonly begin?: readonly ("stand" | "propose")[];
  /** With master leases, and each replica's clock at this rate of true time. */
  readonly rates?: readonly number[];
  /** Schedules are no longer than this. */
  readonly stepsMax?: number;
  readonly statesMax?: number;
};

export type Found = {
  readonly states: number;
  readonly steps: number;
  /** States of single replicas. */
  readonly replicaStates: number;
  /** The steps of the longest schedule. */
  readonly depth: number;
  /** Nothing is left within the budget. */
  readonly isComplete: boolean;
  /** In how many states it was so. */
  readonly seen: ReadonlyMap<string, number>;
  /** What was broken, and the shortest schedule that breaks it. */
  readonly violation: string | undefined;
};

type Trail = { readonly before: Trail | undefined; readonly text: string };

/** The cell at one moment: all that what comes next depends on, and how it came there. */
type World = {
  readonly replicas: readonly ReplicaState[];
  readonly packets: readonly Packet[];
  /** Over all time, by slot. */
  readonly chosen: string[];
  /** How often each kind may happen still. */
  readonly left: readonly number[];
  /** True time in ms, where that is played. */
  readonly at: number;
  readonly trail: Trail | undefined;
};

/** Elections take next to no time beside a lease, and a lease that is not played none at all. */
const WITH_LEASES = {
  leaseMs: 1_000,
  driftPerMille: 100,
  roundMs: 1,
  electionTimeoutMs: 2,
  electionTimeoutMsMax: 2,
};
const WITHOUT_LEASES = { leaseMs: 1, leaseRenewMs: 1, driftPerMille: 0 };

/** More than a division loses. */
const TINY = 1e-6;

/** All that can happen to three replicas within a budget, each state once, the nearest first. */
export class ExhaustiveSearch {
  readonly #setup: Setup;
  readonly #automaton: ReplicaAutomaton;
  readonly #reached = Array.from({ length: 64 }, () => new Set<number>());
  readonly #texts = new Map<string, number>();
  readonly #seen = new Map<string, number>();
  #next: World[] = [];
  #violation: string | undefined;
  #states = 0;
  #steps = 0;

  constructor(setup: Setup) {
    this.#setup = setup;
    const leases = setup.rates !== undefined;
    const paxos = leases ? WITH_LEASES : WITHOUT_LEASES;
    this.#automaton = new ReplicaAutomaton({ ids: IDS, paxos, leases });
  }

  run(): Found {
    const { stepsMax = 1_000, statesMax = 1e8 } = this.#setup;
    this.#begin();
    let depth = 0;
    while (this.#next.length > 0 && this.#goesOn(statesMax) && depth < stepsMax) {
      const worlds = this.#next;
      this.#next = [];
      for (const world of worlds) if (this.#goesOn(statesMax)) this.#expand(world);
      if (this.#next.length > 0) depth += 1;
    }
    return {
      states: this.#states,
      steps: this.#steps,
      replicaStates: this.#automaton.stateCount,
      depth,
      isComplete: this.#next.length === 0 && this.#goesOn(statesMax),
      seen: this.#seen,
      violation: this.#violation,
    };
  }

  #goesOn(statesMax: number): boolean {
    return this.#violation === undefined && this.#states < statesMax;
  }

  #begin(): void {
    const replicas = IDS.map((id) => this.#automaton.initial(id));
    const left = KINDS.map((kind) => this.#setup.budget[kind] ?? 0);
    const start = { replicas, packets: [], chosen: [], left, at: 1_000, trail: undefined };
    this.#reach(start, "");
    for (const kind of this.#setup.begin ?? []) {
      const what = kind === "stand" ? { kind } : { kind, command: "first" };
      this.#advance((world) => this.#take(world, 0, { ...what, text: `1: ${kind}` }));
      while (this.#advance((world) => this.#settle(world)));
    }
  }

  /** Goes on from the one world that there is; false if nothing can happen in it. */
  #advance(act: (world: World) => void): boolean {
    const [world] = this.#next;
    if (world === undefined) return false;
    this.#next = [];
    act(world);
    if (this.#next.length > 0) return true;
    this.#next = [world];
    return false;
  }

  #settle(world: World): void {
    const [packet] = world.packets;
    const busy = world.replicas.findIndex(({ writing }) => writing > 0);
    if (busy >= 0) this.#take(world, busy, persist(busy));
    else if (packet !== undefined) this.#deliver(without(world, packet), packet);
  }

  #expand(world: World): void {
    for (const [index, state] of world.replicas.entries()) this.#disturb(world, index, state);
    const inOrder = this.#setup.links === "in order";
    for (const [at, packet] of world.packets.entries()) {
      const last = world.packets[at - 1];
      if (last !== undefined && (inOrder ? sameLink(last, packet) : last === packet)) continue;
      this.#deliver(without(world, packet), packet);
      this.#spend(world, "drop", (next) =>
        this.#reach(without(next, packet), `lost: ${packet.text}`),
      );
      this.#spend(world, "copy", (next) => this.#deliver(next, packet));
    }
    if (this.#setup.rates !== undefined) {
      this.#spend(world, "time", (next) => this.#passTime(next));
    }
  }

  /** What can happen to one replica beside messages. */
  #disturb(world: World, index: number, state: ReplicaState): void {
    const { replica, role, writing } = state;
    const { candidates, rates } = this.#setup;
    const maybe = (stimulus: Stimulus & { readonly kind: Kind }): void => {
      this.#spend(world, stimulus.kind, (next) => this.#take(next, index, stimulus));
    };
    if (writing > 0) this.#take(world, index, persist(index));
    if (role === "follower" && candidates.includes(replica)) {
      maybe({ kind: "stand", text: `${replica} stands for election` });
    }
    if (role === "leading") {
      const command = `c${world.left[KINDS.indexOf("propose")]}`;
      maybe({ kind: "propose", command, text: `${replica} proposes ${command}` });
      maybe({ kind: "handOver", text: `${replica} hands over` });
    }
    for (let keeps = 0; keeps <= writing; keeps += 1) {
      const text = `${replica} crashes and starts, with ${keeps} of ${writing} records under way`;
      maybe({ kind: "crash", keeps, text });
    }
    if (role === "follower" && rates === undefined) return;
    const answers = new Map<ReplicaId, Answer>();
    let text = `${replica} lets its timers run, and hears`;
    for (const { replica: peer, answer } of world.replicas) {
      if (peer === replica) continue;
      answers.set(peer, answer);
      const { ballot, leader, happy } = answer;
      text += ` ${peer} (${ballotText(ballot)}, ${happy ? "" : "un"}happy with ${ballotText(leader)})`;
    }
    maybe({ kind: "tick", answers, text });
  }

  /** To the next moment at which a lease or a grant ends, by the clock of whoever relies on it. */
  #passTime(world: World): void {
    const edges = world.replicas.flatMap(({ boundUntil, leaseUntil = boundUntil }, index) => [
      this.#trueTime(index, boundUntil),
      this.#trueTime(index, leaseUntil),
    ]);
    const at = Math.min(...edges.filter((edge) => edge > world.at));
    if (at < Number.POSITIVE_INFINITY) this.#reach({ ...world, at }, `it is ${at.toFixed(1)} now`);
  }

  #trueTime(index: number, local: Instant): number {
    return local / (this.#setup.rates?.[index] ?? 1) + TINY;
  }

  #spend(world: World, kind: Kind, act: (next: World) => void): void {
    const at = KINDS.indexOf(kind);
    const count = world.left[at] ?? 0;
    if (count > 0) act({ ...world, left: world.left.with(at, count - 1) });
  }

  #deliver(world: World, packet: Packet): void {
    this.#take(world, packet.to - 1, { kind: "deliver", packet, text: packet.text });
  }

  /** One replica takes a step, and what it sent is under way. */
  #take(world: World, index: number, stimulus: Stimulus): void {
    const state = world.replicas[index];
    if (state === undefined) return;
    const rate = this.#setup.rates?.[index];
    const now = rate === undefined ? state.clock : instant(Math.floor(world.at * rate));
    const inOrder = this.#setup.links === "in order";
    try {
      const step = this.#automaton.step(state, stimulus, now);
      if (step === undefined) return;
      let { packets, at } = world;
      if (stimulus.kind === "crash" && inOrder) {
        packets = packets.filter(({ to }) => to !== state.replica);
      }
      if (step.packets.length > 0) {
        packets = [...packets, ...step.packets].sort(inOrder ? byLink : byId);
      }
      if (rate !== undefined) at = Math.max(at, this.#trueTime(index, step.state.clock));
      const chosen = step.chosen.length === 0 ? world.chosen : [...world.chosen];
      for (const { slot, command } of step.chosen) {
        chosen[slot] ??= command;
        // Invariant 1.
        if (chosen[slot] !== command) throw new Error(`slot ${slot} is chosen with two values`);
      }
      const replicas = world.replicas.with(index, step.state);
      const { left, trail } = world;
      this.#reach({ replicas, packets, chosen, left, at, trail }, stimulus.text);
    } catch (error) {
      this.#fail(world, stimulus.text, error instanceof Error ? error.message : String(error));
    }
  }

  #reach(world: World, text: string): void {
    this.#steps += 1;
    if (!this.#isNew(world)) return;
    this.#states += 1;
    const broken = lostChoice(world) ?? this.#brokenLease(world);
    if (broken !== undefined) this.#fail(world, text, broken);
    this.#next.push({ ...world, trail: { before: world.trail, text } });
  }

  #fail(world: World, text: string, broken: string): void {
    if (this.#violation !== undefined) return;
    const lines = [text];
    for (let { trail } = world; trail !== undefined; trail = trail.before) lines.push(trail.text);
    this.#violation = [broken, ...lines.reverse().filter((line) => line !== "")].join("\n  ");
  }

  /** Invariant 8: one master at one true time, and a quorum bound to it until its lease ends. */
  #brokenLease({ replicas, at, chosen }: World): string | undefined {
    this.#count(`${chosen.filter((command) => command !== undefined).length} chosen`);
    for (const { role, replica } of replicas)
      if (role === "leading") this.#count(`${replica} leads`);
    if (this.#setup.rates === undefined) return undefined;
    let master: ReplicaId | undefined;
    for (const [index, { replica, leaseUntil }] of replicas.entries()) {
      if (leaseUntil === undefined) continue;
      const until = this.#trueTime(index, leaseUntil) - 2 * TINY;
      if (until <= at) continue;
      this.#count(`${replica} is master`);
      if (master !== undefined) return `${master} and ${replica} are masters at once`;
      master = replica;
      const bound = replicas.filter(({ boundTo }, other) => {
        return this.#trueTime(other, boundTo.get(replica) ?? instant(0)) >= until;
      });
      if (bound.length < QUORUM) return `${replica} is master beyond what a quorum granted`;
    }
    return undefined;
  }

  #count(what: string): void {
    this.#seen.set(what, (this.#seen.get(what) ?? 0) + 1);
  }

  /** By a hash of 53 bits over all that the future depends on. */
  #isNew({ replicas, packets, chosen, left, at }: World): boolean {
    const text = chosen.join();
    const textId = this.#texts.get(text) ?? this.#texts.size;
    this.#texts.set(text, textId);
    let low = 0x9e3779b1;
    let high = 0x85ebca77;
    const mix = (value: number): void => {
      low = Math.imul(low ^ value, 0x85ebca6b);
      low ^= low >>> 15;
      high = Math.imul(high ^ value, 0xc2b2ae35);
      high ^= (high >>> 13) ^ low;
    };
    for (const { id } of replicas) mix(id);
    for (const { id } of packets) mix(id);
    for (const count of left) mix(count);
    mix(textId);
    mix(Math.round(at * 1_000));
    const hash = (high >>> 11) * 2 ** 32 + (low >>> 0);
    const shard = this.#reached[hash % this.#reached.length];
    if (shard?.has(hash)) return false;
    shard?.add(hash);
    return true;
  }
}

/** Invariant 2, read off the disks: whichever quorum elects, its freshest log has all that was chosen. */
function lostChoice({ replicas, chosen }: World): string | undefined {
  if (chosen.length === 0) return undefined;
  for (const a of replicas) {
    for (const b of replicas) {
      const order = compareBallots(a.disk.acceptedBallot, b.disk.acceptedBallot);
      const longer = a.disk.entries.length - b.disk.entries.length;
      if (a === b || order < 0 || (order === 0 && longer < 0)) continue;
      const slot = chosen.findIndex((command, each) => {
        return command !== undefined && a.disk.entries[each - 1] !== command;
      });
      if (slot < 0) continue;
      return `slot ${slot} was chosen, and ${a.replica} with ${b.replica} would elect a log without it`;
    }
  }
  return undefined;
}

function persist(index: number): Stimulus {
  return { kind: "persist", text: `the disk of ${index + 1} is done` };
}

function without(world: World, packet: Packet): World {
  return { ...world, packets: world.packets.toSpliced(world.packets.indexOf(packet), 1) };
}

function sameLink(a: Packet, b: Packet): boolean {
  return a.from === b.from && a.to === b.to;
}

/** A stable sort by link: the same however links interleave, each in its order. */
function byLink(a: Packet, b: Packet): number {
  return a.from - b.from || a.to - b.to;
}

function byId(a: Packet, b: Packet): number {
  return a.id - b.id;
}
