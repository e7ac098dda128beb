import { assert, checksum64, type Instant, NEVER, Rng } from "@cubby/base";
import type { Cell } from "@cubby/cell";
import type {
  Call,
  ClientInput,
  ConnectionId,
  SessionEvent,
  SessionMachine,
} from "@cubby/client/core";
import { decodeMessage, messageKindOf, type PaxosMessage } from "@cubby/paxos";
import { ERROR_CODES, type Reply, type Request } from "@cubby/protocol";
import {
  IDENTITY_FILES,
  type OutgoingReply,
  type RecoverResult,
  type ReplicaInput,
  type ReplicaOutput,
  recoveredLog,
  type Trace,
  WITNESS_FILES,
} from "@cubby/server/core";
import { AskedAnew } from "./asked-anew.ts";
import { CellChecker } from "./check-cell.ts";
import { ClientChecker } from "./check-clients.ts";
import { DurabilityChecker } from "./check-durability.ts";
import { ExpiryChecker } from "./check-expiry.ts";
import { LeaseChecker } from "./check-leases.ts";
import { LogChecker } from "./check-log.ts";
import { PaceChecker } from "./check-pace.ts";
import { QuorumReadChecker, restsOnMaster } from "./check-quorum-reads.ts";
import { ClientLane, type LaneObserver } from "./client-lane.ts";
import { type ClientHouse, ClientProcess } from "./client-process.ts";
import { Coverage } from "./coverage.ts";
import { History } from "./history.ts";
import { Network } from "./network.ts";
import type { Applied } from "./observed-cell.ts";
import { isStretched, type Plan } from "./plan.ts";
import { ReferenceCell } from "./reference-cell.ts";
import { type ReplicaHouse, ReplicaProcess } from "./replica-process.ts";
import type { Hold, ScriptStart, Stage } from "./script.ts";
import { TraceCounter } from "./trace-counter.ts";
import { TraceHash } from "./trace-hash.ts";
import { Violation } from "./violation.ts";
import { VirtualTime } from "./virtual-time.ts";

/** How often, about, an acknowledged write is looked up on the disks; when few are well, more often. */
const LOOK_UP_EVERY_MS = 10_000;
const LOOK_UP_OFTEN_MS = 1_200;
/** Right after a change of leader most that can go wrong with a quorum goes wrong. */
const LOOK_UP_AFTER_ELECTION_MS = 100;
const ELECTION_IS_NEWS_MS = 500;
/** How often, besides, somebody looks whether what a master relies on is there. */
const MASTER_LOOK_MS = 20;
/** State is compared at every so-manieth index. */
const COMPARED_ONE_IN = 40;
/** With more of them the whole state is walked at those indices only, and not at each grant of a lock. */
const WALKED_SESSIONS_MAX = 100;
const SNAPSHOTS_COMPARED_ONE_IN = 5;

/** What a recovery tells of, and goes on: nothing but damage is a cause for it. */
const OF_DAMAGE: ReadonlySet<string> = new Set(["snapshotDamaged", "oldDamage"]);

/** Where both copies are lost the first is named, which may be torn, and the other the one that rotted. */
const COPIES = new Map<string, readonly string[]>([
  ["identity", IDENTITY_FILES],
  ["amnesia", WITNESS_FILES],
]);

/** What a replica has just done, or a message that has just left it. */
export type Moment = Trace["kind"] | "leaseRequest";

