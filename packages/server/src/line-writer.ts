import { write, writeSync } from "node:fs";
import { platformCode } from "./platform-errors.ts";

/** Gathered up to here before a write, and dropped beyond the maximum: a log never stops a replica. */
const GATHERED_MIN = 4096;
const GATHERED_MAX = 4 * 1024 * 1024;
const FLUSH_MS = 250;
/** Between two looks at a pipe that is full. */
const RETRY_MS = 100;
/** How often the end of the process looks at one. */
const LAST_LOOKS_MAX = 10;

/**
 * Lines to a file descriptor, written by the kernel while the event loop goes on. What cannot be
 * written is lost (P30): a pipe that nobody reads or that is broken, a disk that is full. None of
 * them keeps the process from its end.
 */
export class LineWriter {
  readonly #fileDescriptor: number;
  #gathered = "";
  /** What a write is to take now, and whether the kernel is at it. */
  #bytes: Uint8Array | undefined;
  #isUnderWay = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(fileDescriptor: number) {
    this.#fileDescriptor = fileDescriptor;
  }

  write(line: string): void {
    if (this.#gathered.length + line.length > GATHERED_MAX) return;
    this.#gathered += line;
    if (this.#bytes !== undefined) return;
    if (this.#gathered.length >= GATHERED_MIN) this.#next();
    else this.#nextIn(FLUSH_MS);
  }

  /** Writes out what is gathered, before the process ends; waits a second at most for a reader. */
  flushSync(): void {
    // What the kernel is at is in its hands.
    const begun = this.#isUnderWay ? undefined : this.#bytes;
    const parts = [begun ?? new Uint8Array(0), Buffer.from(this.#gathered)];
    if (!this.#isUnderWay) this.#bytes = undefined;
    this.#gathered = "";
    let looks = 0;
    let bytes: Uint8Array = Buffer.concat(parts);
    while (bytes.length > 0) {
      try {
        bytes = bytes.subarray(writeSync(this.#fileDescriptor, bytes));
      } catch (error) {
        looks += 1;
        if (platformCode(error) !== "EAGAIN" || looks > LAST_LOOKS_MAX) return;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
      }
    }
  }

  #nextIn(delayMs: number): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#next();
    }, delayMs).unref();
  }

  #next(): void {
    if (this.#isUnderWay) return;
    if (this.#bytes === undefined) {
      if (this.#gathered === "") return;
      this.#bytes = Buffer.from(this.#gathered);
      this.#gathered = "";
    }
    this.#isUnderWay = true;
    write(this.#fileDescriptor, this.#bytes, this.#onWritten);
  }

  readonly #onWritten = (error: Error | null, written: number): void => {
    this.#isUnderWay = false;
    if (error !== null && platformCode(error) === "EAGAIN") {
      this.#nextIn(RETRY_MS);
      return;
    }
    const rest = error === null ? this.#bytes?.subarray(written) : undefined;
    this.#bytes = rest?.length === 0 ? undefined : rest;
    if (this.#bytes !== undefined || this.#gathered.length >= GATHERED_MIN) this.#next();
    else if (this.#gathered !== "") this.#nextIn(FLUSH_MS);
  };
}
