import { type Instant, NEVER } from "@cubby/base";
import type { Request } from "@cubby/protocol";
import type { ConnectionId } from "../options.ts";

export type HeldRequest = {
  readonly from: ConnectionId;
  readonly request: Request;
  /** When it is to be answered whatever happens. */
  readonly until: Instant;
};

type Entry = HeldRequest & { isGone: boolean };

const REQUESTS_MAX = 16_384;
export const HELD_BYTES_MAX = 64 * 1024 * 1024;
/** From so many on, entries that are gone are swept out once they are the greater part. */
const GONE_MAX = 64;

/** Requests that cannot be served yet, in order of arrival, bounded in number and in bytes. */
export class HeldRequests {
  /** Some of them are gone; those before `#head` all are. */
  #entries: Entry[] = [];
  #head = 0;
  #size = 0;
  #bytes = 0;
  /** In a fail-over clients leave by the thousand: none may cost a look at all that is held. */
  readonly #byConnection = new Map<ConnectionId, Set<Entry>>();

  get size(): number {
    return this.#size;
  }

  get firstUntil(): Instant {
    return this.#first()?.until ?? NEVER;
  }

  /** False when there is no room for it. */
  add(from: ConnectionId, request: Request, until: Instant = NEVER): boolean {
    if (this.#size >= REQUESTS_MAX || this.#bytes >= HELD_BYTES_MAX) return false;
    const entry = { from, request, until, isGone: false };
    this.#entries.push(entry);
    this.#size += 1;
    this.#bytes += weightOf(request);
    const known = this.#byConnection.get(from);
    if (known === undefined) this.#byConnection.set(from, new Set([entry]));
    else known.add(entry);
    return true;
  }

  /** The next one whose time is over. All wait equally long, so the first is the first due. */
  takeDue(now: Instant): HeldRequest | undefined {
    const due = this.#first();
    if (due === undefined || due.until > now) return undefined;
    this.#remove(due);
    const known = this.#byConnection.get(due.from);
    known?.delete(due);
    if (known?.size === 0) this.#byConnection.delete(due.from);
    return due;
  }

  takeAll(): HeldRequest[] {
    const all = this.#entries.filter((entry) => !entry.isGone);
    this.#entries = [];
    this.#head = 0;
    this.#size = 0;
    this.#bytes = 0;
    this.#byConnection.clear();
    return all;
  }

  dropFrom(connection: ConnectionId): void {
    const dropped = this.#byConnection.get(connection);
    if (dropped === undefined) return;
    this.#byConnection.delete(connection);
    for (const entry of dropped) this.#remove(entry);
  }

  #first(): Entry | undefined {
    while (this.#entries[this.#head]?.isGone) this.#head += 1;
    return this.#entries[this.#head];
  }

  #remove(entry: Entry): void {
    entry.isGone = true;
    this.#size -= 1;
    this.#bytes -= weightOf(entry.request);
    if (this.#size > 0 && this.#entries.length <= 2 * this.#size + GONE_MAX) return;
    this.#entries = this.#entries.filter((other) => !other.isGone);
    this.#head = 0;
  }
}

/** What a request weighs: whatever a client may make long. */
function weightOf({ call, guard }: Request): number {
  let bytes = guard.length;
  for (const field of Object.values(call?.value ?? {})) {
    if (typeof field === "string" || field instanceof Uint8Array) bytes += field.length;
  }
  return bytes;
}