/** Replicas, clients and links, and the checkers that look on. It decides nothing. */
export class World implements ReplicaHouse, ClientHouse, LaneObserver, Stage {
  readonly seed: string;
  readonly plan: Plan;
  readonly time = new VirtualTime();
  readonly network: Network;
  readonly lane: ClientLane;
  readonly replicas: ReplicaProcess[] = [];
  readonly clients: ClientProcess[] = [];
  readonly coverage = new Coverage();
  readonly hash = new TraceHash();
  readonly reference = new ReferenceCell();
  readonly log = new LogChecker();
  readonly history = new History();
  readonly clientChecker: ClientChecker;
  readonly cellChecker: CellChecker;
  readonly #durability: DurabilityChecker;
  readonly #leases: LeaseChecker;
  readonly #expiry: ExpiryChecker;
  readonly pace = new PaceChecker();
  readonly #askedAnew = new AskedAnew();
  /** Where reads ask a quorum, or may. */
  readonly #quorumReads: QuorumReadChecker | undefined;
  readonly #counter: TraceCounter;
  readonly #useRng: Rng;
  readonly #checkRng: Rng;
  readonly chart: ((line: string) => void) | undefined;
  coreEvents = 0;
  calm = 1;
  /** Told when a replica does something that matters: where a fault hurts most. */
  onMoment: ((replica: ReplicaProcess, moment: Moment) => void) | undefined;
  /** Told of a replica that begins to write a snapshot, its own or a peer's. */
  onSnapshotFile: ((replica: ReplicaProcess) => void) | undefined;
  /** Told of a client that has just come by a lock. */
  onHeld: ((client: ClientProcess) => void) | undefined;
  /** Told of a replica that ended by itself and may be started again, as supervisors are. */
  supervise: ((replica: ReplicaProcess) => void) | undefined;
  /** Replicas whose disks were tampered with: only these may refuse to start. */
  readonly suspects = new Set<number>();
  #nextClient = 1;
  #written = 0;
  #lookUpAt = 0;
  #acknowledged = 0;
  #masterLookAt = 0;
  /** The faults are over, and a quorum may still be learning entry by entry what it lacks: commands wait. */
  isCatchingUp = false;
  /** What the last master that asked for a lease asked for. */
  #leaseMs: number | undefined;
  /** When the last leader began. */
  electedAt = 0;

  constructor(seed: string, plan: Plan, chart: ((line: string) => void) | undefined) {
    this.seed = seed;
    this.plan = plan;
    this.chart = chart;
    const rng = new Rng(seed);
    this.network = new Network(this.time, rng.fork("network"), plan);
    for (let id = 1; id <= plan.replicas; id += 1) {
      this.replicas.push(new ReplicaProcess(id, this, rng.fork(`replica ${id}`)));
    }
    this.lane = new ClientLane(this.time, this.network, this, this.replicas);
    this.clientChecker = new ClientChecker(this.reference, this.coverage);
    this.cellChecker = new CellChecker(this.reference, this.coverage, this.time);
    this.#leases = new LeaseChecker(this.replicas, this.clients);
    this.clientChecker.wasDelayed = (path, sinceMs) => this.cellChecker.wasDelayed(path, sinceMs);
    const { calls } = this.clientChecker;
    calls.wasTaken = (path, sinceMs) => this.cellChecker.wasTaken(path, sinceMs);
    calls.now = () => this.time.now;
    this.#durability = new DurabilityChecker(this.replicas, this.log);
    this.#expiry = new ExpiryChecker(this.time, plan);
    if (plan.reads === "quorum" || plan.hasOwnSettings)
      this.#quorumReads = new QuorumReadChecker(plan.replicas);
    this.#counter = new TraceCounter(this.coverage);
    this.#useRng = rng.fork("use");
    this.#checkRng = rng.fork("check");
  }

