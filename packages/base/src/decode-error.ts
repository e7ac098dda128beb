/** Bytes or text from outside are not what they should be. `offset` is where that showed. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
  readonly offset: number;

  constructor(detail: string, offset: number) {
    super(`${detail} (at offset ${offset})`);
    this.offset = offset;
  }
}
