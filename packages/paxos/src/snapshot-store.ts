import { after, crc32c, type Instant } from "@cubby/base";
import type { Ballot, Slot } from "./ballot.ts";
import { SNAPSHOT_PIN_MS } from "./limits.ts";
import type { SnapshotIdentity, SnapshotPartMessage } from "./messages.ts";

type Snapshot = { readonly identity: SnapshotIdentity; readonly bytes: Uint8Array };

/**
 * The snapshot that laggards are served from, and the one before it for as long as somebody is in
 * the middle of fetching it: else a host that snapshots often could starve them for ever (P13).
 */
export class SnapshotStore {
  readonly #partBytes: number;
  #current:
    | { slot: Slot; leaseMs: number; bytes: Uint8Array; checksum: number | undefined }
    | undefined;
  #pinned: { readonly snapshot: Snapshot; until: Instant } | undefined;
  #servedAt: Instant | undefined;

  constructor(partBytes: number) {
    this.#partBytes = partBytes;
  }

  get slot(): Slot {
    return this.#current?.slot ?? 0;
  }

  put(now: Instant, slot: Slot, leaseMs: number, bytes: Uint8Array): void {
    if (this.#current !== undefined && slot <= this.#current.slot) return;
    const served = this.#servedAt !== undefined && after(this.#servedAt, SNAPSHOT_PIN_MS) > now;
    const pinned = this.#pinned !== undefined && this.#pinned.until > now;
    const snapshot = served && !pinned ? this.#snapshot() : undefined;
    if (snapshot !== undefined) this.#pinned = { snapshot, until: after(now, SNAPSHOT_PIN_MS) };
    this.#current = { slot, leaseMs, bytes, checksum: undefined };
    this.#servedAt = undefined;
  }

  /** The part at `offset` of the snapshot at `slot`, or the start of the current one. */
  part(now: Instant, ballot: Ballot, slot: Slot, offset: number): SnapshotPartMessage | undefined {
    const pinned = this.#pinned;
    if (pinned !== undefined && pinned.snapshot.identity.slot === slot && pinned.until > now) {
      pinned.until = after(now, SNAPSHOT_PIN_MS);
      return this.#cut(pinned.snapshot, ballot, offset);
    }
    const snapshot = this.#snapshot();
    if (snapshot === undefined) return undefined;
    // Who names a snapshot is in the middle of one, and of this one from now on. An offer binds nothing.
    if (slot !== 0) this.#servedAt = now;
    return this.#cut(snapshot, ballot, slot === snapshot.identity.slot ? offset : 0);
  }

  /** The oldest snapshot that somebody is in the middle of fetching. */
  servedSlot(now: Instant): Slot | undefined {
    this.expire(now);
    if (this.#pinned !== undefined) return this.#pinned.snapshot.identity.slot;
    const served = this.#servedAt !== undefined && after(this.#servedAt, SNAPSHOT_PIN_MS) > now;
    return served ? this.#current?.slot : undefined;
  }

  /** Lets the older snapshot go once nobody fetches it any more. */
  expire(now: Instant): void {
    if (this.#pinned !== undefined && this.#pinned.until <= now) this.#pinned = undefined;
  }

  #snapshot(): Snapshot | undefined {
    const current = this.#current;
    if (current === undefined) return undefined;
    const { slot, leaseMs, bytes } = current;
    // Only who is asked for a snapshot pays for its checksum, and once.
    current.checksum ??= crc32c(bytes);
    return {
      identity: { slot, leaseMs, sizeBytes: bytes.length, checksum: current.checksum },
      bytes,
    };
  }

  #cut(snapshot: Snapshot, ballot: Ballot, wanted: number): SnapshotPartMessage {
    const { identity, bytes } = snapshot;
    const offset = wanted < bytes.length ? wanted : 0;
    const end = Math.min(bytes.length, offset + this.#partBytes);
    const part = bytes.subarray(offset, end);
    return { kind: "snapshotPart", ballot, ...identity, offset, bytes: part };
  }
}
