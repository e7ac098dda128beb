import { utf8Decode, utf8Encode } from "@cubby/base";
import { CubbyError } from "@cubby/protocol";
import type { CellSession } from "../cell-access.ts";
import { sleep } from "../process/sleep.ts";

const EVERY_MS = 100;
const NOTES_MAX = 10_000;

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
  async audit(session: CellSession): Promise<Audit> {
    const lost: string[] = [];
    const appeared: string[] = [];
    for (const { path, text, fate } of this.#notes) {
      const found = await read(session, path);
      if (fate === "acknowledged" && found !== text) lost.push(path);
      if (fate === "not-applied" && found !== undefined) appeared.push(path);
    }
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
