import type { CellStatus } from "@cubby/cell";
import { LockMode } from "@cubby/protocol";
import type { ClientProcess } from "./client-process.ts";
import type { Coverage } from "./coverage.ts";
import type { ReferenceCell } from "./reference-cell.ts";
import { Violation } from "./violation.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** How far a clock may be off, with a little for whole milliseconds: DESIGN's ε. */
const RATE_BOUND = 0.11;
/** Until the command that ends a lock-delay is in the log; one that gets lost is made again. */
const DELAY_ENDS_WITHIN_MS = 3_000;

/** What must hold whenever a command has been applied for the first time (reliability §3, 13-20). */
export class CellChecker {
  readonly #reference: ReferenceCell;
  readonly #coverage: Coverage;
  readonly #time: VirtualTime;
  /** Paths in delay: since when, in true time, and for how long. */
  readonly #delays = new Map<string, { readonly at: number; readonly ms: number }>();
  readonly #delayedUntil = new Map<string, number>();
  readonly #generations = new Map<string, number>();
  readonly #freedAt = new Map<string, number>();
  /** When each lock was last held. */
  readonly #heldUntil = new Map<string, number>();
  readonly #sessionIds = new Set<number>();
  #disturbedAt = 0;

  constructor(reference: ReferenceCell, coverage: Coverage, time: VirtualTime) {
    this.#reference = reference;
    this.#coverage = coverage;
    this.#time = time;
  }

  onCommand(clients: readonly ClientProcess[]): void {
    const { expired, ended, began, isReplay, cancelled } = this.#reference;
    const { recreated, abandoned } = this.#reference;
    if (recreated) this.#coverage.add("nodes deleted and re-created");
    if (ended.length > 0) this.#coverage.add("ephemerals gone with their session", abandoned);
    if (isReplay) this.#coverage.add("dedupe hits");
    if (cancelled) this.#coverage.add("acquires cancelled");
    if (began > 0) this.#onBegan(began);
    if (expired > 0) this.#onExpired(expired, clients);
    else if (ended.length > 0) this.#coverage.add("sessions ended on purpose");
    this.#onLocks();
  }

  /** A master has begun, or has moved all deadlines; or faults are under way. */
  onDisturbed(): void {
    this.#disturbedAt = this.#time.now;
  }

  /** Delays that nobody has ended, though by every clock they are long over. */
  delaysOverdue(slackMs: number): readonly string[] {
    const { now } = this.#time;
    return [...this.#delays]
      .filter(([, { at, ms }]) => now > at + ms + slackMs)
      .map(([path]) => path);
  }

  wasDelayed(path: string, sinceMs: number): boolean {
    return this.#delays.has(path) || (this.#delayedUntil.get(path) ?? -1) >= sinceMs;
  }

  /** Held, or kept by a lock-delay. */
  wasTaken(path: string, sinceMs: number): boolean {
    const mode = this.#reference.nodes.get(path)?.mode ?? LockMode.FREE;
    if (mode !== LockMode.FREE || (this.#heldUntil.get(path) ?? -1) >= sinceMs) return true;
    return this.wasDelayed(path, sinceMs);
  }

  /** Who holds the lock now; undefined while a lock-delay keeps it, or where there is none. */
  modeOf(path: string): LockMode | undefined {
    return this.#delays.has(path) ? undefined : this.#reference.nodes.get(path)?.mode;
  }

  /** The production state counts the same things as the reference does. */
  onCounts(status: CellStatus, index: number): void {
    const { sessions, nodes, locksHeld, paxosEpoch, clientEpoch } = this.#reference;
    const expected = [sessions.size, nodes.size + 1, locksHeld, paxosEpoch, clientEpoch].join(" ");
    const seen = [
      status.sessions,
      status.nodes,
      status.locksHeld,
      status.paxosEpoch,
      status.clientEpoch,
    ].join(" ");
    if (seen === expected) return;
    const detail = `at ${index}: sessions, nodes, locks, epochs are ${seen}, and not ${expected}`;
    throw new Violation(13, "state-as-specified", detail);
  }

  /** P17. */
  #onBegan(sessionId: number): void {
    if (this.#sessionIds.has(sessionId)) {
      throw new Violation(10, "session-ids-unique", `session ${sessionId} begins again`);
    }
    this.#sessionIds.add(sessionId);
  }

  /** 18: no session is expired while its client may still rely on it. */
  #onExpired(sessionId: number, clients: readonly ClientProcess[]): void {
    this.#coverage.add("sessions expired");
    for (const client of clients) {
      if (client.isDead) continue;
      for (const session of client.sessions) {
        if (session.sessionId !== sessionId || !client.relies(session)) continue;
        const leftMs = session.leaseDeadline - client.localNow();
        const detail = `session ${sessionId} of ${client.name} expires ${leftMs} ms early`;
        throw new Violation(18, "no-early-expiry", detail);
      }
    }
  }

  #onLocks(): void {
    const { granted, freed, delaysBegun, delayEnded, expired } = this.#reference;
    const { now } = this.#time;
    if (freed.length > 0 && expired > 0) this.#coverage.add("locks freed by expiry", freed.length);
    for (const path of freed) {
      this.#freedAt.set(path, now);
      this.#heldUntil.set(path, now);
    }
    for (const { path, ms } of delaysBegun) {
      this.#coverage.add("lock-delays begun");
      this.#delays.set(path, { at: now, ms });
    }
    if (delayEnded !== undefined) this.#onDelayEnded(delayEnded);
    if (granted === undefined) return;
    this.#coverage.add("locks granted");
    if (granted.mode === LockMode.SHARED) this.#coverage.add("shared locks granted");
    const since = this.#freedAt.get(granted.path);
    if (since !== undefined && now - since < 50) this.#coverage.add("locks granted after waiting");
    this.#freedAt.delete(granted.path);
    const last = this.#generations.get(granted.path) ?? 0;
    const isShared = granted.mode === LockMode.SHARED && granted.generation === last;
    if (granted.generation <= last && !isShared) {
      const detail = `${granted.path} is granted at ${granted.generation} after ${last}`;
      throw new Violation(14, "sequencers-grow", detail);
    }
    this.#generations.set(granted.path, granted.generation);
  }

  /** 20: at its time, measured by the slowest and the fastest clock there may be. */
  #onDelayEnded(path: string): void {
    this.#coverage.add("lock-delays ended");
    if (this.#freedAt.has(path)) this.#freedAt.set(path, this.#time.now);
    const delay = this.#delays.get(path);
    if (delay === undefined) return;
    this.#delays.delete(path);
    this.#delayedUntil.set(path, this.#time.now);
    const lastedMs = this.#time.now - delay.at;
    const isShort = lastedMs < delay.ms * (1 - RATE_BOUND);
    // A new master times it anew, and who stands still ends nothing.
    const timedMs = this.#time.now - Math.max(delay.at, this.#disturbedAt);
    const isLong = timedMs > delay.ms * (1 + RATE_BOUND) + DELAY_ENDS_WITHIN_MS;
    if (!isShort && !isLong) return;
    const detail = `the lock-delay of ${path} ends after ${lastedMs} of ${delay.ms} ms`;
    throw new Violation(20, "lock-delay-kept", detail);
  }
}
