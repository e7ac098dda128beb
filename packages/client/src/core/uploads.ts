import { UPLOAD_BYTES_PER_SECOND_MIN } from "./limits.ts";

/**
 * The contents that were sent on one connection and may not have arrived yet. Over a slow link what is
 * sent behind them comes later by as much, and its answer too.
 */
export class Uploads {
  readonly #sent: { readonly tag: number; readonly bytes: number }[] = [];
  #bytes = 0;

  add(tag: number, bytes: number): void {
    if (bytes === 0) return;
    this.#sent.push({ tag, bytes });
    this.#bytes += bytes;
  }

  /** A connection keeps the order: with this request everything before it has arrived. */
  onAnswered(tag: number): void {
    for (let first = this.#sent[0]; first !== undefined; first = this.#sent[0]) {
      // Tags come round.
      if ((tag - first.tag) >>> 0 >= 2 ** 31) return;
      this.#sent.shift();
      this.#bytes -= first.bytes;
    }
  }

  /** How long what is sent now may be on its way. Small contents are not counted. */
  get delayMs(): number {
    return 1_000 * Math.floor(this.#bytes / UPLOAD_BYTES_PER_SECOND_MIN);
  }
}
