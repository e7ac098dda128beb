import { type Instant, NEVER } from "@cubby/base";
import type { Request } from "@cubby/protocol";
import type { ConnectionId } from "../options.ts";

export type HeldRequest = {
  readonly from: ConnectionId;
  readonly request: Request;
  /** When it is to be answered whatever happens. */
  readonly until: Instant;
};

const REQUESTS_MAX = 16_384;
export const HELD_BYTES_MAX = 64 * 1024 * 1024;

/** Requests that cannot be served yet, in order of arrival, bounded in number and in bytes. */
export class HeldRequests {
  #requests: HeldRequest[] = [];
  #bytes = 0;

  get size(): number {
    return this.#requests.length;
  }

  get firstUntil(): Instant {
    return this.#requests[0]?.until ?? NEVER;
  }

  /** False when there is no room for it. */
  add(from: ConnectionId, request: Request, until: Instant = NEVER): boolean {
    if (this.#requests.length >= REQUESTS_MAX || this.#bytes >= HELD_BYTES_MAX) return false;
    this.#requests.push({ from, request, until });
    this.#bytes += contentsBytes(request);
    return true;
  }

  /** The next one whose time is over. All wait equally long, so the first is the first due. */
  takeDue(now: Instant): HeldRequest | undefined {
    if (this.firstUntil > now) return undefined;
    const due = this.#requests.shift();
    if (due !== undefined) this.#bytes -= contentsBytes(due.request);
    return due;
  }

  takeAll(): HeldRequest[] {
    const all = this.#requests;
    this.#requests = [];
    this.#bytes = 0;
    return all;
  }

  dropFrom(connection: ConnectionId): void {
    if (this.#requests.length === 0) return;
    for (const held of this.takeAll()) {
      if (held.from !== connection) this.add(held.from, held.request, held.until);
    }
  }
}

/** What a request weighs: all but contents is small. */
function contentsBytes({ call }: Request): number {
  if (call?.$case === "setContents") return call.value.contents.length;
  return call?.$case === "open" ? call.value.initialContents.length : 0;
}
