import type { Rng } from "@cubby/base";
import { drawExponential, type Plan } from "./plan.ts";
import type { FaultKind } from "./run-result.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** Replicas have their ids, clients negative ones: one space of names for the ends of links. */
export type EndId = number;

/** A narrow link is one of the slow ones until it loses something. */
type LinkFault = FaultKind | "N5-narrow-link";

type Link = {
  cuts: number;
  /** What comes before this instant stays in the pipe, and then all comes at once. */
  cloggedUntil: number;
  extraMs: number;
  /** Of packets, besides what the plan has lost. */
  lossRate: number;
  /** What is under way at most; what else is sent is lost. */
  capacity: number;
  underWay: number;
  lastArrival: number;
  /** When what was sent so far has gone in. */
  freeAt: number;
};

/** A packet that a link delivers once more, long after. */
const OLD_AFTER_MS_MIN = 50;
const OLD_AFTER_MS_MAX = 120_000;
const QUEUED_LONG_MS = 100;
/** Most come back while what they are about is recent: about one change of master later. */
const RECENT_MS_MAX = 4_000;
/** What an end was sent and may be sent once more: so many of the latest. */
const KEPT_MAX = 512;
/** How long a stream waits before it tries a link again that lost or refused its bytes; then longer. */
const RETRANSMIT_MS = 200;
const RETRANSMIT_DOUBLINGS_MAX = 7;

/**
 * All links between all ends, each direction on its own. Between replicas go packets, which may be
 * lost, doubled, late and out of order (our own lane keeps order and connections; this is worse).
 * Between clients and replicas go streams, as TCP gives them: in order, or not at all.
 */
export class Network {
  readonly #time: VirtualTime;
  readonly #rng: Rng;
  readonly #plan: Plan;
  readonly #links = new Map<number, Link>();
  #heals = 0;
  readonly #kept = new Map<EndId, (() => void)[]>();
  /** The faults of links: once off, every packet arrives. */
  isFaulty = true;
  /** Packets lost, doubled, spoiled or come again; not what a cut swallows, which is one fault however much that is. */
  faults = 0;
  onFault: ((kind: LinkFault) => void) | undefined;
  /** A packet waits for a good part of an election timeout behind those that were sent before it. */
  onQueuedLong: (() => void) | undefined;
  /** A packet arrives that was sent more than a minute ago. */
  onMinuteOld: (() => void) | undefined;

  constructor(time: VirtualTime, rng: Rng, plan: Plan) {
    this.#time = time;
    this.#rng = rng;
    this.#plan = plan;
  }

  isCut(from: EndId, to: EndId): boolean {
    return this.#link(from, to).cuts > 0;
  }

