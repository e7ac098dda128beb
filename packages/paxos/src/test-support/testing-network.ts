import { assert, EventQueue, type Instant, instant, Rng, utf8Encode } from "@cubby/base";
import { type ReplicaId, replicaId, type Slot } from "../ballot.ts";
import type { PaxosInput } from "../input.ts";
import { decodeMessage, encodeMessage } from "../message-codec.ts";
import type { PaxosMessage } from "../messages.ts";
import type { PaxosOptions } from "../options.ts";
import type { PaxosEvent, PaxosOutput, Send } from "../outbox.ts";
import { PaxosReplica } from "../paxos-replica.ts";
import type { RecordIndex } from "../record.ts";
import type { TraceEvent } from "../trace.ts";
import { Checkers, type Faults, NO_FAULTS, Violation } from "./checkers.ts";
import { SimulatedDisk } from "./simulated-disk.ts";

export type NetworkOptions = {
  readonly replicas: number;
  readonly seed: string;
  readonly faults?: Faults;
  /** Each replica's clock runs at a rate within this of true time. */
  readonly driftPerMille?: number;
  readonly diskMsMin?: number;
  readonly diskMsMax?: number;
  /** Messages pass through the codec. */
  readonly encoded?: boolean;
  /** A host snapshot whenever so many slots were delivered since the last. */
  readonly snapshotEvery?: number;
  readonly paxos?: Partial<PaxosOptions>;
};

type Host = {
  readonly id: ReplicaId;
  readonly disk: SimulatedDisk;
  readonly rate: number;
  readonly offset: number;
  incarnation: string;
  life: number;
  engine: PaxosReplica | undefined;
  /** Not answering for a while: inputs queue up. */
  pausedUntil: number;
  inbox: PaxosInput[];
  drainToken: number;
  issued: RecordIndex;
  persisted: RecordIndex;
  held: { readonly after: RecordIndex; readonly sends: readonly Send[] }[];
  wakeToken: number;
  diskMs: number | undefined;
  diskToken: number;
  delivered: Slot;
  snapshotSlot: Slot;
  events: PaxosEvent[];
};