  addClient(rng: Rng, starts: readonly (readonly ScriptStart[])[]): ClientProcess {
    const client = new ClientProcess(this.#nextClient, this, rng, starts);
    this.#nextClient += 1;
    this.clients.push(client);
    client.start();
    return client;
  }

  replica(id: number): ReplicaProcess {
    const replica = this.replicas[id - 1];
    if (replica === undefined) throw new RangeError(`there is no replica ${id}`);
    return replica;
  }

  /** The process ends, or its whole machine does: then nobody resets its connections. */
  crash(
    replica: ReplicaProcess,
    how: Parameters<ReplicaProcess["crash"]>[0],
    isMachineGone = how !== "killed",
  ): void {
    replica.crash(how);
    this.lane.onReplicaStopped(replica, isMachineGone);
  }

  /** The replica that would answer now, if there is one. */
  master(): ReplicaProcess | undefined {
    const serving = this.replicas.filter((each) => each.isRunning && each.isServing);
    if (serving.length > 1) {
      const ids = serving.map(({ id }) => id).join(" and ");
      throw new Violation(8, "one-master", `replicas ${ids} serve at one true time`);
    }
    const [master] = serving;
    if (master !== undefined) this.#leases.check(master, this.log.newest);
    return master;
  }

  // ReplicaHouse

  sendPacket(from: ReplicaProcess, to: number, bytes: Uint8Array): void {
    const { incarnation } = from.identity;
    const target = this.replica(to);
    const kind = messageKindOf(bytes);
    this.chart?.(`${this.#at()}  r${from.id} --> r${to}  ${kind ?? "?"} (${bytes.length} bytes)`);
    if (!this.network.isFaulty) this.pace.onPacket(from.id, to, kind, this.time.now);
    if (kind === "leaseRequest") this.#onLeaseRequest(from, decodeMessage(bytes));
    const id = from.id as Extract<ReplicaInput, { kind: "peerFrame" }>["from"];
    const deliver = (arrived: Uint8Array): void => {
      target.input({ kind: "peerFrame", from: id, incarnation, bytes: arrived });
    };
    if (kind === "leaseGrant") this.network.keep(to, bytes, deliver);
    this.network.packet(from.id, to, bytes, deliver);
  }

  #onLeaseRequest(from: ReplicaProcess, message: PaxosMessage): void {
    if (message.kind !== "leaseRequest") return;
    this.onMoment?.(from, message.kind);
    this.#leases.onLeaseRequest(from, message, this.time.now);
    this.#quorumReads?.onLeaseRequest(from.id, message);
    if (this.#leaseMs !== undefined && this.#leaseMs !== message.leaseMs) {
      this.coverage.add("master leases changed");
    }
    this.#leaseMs = message.leaseMs;
  }

  sendReply(from: ReplicaProcess, reply: OutgoingReply): void {
    this.lane.reply(from, reply);
  }

  onInput(process: ReplicaProcess, input: ReplicaInput): void {
    this.coreEvents += 1;
    this.hash.number(this.time.now);
    this.hash.number(process.id);
    this.hash.text(input.kind);
    if (input.kind === "peerFrame") this.hash.bytes(input.bytes);
    if (input.kind === "request" && input.request.call?.$case === "keepAlive") {
      this.#expiry.onKeepAlive(input.request);
    }
    this.#quorumReads?.onInput(process.id, input);
    if (input.kind === "wake") this.pace.onWake(`r${process.id}`, this.time.now);
    // Whoever is about to hear that it was suspended relies on nothing before it has.
    if (this.time.now >= this.#masterLookAt && input.kind !== "suspended") {
      this.#masterLookAt = this.time.now + MASTER_LOOK_MS;
      // What was decided under faults may be done only once they are over.
      if (this.network.isFaulty || this.isCatchingUp) this.#onDisturbed();
      this.#expiry.onLook(this.master()?.id);
    }
  }

  /** The faults are over: time begins anew for what they held up, also where nobody ran as they ended. */
  onHealed(): void {
    this.#onDisturbed();
  }

