import { NEVER } from "@cubby/base";
import { ERROR_CODES, type ErrorCode } from "@cubby/protocol";
import type { OutgoingReply } from "./replica.ts";

/** What a read rests on: the master's lease, or proof by a quorum that it still was master. */
export const READ_MODES = ["lease", "quorum"] as const;
export type ReadMode = (typeof READ_MODES)[number];

/** Replies that may wait for a proof; with a quorum in reach they wait for one round trip. */
const WAITING_MAX = 65_536;

/**
 * `reads: "quorum"`: replies that would rest on the lease wait until a quorum has said, in a round
 * begun after they were made up, that it follows this master. So no clock is trusted for them. All
 * that come while a round is under way share the next one.
 */
export class ReadConfirmation {
  readonly #confirm: (token: number) => void;
  #isMaster = false;
  #token = 0;
  #underWay: OutgoingReply[] = [];
  #next: OutgoingReply[] = [];
  #ready: OutgoingReply[] = [];

  constructor(confirm: (token: number) => void) {
    this.#confirm = confirm;
  }

  onMaster(): void {
    this.#isMaster = true;
  }

  hold(reply: OutgoingReply): void {
    // Made up in the turn in which mastership was lost: nobody would ever prove it.
    if (!this.#isMaster) this.#ready.push(deposed(reply));
    else if (this.#underWay.length + this.#next.length >= WAITING_MAX) {
      this.#ready.push(refused(reply, "overloaded", "Too many reads wait for a quorum."));
    } else this.#next.push(reply);
  }

  /** Asks for the next proof if none is under way. True if it did. */
  pump(): boolean {
    if (this.#underWay.length > 0 || this.#next.length === 0) return false;
    this.#underWay = this.#next;
    this.#next = [];
    this.#token += 1;
    this.#confirm(this.#token);
    return true;
  }

  onConfirmed(token: number): void {
    if (token !== this.#token) return;
    for (const reply of this.#underWay) this.#ready.push({ ...reply, validUntil: NEVER });
    this.#underWay = [];
  }

  /** Not master any more: what was read may be old, and is not said. */
  onDeposed(): void {
    this.#isMaster = false;
    for (const reply of [...this.#underWay, ...this.#next]) this.#ready.push(deposed(reply));
    this.#underWay = [];
    this.#next = [];
  }

  take(): OutgoingReply[] {
    const ready = this.#ready;
    this.#ready = [];
    return ready;
  }
}

function deposed(reply: OutgoingReply): OutgoingReply {
  return refused(reply, "not_master", "Mastership was lost before a quorum answered.");
}

function refused({ to, reply }: OutgoingReply, code: ErrorCode, detail: string): OutgoingReply {
  const value = { code: ERROR_CODES[code].id, detail, masterId: 0, masterAddress: "" };
  return { to, reply: { ...reply, result: { $case: "error", value } }, validUntil: NEVER };
}
