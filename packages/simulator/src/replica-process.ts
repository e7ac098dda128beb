import { assert, type Instant, type Rng, toHex } from "@cubby/base";
import type { Cell, CellOptions, ConnectionId } from "@cubby/cell";
import { decodeMessage, messageKindOf, type PaxosMessage, replicaId } from "@cubby/paxos";
import type { Reply } from "@cubby/protocol";
import {
  type CrashModel,
  type DirectoryIdentity,
  type DiskRequest,
  drive,
  driveFor,
  format,
  type InjectedError,
  type JournalOptions,
  KILLED,
  type OutgoingReply,
  type RecoverResult,
  type RecoveryOptions,
  type Replica,
  type ReplicaInput,
  type ReplicaOutput,
  recover,
  SimDisk,
  STOPPED,
  startReplica,
  type Trace,
} from "@cubby/server/core";
import { type LifeSettings, SEGMENT_BYTES, settingsOf } from "./life-settings.ts";
import { type Applied, type CellObserver, ObservedCell } from "./observed-cell.ts";
import { hasThinLinks, type Plan } from "./plan.ts";
import { ProcessClock } from "./process-clock.ts";
import { Violation } from "./violation.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** What a replica process asks of the machine room around it. */
export interface ReplicaHouse {
  readonly time: VirtualTime;
  readonly plan: Plan;
  readonly seed: string;
  sendPacket(from: ReplicaProcess, to: number, bytes: Uint8Array): void;
  sendReply(from: ReplicaProcess, reply: OutgoingReply): void;
  onInput(process: ReplicaProcess, input: ReplicaInput): void;
  onTrace(process: ReplicaProcess, trace: Trace): void;
  onLeave(process: ReplicaProcess, message: PaxosMessage): void;
  onApplied(process: ReplicaProcess, cell: Cell, applied: Applied): void;
  onRestored(process: ReplicaProcess, cell: Cell, index: number): void;
  onSnapshot(process: ReplicaProcess, index: number, bytes: Uint8Array): void;
  onMade(reply: Reply): void;
  onRecovered(process: ReplicaProcess, result: RecoverResult | { kind: "contradiction" }): void;
  /** It stood still, and has had a turn since. */
  onResumed(): void;
  /** Its disk is what a crash left of it. */
  onCrashed(process: ReplicaProcess): void;
  /** It begins to write a snapshot, its own or a peer's. */
  onSnapshotFile: ((process: ReplicaProcess) => void) | undefined;
  /** The process has ended; by itself if a reason is given. */
  onStopped(process: ReplicaProcess, ended: ReplicaOutput["ended"]): void;
}

const CELL_ID = "00112233445566778899aabbccddeeff";
/** As the watchdog of the shell has them. */
const STALL_MS = 25;
const PERIOD_MS = 50;
/** How many reads a recovery takes, about. */
const READS_OF_RECOVERY = 12;
/** Inputs that one turn may take; more would be a storm (reliability 23). */
const INBOX_MAX = 50_000;

const JOURNAL: Omit<JournalOptions, "segmentBytes"> = {
  writeBytesMax: 16 * 1024,
  zeroChunkBytes: 16 * 1024,
  snapshotEveryBytes: 128 * 1024,
  backlogBytesMax: 16 << 20,
};

/** A sixteenth of the defaults, with which a thin link is one of 10 MB/s or 16. */
const THIN = { windowBytesMax: 128 << 10, batchBytesMax: 64 << 10, retainBytes: 2 << 20 };

const POWER_LOSS: CrashModel = { outcomes: ["old"] };
/** The process is gone, not the machine: what its system has in memory may still get lost. */
const ENDED: CrashModel = { ...STOPPED, keepsCache: true };

/**
 * One replica as a process on a machine: the production core, and around it what the shell does
 * (its loop, its timer, its watchdogs), which decides nothing.
 */