  #onDisturbed(): void {
    this.#expiry.onDisturbed();
    this.cellChecker.onDisturbed();
  }

  /** Right after a process has gone on is when what it believes may be out of date. */
  onResumed(): void {
    this.master();
  }

  onTrace(process: ReplicaProcess, trace: Trace): void {
    this.hash.text(trace.kind);
    this.chart?.(`${this.#at()}  r${process.id} ${JSON.stringify(trace)}`);
    this.#counter.onTrace(trace);
    if (MOMENTS.has(trace.kind)) this.onMoment?.(process, trace.kind);
    // Whoever leads from here on is steady, also one that had prepared before its links went bad.
    if (trace.kind === "preparing" || trace.kind === "leading") process.steady?.();
    if (trace.kind === "leaseVoided") this.#leases.onVoided(process);
    if (trace.kind === "leading") {
      this.electedAt = this.time.now;
      this.log.onLeads(process.id);
      this.#lookUpAt = this.time.now;
    }
    if (CLAIMS.has(trace.kind)) this.master();
    if (DISTURBS.has(trace.kind)) this.#onDisturbed();
  }

  onLeave(process: ReplicaProcess, message: PaxosMessage): void {
    if (process.isWiped) {
      const detail = `replica ${process.id}, whose directory was lost, sends ${message.kind}`;
      throw new Violation(24, "wiped-votes", detail);
    }
    if (message.kind === "leaseGrant") this.#leases.onLeaseGrant(process, message);
    else this.log.onLeave(process.id, process.life, message);
  }

  onRecovered(process: ReplicaProcess, result: RecoverResult | { kind: "contradiction" }): void {
    this.chart?.(`${this.#at()}  r${process.id} recovers: ${result.kind}`);
    this.#counter.onRecovered(result);
    if (result.kind === "recovered") {
      // A directory formatted anew knows nothing, and is refused for it.
      if (!process.isWiped) {
        this.log.onRecovered(process.id, recoveredLog(result));
        this.#leases.onStarted(process);
      }
      const found = result.notes.find(({ kind }) => OF_DAMAGE.has(kind));
      if (found === undefined || process.tampered.size > 0 || process.hasLostSnapshot) return;
      const detail = `replica ${process.id} passes over ${JSON.stringify(found)} on a disk that was not damaged`;
      throw new Violation(24, "recovers-alone", detail);
    }
    const damages = result.kind === "damaged" ? result.damages : [];
    if (this.suspects.has(process.id)) {
      // A segment whose old header came back is missed, and only the directory can be named; a snapshot
      // that is gone, only what rests on it.
      const mayBeMissed = process.hasStaleSector || process.hasLostSnapshot;
      const isNamed = damages.some(
        ({ file, kind }) =>
          (file === "." && mayBeMissed) ||
          (COPIES.get(kind) ?? [file]).some((copy) => process.wasTampered(copy)) ||
          (kind === "unreachable" && process.hasLostSnapshot),
      );
      if (isNamed) return;
      const detail = `replica ${process.id} finds ${result.kind}, blames ${JSON.stringify(damages)}, and ${[...process.tampered]} were damaged`;
      throw new Violation(24, "damage-named", detail);
    }
    const detail = `replica ${process.id} finds ${result.kind} on a disk that was not damaged ${JSON.stringify(damages)}`;
    throw new Violation(24, "recovers-alone", detail);
  }

  /** What a crash leaves on a disk is what counts from here on. */
  onCrashed(process: ReplicaProcess): void {
    this.#durability.check(this.#acknowledged, `replica ${process.id} has crashed`);
  }

  onStopped(process: ReplicaProcess, ended: ReplicaOutput["ended"]): void {
    this.chart?.(`${this.#at()}  r${process.id} stops ${JSON.stringify(ended ?? "killed")}`);
    if (ended === undefined) return;
    this.lane.onReplicaStopped(process, false);
    const isRefused = ended.code === "identity_refused";
    // What it has just written may rot before it is read back.
    const hasRotted = [...process.tampered].some((file) =>
      ended.detail.startsWith(`read of ${file} failed: EVERIFY`),
    );
    const hasCause = isRefused ? process.isWiped : process.hasFailed || hasRotted;
    if (!hasCause) {
      const detail = `replica ${process.id} ends itself without a cause: ${ended.code}, ${ended.detail}`;
      throw new Violation(24, "ends-for-a-cause", detail);
    }
    if (isRefused) {
      process.isLost = true;
      this.coverage.add("directories refused");
      return;
    }
    const isOfWrite = ended.detail.startsWith("write of ");
    this.coverage.add(isOfWrite ? "fsync errors" : "other errors of disks");
    this.supervise?.(process);
  }

  /** The cell has made it up; it may wait for a proof. */
  onMade(reply: Reply): void {
    this.#quorumReads?.onMade(reply);
  }

  onApplied(process: ReplicaProcess, cell: Cell, applied: Applied): void {
    const { index, command } = applied;
    if (this.log.onApplied(process.id, applied)) {
      this.#onNewCommand(index, command);
      const status = cell.status(process.localNow());
      this.cellChecker.onCounts(status, index);
      // 13: who holds what, and not only how many do.
      const isNews = this.reference.granted !== undefined && status.sessions <= WALKED_SESSIONS_MAX;
      if (isNews) cell.checkInvariants();
    }
    const isOfSnapshot = index % SNAPSHOTS_COMPARED_ONE_IN === 0 && this.log.knowsState(index);
    if (index % COMPARED_ONE_IN !== 0 && !isOfSnapshot) return;
    this.log.onState(process.id, index, cell.stateHash());
    cell.checkInvariants();
  }

  /** 6: whoever installs it is compared with it, and many who come to its index by themselves. */
  onSnapshot(process: ReplicaProcess, index: number, bytes: Uint8Array): void {
    this.log.onState(process.id, index, checksum64(bytes));
  }

  onRestored(process: ReplicaProcess, cell: Cell, index: number): void {
    this.log.onRestored(process.id, index);
    this.log.onState(process.id, index, cell.stateHash());
    cell.checkInvariants();
  }

  #onNewCommand(index: number, command: Uint8Array): void {
    this.reference.apply(index, command);
    this.cellChecker.onCommand(this.clients);
    this.#expiry.onCommand(this.reference, !this.network.isFaulty && !isStretched(this.plan));
    const { applied, granted } = this.reference;
    if (granted !== undefined) this.clientChecker.calls.onGranted(granted);
    if (applied !== undefined) {
      this.clientChecker.onApplied(applied.sessionId, applied.number);
    }
  }

  // LaneObserver

  onAnswers(process: ReplicaProcess, request: Request, reply: Reply, validUntil: Instant): void {
    const { result } = reply;
    if (validUntil !== NEVER && this.#checkRng.chance(0.05)) this.master();
    const told = this.reference.resultOf(request.sessionId, request.requestNumber);
    const isOfMaster = restsOnMaster(result, told !== undefined);
    const { reads } = process.settings;
    if (reads === "lease") this.#leases.checkAnswer(process, isOfMaster, validUntil);
    else if (isOfMaster || validUntil !== NEVER) {
      assert(this.#quorumReads !== undefined, "where reads may ask a quorum somebody looks on");
      this.#quorumReads.check(process.id, request, reply);
      this.coverage.add("reads proven by a quorum");
    }
    if (result?.$case === "keepAlive") {
      this.#expiry.onGranted(request, result.value.leaseMs, reads);
    }
    if (result?.$case === "error" && result.value.code === ERROR_CODES.overloaded.id) {
      this.coverage.add("requests refused for want of room");
    }
    if (result === undefined || result.$case === "error" || request.requestNumber === 0) return;
    if (told === undefined) return;
    this.clientChecker.checkReply(request, reply);
    this.#acknowledged = Math.max(this.#acknowledged, told.index);
    if (this.time.now < this.#lookUpAt) return;
    const areWell = this.replicas.every((each) => each.isRunning && each.diskMs === undefined);
    const isNews = this.time.now < this.electedAt + ELECTION_IS_NEWS_MS;
    const usualMs = areWell ? LOOK_UP_EVERY_MS : LOOK_UP_OFTEN_MS;
    const everyMs = isNews ? LOOK_UP_AFTER_ELECTION_MS : usualMs;
    this.#lookUpAt = this.time.now + this.#checkRng.below(2 * everyMs);
    this.coverage.add("quorum durability looked up");
    this.#durability.check(told.index, `replica ${process.id} acknowledges ${told.index}`);
  }

  onLate({ requestNumber }: Request): void {
    if (requestNumber > 0) this.coverage.add("requests of connections left");
  }

  // ClientHouse

  connect(process: ClientProcess, connection: ConnectionId, address: string): void {
    this.lane.connect(process, connection, address);
  }

  send(process: ClientProcess, connection: ConnectionId, request: Request): void {
    this.chart?.(`${this.#at()}  ${process.name} --> ${describeRequest(request)}`);
    this.pace.onSend(process.name, request, this.time.now);
    this.#onNumber(process, request);
    this.lane.send(process, connection, request);
  }

  #onNumber(process: ClientProcess, request: Request): void {
    const { requestNumber, lowestUnanswered } = request;
    if (requestNumber >= lowestUnanswered + this.plan.windowMax) {
      const detail = `${process.name} sends ${describeRequest(request)} while ${lowestUnanswered} is unanswered`;
      throw new Violation(23, "window-kept", detail);
    }
    const renumbered = this.#askedAnew.onSend(request);
    if (renumbered === "keptItsPlace") this.coverage.add("waiters asked for anew");
    if (renumbered === "leftItsPlace") this.clientChecker.onPlaceLeft(request.call);
  }

  disconnect(process: ClientProcess, connection: ConnectionId): void {
    this.lane.disconnect(process, connection);
  }

  onClientInput(process: ClientProcess, input: ClientInput): void {
    this.coreEvents += 1;
    this.hash.number(this.time.now);
    this.hash.number(-process.id);
    this.hash.text(input.kind);
    if (input.kind === "wake") this.pace.onWake(process.name, this.time.now);
    if (this.chart !== undefined && input.kind === "reply") {
      this.chart(`${this.#at()}  ${process.name} <-- ${describeReply(input.reply)}`);
    }
  }

  onCalled(process: ClientProcess, call: Call): void {
    this.clientChecker.onCalled(process, call, this.time.now);
    this.history.onCalled(process, call, this.time.now);
  }

  onSettled(process: ClientProcess, call: Call): void {
    this.clientChecker.onSettled(process.id, call);
    this.history.onSettled(call, this.time.now);
  }

  onSession(process: ClientProcess, session: SessionMachine, event: SessionEvent): void {
    this.hash.text(event.kind);
    this.chart?.(`${this.#at()}  ${process.name} session ${session.sessionId} ${event.kind}`);
    if (event.kind === "jeopardy") this.coverage.add("jeopardies");
    if (event.kind !== "safe") return;
    this.coverage.add("jeopardies survived");
    this.clientChecker.checkAllBeliefs();
  }

  // Stage

  uniqueText(): string {
    this.#written += 1;
    return `v${this.#written}`;
  }

  onHolds(hold: Hold): () => void {
    this.onHeld?.(hold.process);
    return this.clientChecker.onHolds(hold);
  }

  /** The resource is elsewhere: what is sent to it takes a while. */
  use(hold: Hold): void {
    const ms = 0.2 + this.#useRng.below(40) / 10;
    this.time.after(ms, () => this.clientChecker.onUsed(hold));
  }

  #at(): string {
    return this.time.now.toFixed(2).padStart(10);
  }
}

/** When there may be two masters, if ever. */
const CLAIMS: ReadonlySet<Trace["kind"]> = new Set(["leading", "leaseGranted", "serving"] as const);

/** When sessions and lock-delays are given time anew. */
const DISTURBS: ReadonlySet<Trace["kind"]> = new Set(["leading", "serving", "timeMoved"] as const);

const MOMENTS: ReadonlySet<Trace["kind"]> = new Set<Trace["kind"]>([
  "promised",
  "preparing",
  "adopted",
  "synchronised",
  "learned",
  "snapshotStarted",
  "snapshotInstalled",
  "snapshotDurable",
  "leading",
  "leaseGranted",
  "epochBegun",
  "serving",
  "expiryDecided",
  "lockDelayBegun",
  "genesisAdopted",
]);

function describeRequest({ sessionId, requestNumber, call }: Request): string {
  return `${call?.$case} ${sessionId}/${requestNumber}`;
}

function describeReply({ tag, result }: Reply): string {
  const what = result?.$case === "error" ? result.value.detail : result?.$case;
  return `tag ${tag}: ${what}`;
}