  /** Cuts nest: a link is open when all that cut it have healed. The result heals this one. */
  cut(from: EndId, to: EndId): () => void {
    const link = this.#link(from, to);
    link.cuts += 1;
    const heals = this.#heals;
    return () => {
      if (heals === this.#heals) link.cuts -= 1;
    };
  }

  /** Cuts all of these; the result heals them. */
  cutAll(links: readonly (readonly [EndId, EndId])[]): () => void {
    const heals = links.map(([from, to]) => this.cut(from, to));
    return () => {
      for (const heal of heals) heal();
    };
  }

  /** All cuts at once; whoever made them has nothing left to heal. */
  healCuts(): void {
    this.#heals += 1;
    for (const link of this.#links.values()) link.cuts = 0;
  }

  clog(from: EndId, to: EndId, ms: number): void {
    this.#link(from, to).cloggedUntil = this.#time.now + ms;
  }

  /** And, with a capacity, narrow: room for so many packets. */
  slow(from: EndId, to: EndId, extraMs: number, capacity = Number.POSITIVE_INFINITY): void {
    const link = this.#link(from, to);
    link.extraMs = extraMs;
    link.capacity = capacity;
  }

  /** These lose so many of their packets, also when all else is well. */
  lose(links: readonly (readonly [EndId, EndId])[], rate: number): void {
    for (const [from, to] of links) this.#link(from, to).lossRate = rate;
  }

  /** No more faults; what is in the pipes arrives, old packets included. */
  healAll(): void {
    this.isFaulty = false;
    this.healCuts();
    for (const link of this.#links.values()) {
      link.cloggedUntil = 0;
      link.extraMs = 0;
      link.capacity = Number.POSITIVE_INFINITY;
    }
  }

  packet(from: EndId, to: EndId, bytes: Uint8Array, deliver: (bytes: Uint8Array) => void): void {
    const link = this.#link(from, to);
    const { lossRate, duplicateRate, oldPacketRate, badFrameRate } = this.#plan;
    if (link.cuts > 0) return;
    if (link.underWay >= link.capacity) {
      this.#happened("N5-narrow-link");
      return;
    }
    if (link.lossRate > 0 && this.#rng.chance(link.lossRate)) return;
    if (!this.isFaulty) {
      this.#deliverLater(link, bytes, deliver);
      return;
    }
    if (badFrameRate > 0 && this.#rng.chance(badFrameRate)) {
      this.#happened("N6-bad-frames");
      this.#deliverLater(link, spoiled(bytes, this.#rng), deliver);
    }
    if (lossRate > 0 && this.#rng.chance(lossRate)) {
      this.#happened("N1-loss");
      return;
    }
    this.#deliverLater(link, bytes, deliver);
    if (duplicateRate > 0 && this.#rng.chance(duplicateRate)) {
      this.#happened("N1-duplicates");
      this.#deliverLater(link, bytes, deliver);
    }
    if (oldPacketRate > 0 && this.#rng.chance(oldPacketRate)) {
      this.#happened("N1-old-packets");
      const mostMs = this.#rng.chance(0.7) ? RECENT_MS_MAX : OLD_AFTER_MS_MAX;
      const ms = this.#rng.between(OLD_AFTER_MS_MIN, mostMs);
      this.#time.after(ms, () => {
        if (ms > 60_000) this.onMinuteOld?.();
        deliver(bytes);
      });
    }
  }

  /** Has the latest packets of this kind at hand, to deliver them once more at the worst moment. */
  keep(to: EndId, bytes: Uint8Array, deliver: (bytes: Uint8Array) => void): void {
    if (this.#plan.oldPacketRate === 0) return;
    const kept = this.#kept.get(to) ?? [];
    this.#kept.set(to, kept);
    kept.push(() => deliver(bytes));
    if (kept.length > KEPT_MAX) kept.shift();
  }

  /** N1: all that was kept for this end comes once more. */
  replay(to: EndId): void {
    const kept = this.#kept.get(to) ?? [];
    if (kept.length > 0) this.#happened("N1-old-packets");
    for (const deliver of kept) this.#time.after(this.#rng.below(1_000) / 1_000, deliver);
  }

  /** When bytes sent now on a stream arrive; a stream repeats what the link loses. */
  streamArrival(from: EndId, to: EndId): number {
    const link = this.#link(from, to);
    const { lossRate } = this.#plan;
    let at = this.#time.now + this.#delay(link);
    if (this.isFaulty && lossRate > 0 && this.#rng.chance(lossRate)) at += RETRANSMIT_MS;
    return Math.max(at, link.cloggedUntil);
  }

  /**
   * For a stream whose link is cut: when to try again, as TCP does. What a client sent on a connection
   * that it has left may come long after what it sent on the next one.
   */
  retryAt(tries: number): number {
    const ms = RETRANSMIT_MS * 2 ** Math.min(tries, RETRANSMIT_DOUBLINGS_MAX);
    return this.#time.now + ms * (0.5 + this.#rng.below(100) / 100);
  }

  #happened(kind: LinkFault): void {
    this.faults += 1;
    this.onFault?.(kind);
  }

  #deliverLater(link: Link, bytes: Uint8Array, deliver: (bytes: Uint8Array) => void): void {
    const { now } = this.#time;
    if (link.freeAt > now + QUEUED_LONG_MS) this.onQueuedLong?.();
    link.freeAt = Math.max(now, link.freeAt) + bytes.length / this.#plan.linkBytesPerMs;
    let at = Math.max(link.freeAt + this.#delay(link), link.cloggedUntil);
    if (this.#plan.keepsOrder) {
      at = Math.max(at, link.lastArrival);
      link.lastArrival = at;
    }
    link.underWay += 1;
    this.#time.at(at, () => {
      link.underWay -= 1;
      if (link.cuts === 0) deliver(bytes);
    });
  }

  #delay(link: Link): number {
    const { latencyMs, jitterMs } = this.#plan;
    return latencyMs + drawExponential(this.#rng, jitterMs) + link.extraMs;
  }

  #link(from: EndId, to: EndId): Link {
    const key = (from + 4_096) * 16_384 + to + 4_096;
    const known = this.#links.get(key);
    if (known !== undefined) return known;
    const capacity = Number.POSITIVE_INFINITY;
    const link = {
      cuts: 0,
      cloggedUntil: 0,
      extraMs: 0,
      lossRate: 0,
      capacity,
      underWay: 0,
      lastArrival: 0,
      freeAt: 0,
    };
    this.#links.set(key, link);
    return link;
  }
}

/**
 * What passes a checksum and is no message all the same: cut short, too long, or of another version.
 * (Bits that flipped on the way never pass the lane's checksum: to the core that is a loss.)
 */
function spoiled(bytes: Uint8Array, rng: Rng): Uint8Array {
  const how = rng.below(3);
  if (how === 0) return bytes.slice(0, rng.below(bytes.length));
  const longer = new Uint8Array(bytes.length + (how === 1 ? 1 + rng.below(64) : 0));
  longer.set(bytes);
  if (how === 2) longer[0] = 2 + rng.below(250);
  return longer;
}
