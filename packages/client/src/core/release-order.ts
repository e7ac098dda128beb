import { assert, toHex } from "@cubby/base";
import type { Call } from "./call.ts";

type Unanswered = { releases: number; readonly behind: Set<Call> };

/**
 * Keeps the Acquires of a handle behind its Releases. A Release that was refused or lost is carried
 * out when it is repeated, and an Acquire that comes to the master before that is granted what the
 * handle still has (LCK-11): the Release would free a lock that somebody has just been told is his.
 * So while a Release of a handle has no answer, no Acquire of it is on its way.
 */
export class ReleaseOrder {
  /** By handle: no more entries than there are Releases in the table. */
  readonly #handles = new Map<string, Unanswered>();

  /** From now until its answer has come, Acquires of its handle are held back. */
  begin(release: Call): void {
    const key = keyOf(release);
    const unanswered = this.#handles.get(key);
    if (unanswered === undefined) this.#handles.set(key, { releases: 1, behind: new Set() });
    else unanswered.releases += 1;
  }

  /** Its answer has come: what may go now, in the order that it had in the queue. */
  end(release: Call): Iterable<Call> {
    const key = keyOf(release);
    const unanswered = this.#handles.get(key);
    assert(unanswered !== undefined, "a Release is answered once");
    unanswered.releases -= 1;
    if (unanswered.releases > 0) return [];
    this.#handles.delete(key);
    return unanswered.behind;
  }

  /** True when the call must wait here. */
  holdsBack(call: Call): boolean {
    if (this.#handles.size === 0 || call.body.$case !== "acquire") return false;
    const unanswered = this.#handles.get(keyOf(call));
    if (unanswered === undefined) return false;
    unanswered.behind.add(call);
    return true;
  }

  /** The caller has given it up. */
  forget(call: Call): void {
    if (this.#handles.size === 0 || call.body.$case !== "acquire") return;
    this.#handles.get(keyOf(call))?.behind.delete(call);
  }

  *heldBack(): IterableIterator<Call> {
    for (const { behind } of this.#handles.values()) yield* behind;
  }

  clear(): void {
    this.#handles.clear();
  }
}

function keyOf({ body }: Call): string {
  assert(body.$case === "acquire" || body.$case === "release", "no other call has an order here");
  return toHex(body.value.handle);
}
