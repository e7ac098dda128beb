/** Which line each row began on. Rows that follow each other line by line take no memory. */
export class RowLines {
  readonly #jumps: { readonly row: number; readonly line: number }[] = [];
  #rows = 0;

  /** The next row begins on this line, counted from 1. */
  add(line: number): void {
    if (this.lineOf(this.#rows) !== line) this.#jumps.push({ row: this.#rows, line });
    this.#rows += 1;
  }

  /** Of a row, counted from 0. */
  lineOf(row: number): number {
    const jump = this.#jumps.findLast((each) => each.row <= row);
    return jump === undefined ? row + 1 : jump.line + row - jump.row;
  }
}