export class ReplicaProcess implements CellObserver {
  readonly id: number;
  readonly #house: ReplicaHouse;
  readonly #rng: Rng;
  identity: DirectoryIdentity;
  disk: SimDisk;
  /** Counts starts: what was under way in an earlier life reaches nobody. */
  life = 0;
  replica: Replica | undefined;
  cell: Cell | undefined;
  /** Its directory serves no more: it says so at each start and stays down. */
  isLost = false;
  /** Formatted anew: all that it ever promised is forgotten. */
  isWiped = false;
  readonly clock: ProcessClock;
  /** Of this life, or of the last one. */
  settings: LifeSettings;
  #inbox: ReplicaInput[] = [];
  #isTurnDue = false;
  /** How long a disk request takes; undefined: drawn for each. */
  diskMs: number | undefined;
  /** Only requests on files whose names begin so take as long as that. */
  slowFiles = "";
  /** The next request of that kind fails. */
  failsNext: { readonly kind: string; readonly code: string } | undefined;
  /** One has failed in this life: it must end itself. */
  hasFailed = false;
  /** Files in which bytes were changed behind its back. */
  readonly tampered = new Set<string>();
  /** A snapshot was among them, and the whole file went: nothing of it is left to be named. */
  hasLostSnapshot = false;
  /** A sector holds again what it held before: the header of a segment may be an older one. */
  hasStaleSector = false;
  /** Its links lose much, or come and go, until this is called. */
  steady: (() => void) | undefined;
  /** Down for good: whoever restarts processes has given up on this one. */
  staysDown = false;
  /** Requests handed to the disk and not completed: the moment at which a crash hurts most. */
  pendingWrites = 0;

  constructor(id: number, house: ReplicaHouse, rng: Rng) {
    this.id = id;
    this.#house = house;
    this.#rng = rng;
    this.clock = new ProcessClock(house.time, rng, house.plan);
    this.settings = settingsOf(house.plan, rng.fork("settings 0"));
    this.identity = this.#newIdentity();
    this.disk = formattedDisk(this.identity);
  }

  get isUp(): boolean {
    return this.replica !== undefined;
  }

  get isRunning(): boolean {
    return this.replica !== undefined && !this.clock.isPaused;
  }

  /** It would answer, if it were running. */
  get isServing(): boolean {
    return this.cell?.status(this.localNow()).isServing === true;
  }

  localNow(): Instant {
    return this.clock.now();
  }

  /** Under this name, or under the one that a snapshot has until it is whole. */
  wasTampered(file: string): boolean {
    return this.tampered.has(file) || this.tampered.has(`${file}.partial`);
  }

  // Life

