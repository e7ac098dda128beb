import { Rng } from "@cubby/base";
import type { ReplicaId } from "../ballot.ts";
import type { PaxosOptions } from "../options.ts";
import { drawFaults, NO_FAULTS } from "./checkers.ts";
import { TestingNetwork } from "./testing-network.ts";

export type RunResult = {
  readonly chosen: number;
  readonly epochs: number;
  readonly crashes: number;
  readonly snapshots: number;
  readonly confirmed: number;
  readonly messages: number;
  readonly kinds: ReadonlyMap<string, number>;
};

/** Small enough that windows, batches, retention and snapshots all come into play. */
const SMALL: Partial<PaxosOptions> = {
  batchEntriesMax: 4,
  windowEntriesMax: 8,
  retainSlots: 6,
  snapshotPartBytes: 64,
  learnBytes: 40,
};

/**
 * First anything may fail and nothing but safety is asked; then all heals, and every replica has to
 * arrive at the same log. Which faults there are, and how often, is drawn for each run (swarm).
 */
export function randomRun(seed: string, faultMs: number): RunResult {
  const rng = new Rng(seed).fork("plan");
  const replicas = rng.chance(0.7) ? 3 : 5;
  const driftPerMille = rng.chance(0.5) ? 100 : 0;
  const network = new TestingNetwork({
    replicas,
    seed,
    faults: drawFaults(rng),
    driftPerMille,
    diskMsMin: 0.1,
    diskMsMax: rng.chance(0.3) ? 40 : 1,
    encoded: rng.chance(0.2),
    ...(rng.chance(0.5) ? { snapshotEvery: 5 + rng.below(20) } : {}),
    paxos: rng.chance(0.6) ? SMALL : {},
  });
  network.startAll();
  const plan = new Plan(network, rng);
  const end = network.now + faultMs;
  while (network.now < end) {
    network.run(rng.below(60));
    plan.disturb();
  }
  plan.heal();
  const { checkers } = network;
  const settled = (): boolean => {
    const master = network.master();
    if (master === undefined) return false;
    const { length } = network.engine(master).status();
    return network.ids.every((id) => network.engine(id).status().delivered === length);
  };
  const led = (): boolean => network.master() !== undefined;
  if (network.runUntil(led, 3000) === undefined) {
    throw new Error(`no master three seconds after all healed:\n${network.report()}`);
  }
  network.run(500);
  const master = network.master();
  if (master !== undefined) network.propose(master, "last");
  network.run(100);
  if (network.runUntil(settled, 5000) === undefined) {
    throw new Error(`the replicas do not arrive at one log after all healed:\n${network.report()}`);
  }
  const kinds = new Map<string, number>();
  for (const { event } of network.traces) kinds.set(event.kind, (kinds.get(event.kind) ?? 0) + 1);
  return {
    chosen: checkers.chosen.size,
    epochs: checkers.epochs,
    crashes: plan.crashes,
    snapshots: kinds.get("snapshotInstalled") ?? 0,
    confirmed: checkers.confirmed,
    messages: network.messagesSent,
    kinds,
  };
}

class Plan {
  readonly #network: TestingNetwork;
  readonly #rng: Rng;
  readonly #crashRate: number;
  readonly #cutRate: number;
  readonly #pauseRate: number;
  readonly #diskRate: number;
  readonly #otherRate: number;
  #proposed = 0;
  crashes = 0;

  constructor(network: TestingNetwork, rng: Rng) {
    this.#network = network;
    this.#rng = rng;
    this.#crashRate = rng.chance(0.7) ? 0.08 : 0;
    this.#cutRate = rng.chance(0.6) ? 0.08 : 0;
    this.#pauseRate = rng.chance(0.3) ? 0.05 : 0;
    this.#diskRate = rng.chance(0.3) ? 0.05 : 0;
    this.#otherRate = rng.chance(0.5) ? 0.03 : 0;
  }

  disturb(): void {
    this.#proposeSome();
    const network = this.#network;
    const rng = this.#rng;
    const id = this.#pick();
    if (rng.chance(this.#crashRate)) {
      if (network.isUp(id)) {
        network.crash(id);
        this.crashes += 1;
      } else network.start(id);
    }
    for (const other of network.ids) {
      if (!network.isUp(other) && rng.chance(0.15)) network.start(other);
    }
    if (rng.chance(this.#cutRate)) this.#cutSome();
    if (rng.chance(this.#pauseRate)) network.pause(this.#pick(), rng.below(1500));
    if (rng.chance(this.#diskRate)) {
      network.slowDisk(this.#pick(), rng.chance(0.5) ? rng.below(900) : undefined);
    }
    if (rng.chance(this.#otherRate)) network.input(this.#pick(), { kind: "handOver" });
    if (rng.chance(this.#otherRate)) network.input(this.#pick(), { kind: "voidLease" });
    if (rng.chance(this.#otherRate * 5)) network.confirm(this.#pick());
  }

  heal(): void {
    const network = this.#network;
    network.heal();
    network.faults = NO_FAULTS;
    for (const id of network.ids) {
      network.slowDisk(id, undefined);
      network.pause(id, 0);
      if (!network.isUp(id)) network.start(id);
    }
  }

  #proposeSome(): void {
    const network = this.#network;
    for (const id of network.ids) {
      if (!network.isUp(id) || this.#rng.chance(0.3)) continue;
      const count = this.#rng.below(6);
      const commands = Array.from({ length: count }, () => {
        this.#proposed += 1;
        return `c${this.#proposed}`;
      });
      if (count > 0) network.propose(id, ...commands);
    }
  }

  #cutSome(): void {
    const network = this.#network;
    const kind = this.#rng.below(4);
    if (kind === 0) {
      network.heal();
      return;
    }
    const a = this.#pick();
    const b = this.#pick();
    if (a === b) return;
    if (kind === 1) network.cut(a, b);
    else if (kind === 2) network.cutBoth(a, b);
    else for (const other of network.ids) if (other !== a) network.cutBoth(a, other);
  }

  #pick(): ReplicaId {
    const id = this.#network.ids[this.#rng.below(this.#network.ids.length)];
    if (id === undefined) throw new Error("there are replicas");
    return id;
  }
}