/** Replicas, links, disks and clocks in virtual time, out of one seed. True time is in ms. */
export class TestingNetwork {
  readonly #options: NetworkOptions;
  readonly #queue = new EventQueue();
  readonly #rng: Rng;
  readonly #hosts = new Map<ReplicaId, Host>();
  readonly #cut = new Set<number>();
  faults: Faults;
  /** The settings of whatever is started from now on. */
  paxos: Partial<PaxosOptions>;
  readonly checkers: Checkers;
  readonly traces: { at: number; replica: ReplicaId; event: TraceEvent }[] = [];
  /** Sees every message that is about to be delivered; returns false to take it out. */
  filter: ((from: ReplicaId, to: ReplicaId, message: PaxosMessage) => boolean) | undefined;
  now = 0;
  messagesSent = 0;
  #confirms = 0;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#rng = new Rng(options.seed);
    this.faults = options.faults ?? NO_FAULTS;
    this.paxos = options.paxos ?? {};
    const drift = options.driftPerMille ?? 0;
    const clocks = this.#rng.fork("clocks");
    const disks = new Map<ReplicaId, SimulatedDisk>();
    for (let i = 1; i <= options.replicas; i += 1) {
      const id = replicaId(i);
      const disk = new SimulatedDisk();
      disks.set(id, disk);
      const rate = 1 + (drift === 0 ? 0 : clocks.between(-drift, drift) / 1000);
      this.#hosts.set(id, newHost(id, disk, rate, clocks.below(1_000_000)));
    }
    this.checkers = new Checkers(Math.floor(options.replicas / 2) + 1, disks);
  }

  get ids(): readonly ReplicaId[] {
    return [...this.#hosts.keys()];
  }

  get quorum(): number {
    return Math.floor(this.#options.replicas / 2) + 1;
  }

  startAll(): void {
    for (const id of this.ids) this.start(id);
  }

  start(id: ReplicaId): void {
    const host = this.#host(id);
    assert(host.engine === undefined, "a replica is started once");
    host.life += 1;
    const recovered = host.disk.recover();
    host.snapshotSlot = recovered.firstSlot - 1;
    host.delivered = host.snapshotSlot;
    host.issued = 0;
    host.persisted = 0;
    host.held = [];
    host.engine = new PaxosReplica(
      {
        self: id,
        incarnation: host.incarnation,
        members: this.ids,
        seed: `${this.#options.seed}/${id}/${host.life}`,
        ...this.paxos,
      },
      recovered,
      this.#localNow(host),
    );
    if (!recovered.reachesSnapshot) host.disk.startSegment(host.engine.checkpoint());
    this.#step(host, { kind: "wake" });
  }

  crash(id: ReplicaId, keepsRecords?: number): void {
    const host = this.#host(id);
    if (host.engine === undefined) return;
    host.engine = undefined;
    host.wakeToken += 1;
    host.diskToken += 1;
    host.disk.crash(this.#rng, keepsRecords);
    host.pausedUntil = 0;
    host.inbox = [];
    this.checkers.onCrash(id, host.snapshotSlot);
  }

  /** The directory is gone; what is formatted in its place is another incarnation. */
  wipe(id: ReplicaId, incarnation: string): void {
    const host = this.#host(id);
    assert(host.engine === undefined, "a running replica's directory is left alone");
    host.disk.wipe();
    host.incarnation = incarnation;
    this.checkers.onCrash(id, 0);
  }

  isUp(id: ReplicaId): boolean {
    return this.#host(id).engine !== undefined;
  }

  engine(id: ReplicaId): PaxosReplica {
    const { engine } = this.#host(id);
    assert(engine !== undefined, "the replica is up");
    return engine;
  }

  disk(id: ReplicaId): SimulatedDisk {
    return this.#host(id).disk;
  }

  events(id: ReplicaId): readonly PaxosEvent[] {
    return this.#host(id).events;
  }

  pause(id: ReplicaId, ms: number): void {
    const host = this.#host(id);
    host.pausedUntil = this.now + ms;
    if (host.inbox.length > 0) this.#armDrain(host);
  }

  /** From now on each write takes so long; `undefined` for what the options say. */
  slowDisk(id: ReplicaId, ms: number | undefined): void {
    this.#host(id).diskMs = ms;
  }

  cut(from: ReplicaId, to: ReplicaId): void {
    this.#cut.add(linkKey(from, to));
  }

  cutBoth(a: ReplicaId, b: ReplicaId): void {
    this.cut(a, b);
    this.cut(b, a);
  }

  heal(): void {
    this.#cut.clear();
  }

  linked(from: ReplicaId, to: ReplicaId): boolean {
    return !this.#cut.has(linkKey(from, to));
  }

  /** The replica that believes to be master, with a lease that it still holds. */
  master(): ReplicaId | undefined {
    return this.checkers.master(this.now);
  }

  /** This replica's own belief, whatever the others believe. */
  leads(id: ReplicaId): boolean {
    return this.checkers.believes(this.now, id);
  }

  propose(id: ReplicaId, ...commands: readonly string[]): void {
    this.input(id, { kind: "propose", entries: commands.map((text) => utf8Encode(text)) });
  }

  confirm(id: ReplicaId): void {
    this.#confirms += 1;
    this.checkers.onConfirm(id, this.#confirms);
    this.input(id, { kind: "confirm", token: this.#confirms });
  }

  input(id: ReplicaId, input: PaxosInput): void {
    const host = this.#host(id);
    if (host.engine !== undefined) this.#step(host, input);
  }

  run(ms: number): void {
    const end = this.now + ms;
    while (this.#queue.nextAt <= end) this.#runNext();
    this.now = end;
  }

  /** Runs until the condition holds; returns how long it took, or undefined when `maxMs` passed. */
  runUntil(condition: () => boolean, maxMs: number): number | undefined {
    const start = this.now;
    while (!condition()) {
      if (this.#queue.nextAt > start + maxMs) {
        this.now = start + maxMs;
        return undefined;
      }
      this.#runNext();
    }
    return this.now - start;
  }

  at(ms: number, run: () => void): void {
    this.#queue.push(this.now + ms, run);
  }

  /** For the message of a run that failed: each replica's state, and what happened last. */
  report(): string {
    const states = [...this.#hosts.values()].map(({ id, engine }) => {
      if (engine === undefined) return `${id}: down`;
      return `${id}: ${JSON.stringify(engine.status())}`;
    });
    const last = this.traces
      .filter(({ event }) => event.kind !== "proposalsDropped")
      .slice(-40)
      .map(({ at, replica, event }) => `${at.toFixed(1)} ${replica} ${JSON.stringify(event)}`);
    return [...states, ...last].join("\n");
  }

  #runNext(): void {
    const item = this.#queue.pop();
    assert(item !== undefined, "there is something to run");
    this.now = Math.max(this.now, item.at);
    item.run();
  }

  #step(host: Host, input: PaxosInput): void {
    if (host.pausedUntil <= this.now && host.inbox.length === 0) {
      this.#stepNow(host, input);
      return;
    }
    // A process that stands still gets all that came meanwhile, in order, when it goes on.
    host.inbox.push(input);
    this.#armDrain(host);
  }

  #armDrain(host: Host): void {
    host.drainToken += 1;
    const { drainToken } = host;
    this.#queue.push(Math.max(this.now, host.pausedUntil), () => {
      if (host.drainToken !== drainToken || host.pausedUntil > this.now) return;
      const { inbox } = host;
      host.inbox = [];
      for (const input of inbox) this.#stepNow(host, input);
    });
  }

  #stepNow(host: Host, input: PaxosInput): void {
    const { engine } = host;
    if (engine === undefined) return;
    engine.step(this.#localNow(host), input);
    this.#carryOut(host, engine.take());
  }

  #carryOut(host: Host, output: PaxosOutput): void {
    for (const send of output.sends) this.#send(host, send);
    host.issued += output.records.length;
    host.disk.add(output.records);
    if (output.sendsAfterPersist.length > 0) {
      if (host.persisted >= host.issued) {
        for (const send of output.sendsAfterPersist) this.#send(host, send);
      } else {
        host.held.push({ after: host.issued, sends: output.sendsAfterPersist });
      }
    }
    for (const event of output.events) this.#onEvent(host, event);
    for (const event of output.trace) {
      this.traces.push({ at: this.now, replica: host.id, event });
      if (event.kind === "impossibleClaim") throw new Violation(`${event.from}: ${event.claim}`);
    }
    this.#maybeWrite(host);
    this.#armWake(host, output.wakeAt);
    this.#maybeSnapshot(host);
  }

  #onEvent(host: Host, event: PaxosEvent): void {
    host.events.push(event);
    if (event.kind === "chosen" || event.kind === "restored") host.delivered = event.slot;
    if (event.kind === "restored") host.snapshotSlot = Math.max(host.snapshotSlot, event.slot);
    this.checkers.onEvent(this.now, host.id, event, (at) => (at - host.offset) / host.rate);
  }

  #send(host: Host, send: Send): void {
    const { to, message } = send;
    this.messagesSent += 1;
    this.checkers.onLeave(host.id, host.life, message);
    this.#transmit(host, to, message, 0);
    if (!this.#rng.chance(this.faults.duplicateRate)) return;
    // Most copies come soon; some come when nobody thinks of them any more.
    this.#transmit(host, to, message, this.#rng.chance(0.2) ? this.#rng.below(5000) : 0);
  }

  #transmit(host: Host, to: ReplicaId, message: PaxosMessage, lateMs: number): void {
    const { lossRate, delayMsMin, delayMsMax } = this.faults;
    if (this.#rng.chance(lossRate) || !this.linked(host.id, to)) return;
    const spread = Math.floor((delayMsMax - delayMsMin) * 1000);
    const delay = lateMs + delayMsMin + this.#rng.below(spread + 1) / 1000;
    const { incarnation } = host;
    const bytes = this.#options.encoded ? encodeMessage(message) : undefined;
    this.#queue.push(this.now + delay, () => {
      if (!this.linked(host.id, to)) return;
      const arrived = bytes === undefined ? message : decodeMessage(bytes);
      if (this.filter !== undefined && !this.filter(host.id, to, arrived)) return;
      this.#step(this.#host(to), { kind: "message", from: host.id, incarnation, message: arrived });
    });
  }

  /** Delivers a message as if a link had kept it until now. */
  replay(from: ReplicaId, to: ReplicaId, message: PaxosMessage): void {
    const { incarnation } = this.#host(from);
    this.#step(this.#host(to), { kind: "message", from, incarnation, message });
  }

  #maybeWrite(host: Host): void {
    if (!host.disk.hasWork) return;
    host.disk.begin();
    const { diskMsMin = 0.2, diskMsMax = 0.4 } = this.#options;
    const drawn =
      diskMsMin + this.#rng.below(Math.floor((diskMsMax - diskMsMin) * 1000) + 1) / 1000;
    const token = host.diskToken;
    const finish = (): void => {
      if (host.diskToken !== token || host.engine === undefined) return;
      host.persisted = host.disk.end();
      let done = 0;
      for (const { after, sends } of host.held) {
        if (after > host.persisted) break;
        for (const send of sends) this.#send(host, send);
        done += 1;
      }
      host.held.splice(0, done);
      this.#maybeWrite(host);
      this.#step(host, { kind: "persisted", through: host.persisted });
    };
    this.#queue.push(this.now + (host.diskMs ?? drawn), finish);
  }

  #armWake(host: Host, wakeAt: Instant): void {
    host.wakeToken += 1;
    const token = host.wakeToken;
    const at = Math.max(this.now, (wakeAt - host.offset) / host.rate);
    // Just beyond the instant: a clock shows whole milliseconds.
    this.#queue.push(at + 0.001, () => {
      if (host.wakeToken === token) this.#step(host, { kind: "wake" });
    });
  }

  /** As a host does: write the file, tell the engine, and start a segment when the disk is idle. */
  #maybeSnapshot(host: Host): void {
    const { snapshotEvery } = this.#options;
    const { engine } = host;
    if (snapshotEvery === undefined || engine === undefined) return;
    const slot = engine.status().delivered;
    if (slot < host.snapshotSlot + snapshotEvery) return;
    host.snapshotSlot = slot;
    const bytes = utf8Encode(`state at ${slot}`.padEnd(200, "."));
    const { acceptedBallot } = engine.status();
    host.disk.putSnapshot({ slot, ballot: acceptedBallot, bytes });
    this.#step(host, { kind: "snapshotTaken", slot, bytes });
    if (host.disk.idle && host.engine !== undefined) {
      host.disk.startSegment(host.engine.checkpoint());
    }
  }

  #localNow(host: Host): Instant {
    return instant(Math.floor(host.offset + this.now * host.rate));
  }

  #host(id: ReplicaId): Host {
    const host = this.#hosts.get(id);
    assert(host !== undefined, "the replica exists");
    return host;
  }
}

function newHost(id: ReplicaId, disk: SimulatedDisk, rate: number, offset: number): Host {
  return {
    id,
    disk,
    rate,
    offset,
    incarnation: `i${id}`,
    life: 0,
    engine: undefined,
    pausedUntil: 0,
    inbox: [],
    drainToken: 0,
    issued: 0,
    persisted: 0,
    held: [],
    wakeToken: 0,
    diskMs: undefined,
    diskToken: 0,
    delivered: 0,
    snapshotSlot: 0,
    events: [],
  };
}

function linkKey(from: ReplicaId, to: ReplicaId): number {
  return from * 1024 + to;
}
