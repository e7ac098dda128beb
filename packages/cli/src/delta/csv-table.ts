import { CubbyError } from "@cubby/protocol";
import { columnWriters } from "./cell-text.ts";
import { type BuiltColumn, ColumnBuilder } from "./column-builder.ts";
import { anyColumn } from "./column-type.ts";
import { detectDelimiter, detectHeader, sampleRecords } from "./csv-dialect.ts";
import { CsvReader, type CsvRecord, csvField, mustQuote } from "./csv-text.ts";
import { RowLines } from "./row-lines.ts";
import { hasMark, sampleOf, textPieces, withoutMark } from "./text-pieces.ts";
import {
  assertKnown,
  JSON_LAYOUT,
  PIECE_CHARS,
  type ReadOptions,
  type TextLayout,
  type TextTable,
  uniqueKeys,
} from "./text-table.ts";

export type CsvOptions = ReadOptions & {
  /** Undefined to be found out, as is the header. */
  readonly delimiter?: string;
  readonly header?: boolean;
  readonly nullText?: string;
};

/** Reads CSV whole. What its columns are is found out from their texts. */
export function readCsv(bytes: Uint8Array, options: CsvOptions): TextTable {
  const text = withoutMark(bytes);
  const sample = sampleOf(text);
  const delimiter = options.delimiter ?? detectDelimiter(sample);
  const [, ...others] = sampleRecords(sample, delimiter);
  const reader = new CsvReader(delimiter);
  let first: CsvRecord | undefined;
  let table: CsvTable | undefined;
  for (const piece of textPieces(text, options.onProgress)) {
    for (const record of reader.read(piece.text, piece.isLast)) {
      if (table === undefined) {
        // Not that of the sample, which may be cut off in the midst of a long one.
        first = record;
        const hasHeader = options.header ?? detectHeader([first, ...others], knownFrom(options));
        table = new CsvTable(first, hasHeader, options);
        if (hasHeader) continue;
      }
      table.add(record);
    }
  }
  table ??= new CsvTable(undefined, options.header === true, options);
  return table.finish({
    newline: first?.hasReturn === true ? "\r\n" : "\n",
    finalNewline: text.at(-1) === "\n".charCodeAt(0),
    mark: hasMark(bytes),
    delimiter,
  });
}

function knownFrom({ types, columns, nullText }: CsvOptions): {
  readonly names: readonly string[];
  readonly nullText: string;
} {
  return { names: [...(types?.keys() ?? []), ...(columns ?? [])], nullText: nullText ?? "" };
}

type CsvColumn = {
  readonly name: string;
  readonly key: string;
  readonly builder: ColumnBuilder;
  readonly place: number;
  /** Of its values, as far as they are there: how many stood in quotes. */
  quotedCount: number;
  count: number;
};

class CsvTable {
  readonly #columns: readonly CsvColumn[];
  readonly #width: number;
  readonly #header: "none" | "plain" | "quoted";
  readonly #nullText: string;
  readonly #lines = new RowLines();
  #rows = 0;

  constructor(first: CsvRecord | undefined, hasHeader: boolean, options: CsvOptions) {
    const fields = first?.fields ?? [];
    const names = hasHeader ? fields : fields.map(() => "");
    const keys = uniqueKeys(names);
    this.#width = fields.length;
    const isQuoted = first?.quoted.every(Boolean) ?? false;
    this.#header = !hasHeader ? "none" : isQuoted ? "quoted" : "plain";
    this.#nullText = options.nullText ?? "";
    assertKnown(keys, options);
    this.#columns = keys
      .map((key, place) => ({ name: names[place] ?? "", key, place }))
      .filter(({ key }) => options.columns?.includes(key) ?? true)
      .map((column) => ({
        ...column,
        builder: new ColumnBuilder(options.types?.get(column.key) ?? anyColumn()),
        quotedCount: 0,
        count: 0,
      }));
  }

  add({ fields, quoted, line }: CsvRecord): void {
    const isBlank = fields.length === 1 && fields[0] === "" && quoted[0] === false;
    if (isBlank && this.#width > 1) return;
    if (fields.length !== this.#width) {
      const detail = `Line ${line} has ${fields.length} fields, and the first line ${this.#width}.`;
      throw new CubbyError("file_malformed", detail);
    }
    this.#lines.add(line);
    for (const column of this.#columns) {
      const text = fields[column.place] ?? "";
      const isQuoted = quoted[column.place] === true;
      const isNull = text === this.#nullText && !isQuoted;
      if (!isNull) column.count += 1;
      if (isQuoted) column.quotedCount += 1;
      if (!column.builder.add(isNull ? null : text)) throw misfit(column, this.#lines);
    }
    this.#rows += 1;
  }

  finish(found: {
    readonly newline: TextLayout["newline"];
    readonly finalNewline: boolean;
    readonly mark: boolean;
    readonly delimiter: string;
  }): TextTable {
    const { delimiter, newline, finalNewline, mark } = found;
    const built = this.#columns.map((column) => ({ ...column, ...finish(column, this.#lines) }));
    return {
      layout: {
        source: "csv",
        rows: this.#rows,
        newline,
        finalNewline,
        mark,
        csv: { delimiter, header: this.#header, nullText: this.#nullText },
        json: JSON_LAYOUT,
        columns: built.map(({ name, key, format, count, quotedCount }) => ({
          name,
          key,
          format,
          quoted: count > 0 && quotedCount === count,
          absent: false,
        })),
      },
      columns: built.map(({ key, type, values }) => ({ key, type, values })),
      rows: this.#rows,
    };
  }
}

function finish(column: CsvColumn, lines: RowLines): BuiltColumn {
  const built = column.builder.finish();
  if (built === undefined) throw misfit(column, lines);
  return built;
}

function misfit({ key, builder }: CsvColumn, lines: RowLines): CubbyError {
  const { index, why } = builder.misfit();
  const detail = `Line ${lines.lineOf(index)}, column "${key}": ${why}`;
  return new CubbyError("file_malformed", detail);
}

/** The text of a table, in pieces. */
export function* writeCsv(table: TextTable): Generator<string> {
  const { layout, rows } = table;
  const { csv, newline, columns } = layout;
  const { delimiter, header, nullText } = csv;
  const must = mustQuote(delimiter);
  if (layout.mark) yield "\ufeff";
  let piece = "";
  if (header !== "none" && columns.length > 0) {
    piece = columns.map(({ name }) => csvField(name, must, header === "quoted")).join(delimiter);
    if (rows > 0 || layout.finalNewline) piece += newline;
  }
  const writers = columnWriters(table);
  for (let row = 0; row < rows; row += 1) {
    const start = piece.length;
    let place = 0;
    for (const { write, columnAt } of writers) {
      const text = write(row);
      if (place > 0) piece += delimiter;
      // What looks like the mark of a missing value, and is none, stands in quotes.
      const always = columnAt(row).quoted || text === nullText;
      piece += text === null ? nullText : csvField(text, must, always);
      place += 1;
    }
    // A line without a character is one only by its end.
    if (row < rows - 1 || layout.finalNewline || piece.length === start) piece += newline;
    if (piece.length >= PIECE_CHARS) {
      yield piece;
      piece = "";
    }
  }
  yield piece;
}