  /** Recovers the directory as a process that starts does, and goes on from there if it may. */
  start(): void {
    assert(this.replica === undefined, "a replica is started once");
    this.life += 1;
    const fails = this.failsNext?.kind === "read" ? this.failsNext : undefined;
    // One read in so many, so that each file has its turn.
    let readsLeft = this.#rng.below(READS_OF_RECOVERY);
    this.disk.failWith((request) => {
      if (fails === undefined || request.kind !== "read" || readsLeft-- !== 0) return undefined;
      this.failsNext = undefined;
      this.tampered.add(request.file);
      return { code: fails.code, message: "injected" };
    });
    const result = this.recoverFrom(this.disk);
    this.disk.failWith(undefined);
    if (result.kind !== "recovered") {
      this.isLost = true;
      this.#house.onRecovered(this, result);
      return;
    }
    const { plan, seed } = this.#house;
    this.settings = settingsOf(plan, this.#rng.fork(`settings ${this.life}`));
    const { timers, reads, segmentBytes, snapshotEverySlots } = this.settings;
    const members = Array.from({ length: plan.replicas }, (_, i) => replicaId(i + 1));
    const engine = {
      members,
      seed: `${seed}/${this.id}/${this.life}`,
      retainSlots: plan.retainSlots,
      snapshotPartBytes: plan.snapshotPartBytes,
      batchEntriesMax: 64,
      learnBytes: plan.snapshotPartBytes / 4,
      ...timers,
      ...(hasThinLinks(plan) ? THIN : {}),
    };
    const settings = {
      engine,
      journal: { ...JOURNAL, segmentBytes },
      createCell: (log: ConstructorParameters<typeof Cell>[1]) => {
        this.cell = new ObservedCell(this.#cellOptions(), log, this);
        return this.cell;
      },
      snapshotEverySlots,
      reads,
      version: "sim",
      processId: this.id,
    };
    const started = startReplica(result, settings, this.localNow());
    if (started.kind === "contradiction") {
      this.isLost = true;
      this.#house.onRecovered(this, started);
      return;
    }
    this.replica = started.replica;
    this.#house.onRecovered(this, result);
    this.#scheduleTurn();
  }

  recoverFrom(disk: SimDisk): RecoverResult {
    return drive(disk, recover(this.#recovery));
  }

  /** A recovery that ends after so many disk requests, by a crash; false when it took fewer. */
  crashInRecovery(requests: number): boolean {
    assert(this.replica === undefined, "a replica is started once");
    this.life += 1;
    const result = driveFor(this.disk, recover(this.#recovery), requests);
    this.disk = this.disk.crash(this.#rng, this.#rng.chance(0.3) ? KILLED : STOPPED);
    return result === undefined;
  }

  /** A recovery of which a change to the disk fails, if it makes so many: true. Its machine may go as well. */
  failInRecovery(changes: number, code: string): boolean {
    assert(this.replica === undefined, "a replica is started once");
    this.life += 1;
    const fail = failed(code, this.#rng);
    let left = changes;
    this.disk.failWith((request) =>
      CHANGES.has(request.kind) && left-- === 0 ? fail(request) : undefined,
    );
    const { kind } = this.recoverFrom(this.disk);
    this.disk.failWith(undefined);
    if (left < 0 && kind !== "failed") {
      const detail = `replica ${this.id} finds ${kind} though a change of its recovery failed: ${code}`;
      throw new Violation(24, "errors-end-recovery", detail);
    }
    this.disk = this.disk.crash(this.#rng, this.#rng.chance(0.3) ? STOPPED : ENDED);
    return kind === "failed";
  }

  /** The process ends, and of the writes under way so much counts as the kind of crash leaves. */
  crash(how: "killed" | "power loss" | "torn"): void {
    if (this.replica === undefined) return;
    const models = { killed: KILLED, "power loss": POWER_LOSS, torn: STOPPED };
    this.#stop(undefined);
    this.disk = this.disk.crash(this.#rng, models[how]);
    this.#house.onCrashed(this);
  }

  /** A directory formatted anew, under the same replica id: it must not vote under it again. */
  wipe(): void {
    assert(this.replica === undefined, "a running replica's directory is left alone");
    this.identity = this.#newIdentity();
    this.disk = formattedDisk(this.identity);
    this.isWiped = true;
  }

  /** Runs on at once, whatever it was paused for. */
  resume(): void {
    if (!this.clock.resume()) return;
    this.#isTurnDue = false;
    this.#scheduleTurn();
  }

  // What the shell does

  input(input: ReplicaInput): void {
    if (this.replica === undefined) return;
    assert(this.#inbox.length < INBOX_MAX, "a turn takes in what a turn can take in");
    this.#inbox.push(input);
    this.#scheduleTurn();
  }

  onMade(reply: Reply): void {
    this.#house.onMade(reply);
  }

  onApplied(cell: Cell, applied: Applied): void {
    this.#house.onApplied(this, cell, applied);
  }

  onRestored(cell: Cell, index: number): void {
    this.#house.onRestored(this, cell, index);
  }

  onSnapshot(index: number, bytes: Uint8Array): void {
    this.#house.onSnapshot(this, index, bytes);
  }

  #scheduleTurn(): void {
    if (this.#isTurnDue) return;
    this.#isTurnDue = true;
    const { life } = this;
    this.clock.nextTurn(() => {
      if (this.life === life && this.replica !== undefined) this.#turn(this.replica);
    });
  }

  /** A turn of the event loop: all that has come in, then all that comes out. */
  #turn(replica: Replica): void {
    this.#isTurnDue = false;
    const inbox = this.#inbox;
    this.#inbox = [];
    const { pausedMs, wasSuspended } = this.clock.takePause();
    if (wasSuspended) this.#step(replica, { kind: "suspended" });
    else {
      const stalledMs = Math.round(pausedMs) - PERIOD_MS;
      if (stalledMs >= STALL_MS) {
        this.#step(replica, { kind: "stalled", stalledMs });
        // Each socket is read in its turn: what came first is not what is read first.
        inbox.sort((a, b) => Number(b.kind === "request") - Number(a.kind === "request"));
      }
    }
    for (const input of inbox) this.#step(replica, input);
    this.#carryOut(replica.take());
    // 24: what is taken for durable and is not.
    const wasTold = inbox.some((input) => input.kind === "disk" && !input.completion.ok);
    if (this.hasFailed && wasTold && this.isUp) {
      const detail = `replica ${this.id} goes on though an operation of its disk failed`;
      throw new Violation(24, "errors-are-fatal", detail);
    }
    if (pausedMs > 0) this.#house.onResumed();
  }

  #step(replica: Replica, input: ReplicaInput): void {
    this.#house.onInput(this, input);
    replica.step(this.localNow(), input);
  }

  #carryOut(output: ReplicaOutput): void {
    for (const trace of output.trace) this.#house.onTrace(this, trace);
    if (output.ended !== undefined) {
      this.#stop(output.ended);
      this.disk = this.disk.crash(this.#rng, ENDED);
      this.#house.onCrashed(this);
      return;
    }
    for (const { to, bytes } of output.peerFrames) {
      if (VOWS.has(messageKindOf(bytes))) this.#house.onLeave(this, decodeMessage(bytes));
      this.#house.sendPacket(this, to, bytes);
    }
    for (const reply of output.replies) this.#house.sendReply(this, reply);
    this.disk.submit(output.disk);
    for (const request of output.disk) this.#completeLater(request);
    const { life } = this;
    this.clock.armWake(output.wakeAt, () => {
      if (this.life === life) this.input({ kind: "wake" });
    });
  }

  #completeLater(request: DiskRequest): void {
    const { disk, life } = this;
    const { id, kind } = request;
    const file = "file" in request ? request.file : "";
    if (kind === "create" && file.startsWith("snapshot-")) this.#house.onSnapshotFile?.(this);
    const slowMs = file.startsWith(this.slowFiles) ? this.diskMs : undefined;
    const delayMs = slowMs ?? 0.1 + this.#rng.below(300) / 1000;
    if (kind === "write") this.pendingWrites += 1;
    this.#house.time.after(delayMs, () => {
      if (this.disk !== disk || this.life !== life) return;
      if (kind === "write") this.pendingWrites -= 1;
      const index = disk.waiting.findIndex((request) => request.id === id);
      const failure = this.failsNext;
      if (failure !== undefined && failure.kind === kind) {
        this.failsNext = undefined;
        this.hasFailed = true;
        disk.failWith(failed(failure.code, this.#rng));
      }
      const completion = disk.complete(index);
      disk.failWith(undefined);
      this.input({ kind: "disk", completion });
    });
  }

  #stop(ended: ReplicaOutput["ended"]): void {
    this.replica = undefined;
    this.cell = undefined;
    this.life += 1;
    this.#inbox = [];
    this.#isTurnDue = false;
    this.clock.startOver();
    this.pendingWrites = 0;
    this.failsNext = undefined;
    this.#house.onStopped(this, ended);
    this.hasFailed = false;
  }

  get #recovery(): RecoveryOptions {
    return { expected: { cellName: "local", replica: this.id } };
  }

  #newIdentity(): DirectoryIdentity {
    const incarnation = toHex(this.#rng.bytes(16));
    return { cellId: CELL_ID, cellName: "local", replica: this.id, incarnation };
  }

  #cellOptions(): CellOptions {
    const replicas = Array.from({ length: this.#house.plan.replicas }, (_, i) => ({
      replicaId: i + 1,
      address: addressOf(i + 1),
    }));
    const keyMaterial = this.#rng.bytes(16);
    const { stretchAboveSessions, proposedBytesMax } = this.#house.plan;
    const limits = { stretchAboveSessions, proposedBytesMax, quotas: this.settings.quotas };
    return { cellName: "local", replicaId: this.id, replicas, keyMaterial, ...limits };
  }
}

export function addressOf(replica: number): string {
  return `127.0.0.1:${7_000 + replica}`;
}

export function replicaAt(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1)) - 7_000;
}

/** A request of a client as the core takes it. */
export function requestInput(
  connection: number,
  request: Extract<ReplicaInput, { kind: "request" }>["request"],
): ReplicaInput {
  return { kind: "request", connection: connection as ConnectionId, request };
}

export function disconnectedInput(connection: number): ReplicaInput {
  return { kind: "disconnected", connection: connection as ConnectionId };
}

/** A write that could not be synced is in memory, one that ran out of room up to some byte. */
function failed(code: string, rng: Rng): (request: DiskRequest) => InjectedError {
  return (request) => {
    const sizeBytes = request.kind === "write" ? request.bytes.length : 0;
    const cachedBytes = code === "EIO" ? sizeBytes : rng.below(sizeBytes + 1);
    return { code, message: "injected", cachedBytes };
  };
}

/** What is asked of a disk that does more than read. */
const CHANGES: ReadonlySet<DiskRequest["kind"]> = new Set([
  "write",
  "create",
  "rename",
  "remove",
  "syncDirectory",
] as const);

/** What binds whoever says it, over all its lives. */
const VOWS: ReadonlySet<PaxosMessage["kind"] | undefined> = new Set([
  "prepare",
  "promise",
  "accepted",
  "leaseGrant",
] as const);

function formattedDisk(identity: DirectoryIdentity): SimDisk {
  const disk = new SimDisk();
  const result = drive(disk, format({ identity, segmentBytes: SEGMENT_BYTES }));
  assert(result.kind === "formatted", "an empty directory can be formatted");
  return disk;
}
