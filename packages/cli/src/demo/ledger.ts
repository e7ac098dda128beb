import { utf8Decode, utf8Encode } from "@cubby/base";
import { CubbyError } from "@cubby/protocol";
import type { CellSession } from "../cell-access.ts";
import { sleep } from "../process/sleep.ts";

const EVERY_MS = 100;
const NOTES_MAX = 10_000;
const ATTEMPTS_MAX = 5;

/** What may be said of one write. */
type Fate = "acknowledged" | "not-applied" | "unknown";

type Note = { readonly path: string; readonly text: string; fate: Fate };

export type Audit = {
  readonly acknowledged: number;
  readonly unknown: number;
  /** Acknowledged, but not there or not the same. */
  readonly lost: readonly string[];
  /** Said not to have been applied, but there. */
  readonly appeared: readonly string[];
};

/**
 * Writes small files all the time and remembers what the cell said to each: later every
 * acknowledged one must be there, and none that was said not to have been applied.
 */
export class Ledger {
  readonly #directory: string;
  readonly #notes: Note[] = [];

  constructor(directory: string) {
    this.#directory = directory;
  }

  get acknowledged(): number {
    return this.#notes.filter(({ fate }) => fate === "acknowledged").length;
  }

  /** Until `signal` aborts. */
  async run(session: () => Promise<CellSession>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#notes.length < NOTES_MAX) {
      const number = this.#notes.length + 1;
      const path = `${this.#directory}/note-${number}`;
      const note: Note = { path, text: `note ${number}`, fate: "unknown" };
      this.#notes.push(note);
      note.fate = await write(session, note);
      await sleep(EVERY_MS, signal).catch(() => undefined);
    }
  }

  /** Reads every note back and compares. */
  async audit(connect: () => Promise<CellSession>): Promise<Audit> {
    const lost: string[] = [];
    const appeared: string[] = [];
    const reader = new NoteReader(connect);
    for (const { path, text, fate } of this.#notes) {
      const found = await reader.read(path);
      if (fate === "acknowledged" && found !== text) lost.push(path);
      if (fate === "not-applied" && found !== undefined) appeared.push(path);
    }
    await reader.close();
    const unknown = this.#notes.filter(({ fate }) => fate === "unknown").length;
    return { acknowledged: this.acknowledged, unknown, lost, appeared };
  }
}

async function write(session: () => Promise<CellSession>, { path, text }: Note): Promise<Fate> {
  try {
    const contents = utf8Encode(text);
    const request = { write: true, create: true, kind: "file", contents } as const;
    const node = await (await session()).open(path, request);
    await node.close();
    return "acknowledged";
  } catch (error) {
    return error instanceof CubbyError ? error.outcome : "unknown";
  }
}

/**
 * Reads in a session of its own, and in another one should that break. A cell whose disks were all
 * rolled back gives out the numbers of sessions again, and whoever still uses an old one of the same
 * number spoils ours: what was lost is to be found all the same.
 */
class NoteReader {
  readonly #connect: () => Promise<CellSession>;
  #session: CellSession | undefined;

  constructor(connect: () => Promise<CellSession>) {
    this.#connect = connect;
  }

  async read(path: string): Promise<string | undefined> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.#session ??= await this.#connect();
        return await read(this.#session, path);
      } catch (error) {
        if (!(error instanceof CubbyError) || attempt === ATTEMPTS_MAX) throw error;
        await this.close();
      }
    }
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    // The cell ends what cannot be closed.
    await session?.close().catch(() => undefined);
  }
}

async function read(session: CellSession, path: string): Promise<string | undefined> {
  try {
    const node = await session.open(path, {});
    const { contents } = await node.read();
    await node.close();
    return utf8Decode(contents);
  } catch (error) {
    if (error instanceof CubbyError && error.code === "not_found") return undefined;
    throw error;
  }
}
