const PRIME = 0x01000193;
const OTHER_PRIME = 0x85ebca6b;

/** Folds every event of a run into 64 bits: two runs of one seed and build must agree. */
export class TraceHash {
  #a = 0x811c9dc5;
  #b = 0x9747b28c;

  number(value: number): void {
    // Times have fractions of a ms: the low bits count as much as the high ones.
    this.#word(value | 0);
    this.#word((value * 4096) | 0);
  }

  text(value: string): void {
    for (let i = 0; i < value.length; i += 1) this.#word(value.charCodeAt(i));
  }

  /** Of long bytes, their length and both ends. */
  bytes(value: Uint8Array): void {
    const { length } = value;
    this.#word(length);
    const head = Math.min(length, 24);
    for (let i = 0; i < head; i += 1) this.#word(value[i] ?? 0);
    for (let i = Math.max(head, length - 8); i < length; i += 1) this.#word(value[i] ?? 0);
  }

  get hex(): string {
    return [this.#a, this.#b].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #word(word: number): void {
    this.#a = Math.imul(this.#a ^ word, PRIME);
    this.#b = Math.imul((this.#b ^ word) + (this.#b << 7), OTHER_PRIME) ^ (this.#a >>> 13);
  }
}
