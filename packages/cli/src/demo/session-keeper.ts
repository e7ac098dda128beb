import { CubbyError } from "@cubby/protocol";
import type { CellAccess, CellSession } from "../cell-access.ts";

const CALL_MS = 2_000;

/** The demo's own session; when one is over, the next asker opens another. */
export class SessionKeeper {
  readonly #cells: CellAccess;
  readonly #url: string;
  readonly #leaseMs: number;
  #session: Promise<CellSession> | undefined;

  constructor(cells: CellAccess, url: string, leaseMs: number) {
    this.#cells = cells;
    this.#url = url;
    this.#leaseMs = leaseMs;
  }

  async get(): Promise<CellSession> {
    this.#session ??= this.#cells.connect(this.#url, {
      timeoutMs: CALL_MS,
      leaseMs: this.#leaseMs,
    });
    try {
      const session = await this.#session;
      if (!session.over) return session;
    } catch (error) {
      this.#session = undefined;
      throw error;
    }
    this.#session = undefined;
    throw new CubbyError("session_expired", "The demo's session is over; the next is opened.");
  }

  async close(): Promise<void> {
    const session = await this.#session?.catch(() => undefined);
    await session?.close().catch(() => undefined);
  }
}
