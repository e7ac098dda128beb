import { after, type Instant, msBetween, NEVER } from "@cubby/base";
import type { ConnectionId } from "@cubby/cell";
import type { ReplicaId } from "@cubby/paxos";
import type { Reply, Request } from "@cubby/protocol";
import { type Clock, monotonicNow } from "./clock.ts";
import type { DiskCompletion, DiskRequest } from "./core/disk.ts";
import type { Replica, ReplicaInput, ReplicaOutput, Trace } from "./core/replica.ts";
import { DiskTimes } from "./disk-times.ts";

/** Where a replica's outputs go. Each is an adapter without decisions of its own. */
export type RuntimePorts = {
  readonly disk: { submit(requests: readonly DiskRequest[]): void };
  readonly peers: { send(to: number, bytes: Uint8Array): void; flush(): void };
  readonly clients: {
    send(connection: number, reply: Reply, validUntil: Instant): void;
    flush(): void;
  };
  /** Told the time of each input before the replica is: a pause is noticed before it is judged. */
  readonly beforeInput: (now: Instant) => void;
  readonly onTrace: (trace: Trace) => void;
  /** Of what commits records, and of nothing else that is written. */
  readonly onJournalAppend: (tookMs: number) => void;
  /** The replica must not go on. Called once. */
  readonly onEnded: (ended: NonNullable<ReplicaOutput["ended"]>) => void;
  readonly now?: Clock;
};

/** A timer that fires late by less than this is not re-armed: an early wake costs less. */
const TIMER_SLACK_MS = 1;
const TIMER_MS_MAX = 60_000;

/**
 * Drives one replica: everything that arrives in a turn of the event loop goes in, then all that
 * comes out is carried out at once. The loop, one timer, and no decisions.
 */
export class Runtime {
  readonly #replica: Replica;
  readonly #ports: RuntimePorts;
  readonly #now: Clock;
  #drainSoon: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAt: Instant = NEVER;
  #stopped = false;
  readonly #diskTimes: DiskTimes;

  constructor(replica: Replica, ports: RuntimePorts) {
    this.#replica = replica;
    this.#ports = ports;
    this.#now = ports.now ?? monotonicNow;
    this.#diskTimes = new DiskTimes(ports.onJournalAppend);
    this.#scheduleDrain();
  }

  onRequest(connection: number, request: Request): void {
    this.#feed({ kind: "request", connection: connection as ConnectionId, request });
  }

  onDisconnected(connection: number): void {
    this.#feed({ kind: "disconnected", connection: connection as ConnectionId });
  }

  onPeerFrame(from: number, incarnation: string, bytes: Uint8Array): void {
    // The engine keeps views of what it logs, and the lane reuses nothing that it hands out.
    this.#feed({ kind: "peerFrame", from: from as ReplicaId, incarnation, bytes });
  }

  onDisk(completion: DiskCompletion): void {
    this.#diskTimes.onCompletion(completion.id);
    this.#feed({ kind: "disk", completion });
  }

  /** Called from `beforeInput`, so it must not ask for it again. */
  onStalled(stalledMs: number): void {
    if (this.#stopped) return;
    this.#replica.step(this.#now(), { kind: "stalled", stalledMs });
    this.#scheduleDrain();
  }

  onSuspended(): void {
    this.#feed({ kind: "suspended" });
  }

  oldestDiskRequestMs(): number {
    return this.#diskTimes.oldestMs();
  }

  handOver(): void {
    this.#feed({ kind: "handOver" });
  }

  status(): ReturnType<Replica["facts"]> {
    return this.#replica.facts(this.#now());
  }

  get proposed(): number {
    return this.#replica.proposed;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#drainSoon);
  }

  #feed(input: ReplicaInput): void {
    if (this.#stopped) return;
    this.#ports.beforeInput(this.#now());
    // Read only now: the input's bytes are in memory, a pause before this line is seen by it, and
    // what a stall made the replica do just before came earlier.
    this.#replica.step(this.#now(), input);
    this.#scheduleDrain();
  }

  #submit(requests: readonly DiskRequest[]): void {
    for (const request of requests) this.#diskTimes.onRequest(request);
    this.#ports.disk.submit(requests);
  }

  #scheduleDrain(): void {
    this.#drainSoon ??= setImmediate(() => {
      this.#drainSoon = undefined;
      this.#drain();
    });
  }

  #drain(): void {
    if (this.#stopped) return;
    const output = this.#replica.take();
    for (const trace of output.trace) this.#ports.onTrace(trace);
    if (output.ended !== undefined) {
      this.stop();
      this.#ports.onEnded(output.ended);
      return;
    }
    for (const { to, bytes } of output.peerFrames) this.#ports.peers.send(to, bytes);
    // Accepts leave before our own write begins: the quorum's disks work beside ours.
    this.#ports.peers.flush();
    for (const { to, reply, validUntil } of output.replies) {
      this.#ports.clients.send(to, reply, validUntil);
    }
    this.#ports.clients.flush();
    if (output.disk.length > 0) this.#submit(output.disk);
    this.#arm(output.wakeAt);
  }

  #arm(wakeAt: Instant): void {
    if (wakeAt === NEVER) return;
    const isSoonEnough =
      this.#timer !== undefined && this.#timerAt <= after(wakeAt, TIMER_SLACK_MS);
    if (isSoonEnough) return;
    clearTimeout(this.#timer);
    const delayMs = Math.min(TIMER_MS_MAX, Math.max(0, msBetween(this.#now(), wakeAt)));
    this.#timerAt = wakeAt;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#feed({ kind: "wake" });
    }, delayMs);
  }
}
