import type { Node } from "./node.ts";

/**
 * What applying one command changed that a master acts on. One object is reused for all commands,
 * and replicas that are not master never look at it.
 */
export class Effects {
  /** Locks that may have become grantable. */
  readonly unlocked: Node[] = [];
  readonly deleted: Node[] = [];
  readonly sessionsEnded: number[] = [];
  /** Names whose lock-delay began or was prolonged. */
  readonly delaysBegun: string[] = [];
  sessionBegun = 0;

  clear(): void {
    this.unlocked.length = 0;
    this.deleted.length = 0;
    this.sessionsEnded.length = 0;
    this.delaysBegun.length = 0;
    this.sessionBegun = 0;
  }
}
