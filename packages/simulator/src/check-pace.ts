import type { PaxosMessage } from "@cubby/paxos";
import type { Request } from "@cubby/protocol";
import { Violation } from "./violation.ts";

/** A healthy process is woken some thirty times a second, a client with forty sessions some sixty. */
const WAKES_PER_SECOND_MAX = 500;
/** A request that is refused or lost is repeated after growing pauses. */
const REPEATS_PER_SECOND_MAX = 60;
/** What a client asks without a number, and how often it may: it may have a thousand sessions. */
const ASKED_PER_SECOND_MAX: Partial<Record<CallCase, number>> = {
  locate: 250,
  createSession: 10_000,
  keepAlive: 60,
};
/** Of what came while a process stood still, for a minute and a half, each is answered. */
const ANSWERS_PER_SECOND_MAX = 2_000;
/** What one replica tells another whatever the load is. */
const TOLD_PER_SECOND_MAX: Partial<Record<PaxosMessage["kind"], number>> = {
  heartbeatRequest: 60,
  heartbeatReply: ANSWERS_PER_SECOND_MAX,
  prepare: 60,
  promise: ANSWERS_PER_SECOND_MAX,
  prepareRequest: 60,
  nack: ANSWERS_PER_SECOND_MAX,
  genesisComplete: ANSWERS_PER_SECOND_MAX,
  leaseRelease: 60,
};
/** In a calm of seconds, of each kind over each link: rounds of leases and heartbeats, and what is done. */
const TOLD_IN_CALM = 200;
const TOLD_FOR_EACH = 4;
/** Each part is asked for when the last one is there: who is far behind gets as many as the link takes. */
const PARTS: ReadonlySet<string> = new Set(["fetch", "logPart", "snapshotPart"]);
const PARTS_IN_CALM_MAX = 8_000;
const SECOND_MS = 1_000;

const SENDS_REMEMBERED_MAX = 4_096;

type CallCase = NonNullable<Request["call"]>["$case"];
type Count = { since: number; count: number };

/** 23: no process spins, asking again and again for what it cannot have yet. */
export class PaceChecker {
  readonly #wakes = new Map<string, Count>();
  readonly #sends = new Map<string, Count>();
  readonly #packets = new Map<string, Count>();
  /** Of the calm that it is, by link and kind. */
  #calmPackets: Map<string, number> | undefined;

  onWake(process: string, now: number): void {
    const count = countIn(this.#wakes, process, now);
    if (count <= WAKES_PER_SECOND_MAX) return;
    throw new Violation(23, "no-spin", `${process} was woken ${count} times in a second`);
  }

  onSend(process: string, { sessionId, requestNumber, call }: Request, now: number): void {
    if (call === undefined) return;
    const max = requestNumber === 0 ? ASKED_PER_SECOND_MAX[call.$case] : REPEATS_PER_SECOND_MAX;
    if (max === undefined) return;
    const what = requestNumber === 0 ? "" : `/${requestNumber}`;
    countStorm(this.#sends, `${process} ${call.$case} ${sessionId}${what}`, now, max);
  }

  /** From here on what replicas tell each other is held against what happens meanwhile. */
  beginCalm(): void {
    this.#calmPackets = new Map();
  }

  /** So many commands were chosen since, or calls answered. */
  endCalm(happened: number): void {
    const packets = this.#calmPackets ?? [];
    this.#calmPackets = undefined;
    for (const [name, count] of packets) {
      const kind = name.slice(name.lastIndexOf(" ") + 1);
      const max = PARTS.has(kind) ? PARTS_IN_CALM_MAX : TOLD_IN_CALM + TOLD_FOR_EACH * happened;
      if (count <= max) continue;
      const detail = `${name} was sent ${count} times in a calm, in which ${happened} commands or calls were done`;
      throw new Violation(23, "no-storm", detail);
    }
  }

  /** Once all is well. */
  onPacket(from: number, to: number, kind: PaxosMessage["kind"] | undefined, now: number): void {
    if (this.#calmPackets !== undefined) {
      const name = `r${from} to r${to} ${kind ?? "?"}`;
      this.#calmPackets.set(name, (this.#calmPackets.get(name) ?? 0) + 1);
    }
    const max = kind === undefined ? undefined : TOLD_PER_SECOND_MAX[kind];
    if (max !== undefined) countStorm(this.#packets, `r${from} to r${to} ${kind}`, now, max);
  }
}

function countStorm(counts: Map<string, Count>, name: string, now: number, max: number): void {
  if (counts.size >= SENDS_REMEMBERED_MAX) counts.clear();
  const count = countIn(counts, name, now);
  if (count <= max) return;
  throw new Violation(23, "no-storm", `${name} was sent ${count} times in a second`);
}

/** Of this one, in the second that it is in. */
function countIn(counts: Map<string, Count>, name: string, now: number): number {
  const known = counts.get(name);
  if (known === undefined || now >= known.since + SECOND_MS) {
    counts.set(name, { since: now, count: 1 });
    return 1;
  }
  known.count += 1;
  return known.count;
}
