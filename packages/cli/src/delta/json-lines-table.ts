import { isAscii } from "node:buffer";
import { CubbyError } from "@cubby/protocol";
import { columnWriters } from "./cell-text.ts";
import { type BuiltColumn, ColumnBuilder } from "./column-builder.ts";
import { type ColumnRequest, columnOf } from "./column-type.ts";
import { JsonScan, type JsonToken } from "./json-scan.ts";
import { RowLines } from "./row-lines.ts";
import type { TextFormat } from "./text-format.ts";
import { hasMark, newlineOf, sampleOf, textPieces, withoutMark } from "./text-pieces.ts";
import {
  assertKnown,
  CSV_LAYOUT,
  JSON_LAYOUT,
  type JsonLayout,
  PIECE_CHARS,
  RECORD_CHARS_MAX,
  type ReadOptions,
  type TextTable,
  uniqueKeys,
} from "./text-table.ts";

/** As many columns as a table may have. */
const KEYS_MAX = 16_384;
/** The column of a file that has a bare value on each line. */
const VALUE_COLUMN = "value";

const NUMBERS = columnOf("integer", "decimal", "number", "bigint");
const STRINGS = columnOf("time", "text");
const BOOLEANS = columnOf("boolean");
const ANYTHING = columnOf("json");
const NOTHING = columnOf("text");

/** Reads JSON lines whole: objects, whose keys become columns, or bare values. */
export function readJsonLines(bytes: Uint8Array, options: ReadOptions): TextTable {
  const text = withoutMark(bytes);
  const table = new JsonTable(options);
  let rest = "";
  let line = 0;
  for (const piece of textPieces(text, options.onProgress)) {
    const lines = (rest + piece.text).split("\n");
    rest = piece.isLast ? "" : (lines.pop() ?? "");
    if (rest.length > RECORD_CHARS_MAX) {
      throw new CubbyError("file_malformed", `Line ${line + lines.length + 1} does not end.`);
    }
    for (const each of lines) {
      line += 1;
      if (each.trim() !== "") table.add(each, line);
    }
  }
  const { columns, json, rows } = table.finish();
  return {
    layout: {
      source: "jsonl",
      rows,
      newline: newlineOf(sampleOf(text)),
      finalNewline: text.at(-1) === "\n".charCodeAt(0),
      mark: hasMark(bytes),
      csv: CSV_LAYOUT,
      json: { ...json, ascii: isEscaped(bytes) },
      columns: columns.map(({ key, name, format, absent }) => ({
        key,
        name,
        format,
        quoted: false,
        absent,
      })),
    },
    columns: columns.map(({ key, type, values }) => ({ key, type, values })),
    rows,
  };
}

/** Whether what is not ASCII must have been escaped. */
function isEscaped(bytes: Uint8Array): boolean {
  const { buffer, byteOffset, length } = bytes;
  return isAscii(bytes) && Buffer.from(buffer, byteOffset, length).includes("\\u");
}

class JsonTable {
  readonly #options: ReadOptions;
  readonly #columns = new Map<string, JsonColumn>();
  #order: string[] = [];
  #json: JsonLayout | undefined;
  readonly #lines = new RowLines();
  #rows = 0;

  constructor(options: ReadOptions) {
    this.#options = options;
  }

  add(text: string, line: number): void {
    const scan = new JsonScan(text, line);
    const isObject =
      this.#json === undefined ? /^\s*\{/.test(text) : this.#json.shape === "objects";
    const members = isObject ? scan.object() : new Map([[VALUE_COLUMN, scan.value()]]);
    this.#json ??= isObject ? layoutOf(text, members) : { ...JSON_LAYOUT, shape: "values" };
    this.#addColumns(members);
    if (this.#columns.size > KEYS_MAX) {
      const detail = `Line ${line}: more than ${KEYS_MAX.toLocaleString("en-US")} keys, each of which is a column.`;
      throw new CubbyError("file_malformed", detail);
    }
    this.#lines.add(line);
    for (const [key, token] of members) this.#columns.get(key)?.addAt(this.#rows, token);
    this.#rows += 1;
  }

  /** A new key goes behind the one that it follows here, so that the order fits for all lines if it can. */
  #addColumns(members: ReadonlyMap<string, JsonToken>): void {
    let place = 0;
    for (const key of members.keys()) {
      if (this.#columns.has(key)) {
        if (this.#order[place] !== key) place = this.#order.indexOf(key);
      } else {
        const asked = this.#options.types?.get(key);
        this.#columns.set(key, new JsonColumn(key, this.#lines, asked));
        this.#order.splice(place, 0, key);
      }
      place += 1;
    }
  }

  finish(): {
    readonly columns: (BuiltColumn & { key: string; name: string; absent: boolean })[];
    readonly json: JsonLayout;
    readonly rows: number;
  } {
    const keys = uniqueKeys(this.#order);
    assertKnown(keys, this.#options);
    const columns = this.#order.flatMap((name, index) => {
      const key = keys[index] ?? "";
      const column = this.#columns.get(name);
      if (column === undefined || this.#options.columns?.includes(key) === false) return [];
      const built = column.finish(this.#rows);
      return [{ key, name, absent: column.absent, ...built }];
    });
    return { columns, json: this.#json ?? JSON_LAYOUT, rows: this.#rows };
  }
}

/** One key's values: of one kind, and none of them missing in two ways; else as JSON text. */
class JsonColumn {
  readonly name: string;
  readonly #lines: RowLines;
  readonly #asked: ColumnRequest | undefined;
  #kind: "unknown" | "number" | "string" | "boolean" | "mixed" = "unknown";
  #builder: ColumnBuilder;
  #hasNull = false;
  #hasAbsent = false;

  constructor(name: string, lines: RowLines, asked: ColumnRequest | undefined) {
    this.name = name;
    this.#lines = lines;
    this.#asked = asked;
    this.#builder = new ColumnBuilder(asked ?? NOTHING);
  }

  /** True when null stands for a key that is not there. */
  get absent(): boolean {
    return this.#hasAbsent;
  }

  /** Rows without the key are filled in with the next that has it: there may be as many keys as rows. */
  addAt(row: number, token: JsonToken): void {
    this.#fill(row);
    this.#add(token);
  }

  #fill(rows: number): void {
    while (this.#builder.length < rows) this.#add(undefined);
  }

  #add(token: JsonToken | undefined): void {
    if (token === undefined) this.#hasAbsent = true;
    else if (token.kind === "null") this.#hasNull = true;
    if (this.#asked !== undefined) {
      this.#take(token === undefined || token.kind === "null" ? null : textOf(token));
      return;
    }
    if (this.#hasAbsent && this.#hasNull) this.#mix(token);
    if (this.#kind === "mixed") {
      this.#builder.add(token?.raw ?? null);
    } else if (token === undefined || token.kind === "null") {
      this.#builder.add(null);
    } else {
      this.#addValue(token);
    }
  }

  #addValue(token: JsonToken): void {
    if (this.#kind === "unknown") this.#begin(token);
    const isSame = token.kind === this.#kind;
    if (isSame && this.#builder.add(textOf(token))) return;
    // What did not fit was taken all the same.
    const texts = this.#builder.texts();
    this.#rebuild(isSame ? texts.slice(0, -1) : texts);
    this.#builder.add(token.raw);
  }

  #begin({ kind }: JsonToken): void {
    if (kind !== "number" && kind !== "string" && kind !== "boolean") return;
    this.#kind = kind;
    const before = this.#builder.length;
    const request = kind === "number" ? NUMBERS : kind === "string" ? STRINGS : BOOLEANS;
    this.#builder = new ColumnBuilder(request);
    for (let row = 0; row < before; row += 1) this.#builder.add(null);
  }

  #mix(token: JsonToken | undefined): void {
    if (this.#kind === "mixed") return;
    // The one kind of missing that there was before this row.
    this.#rebuild(this.#builder.texts(), token === undefined ? "null" : null);
  }

  #rebuild(texts: readonly (string | null)[], missing: "null" | null = this.#missing()): void {
    const isString = this.#kind === "string";
    this.#kind = "mixed";
    this.#builder = new ColumnBuilder(ANYTHING);
    for (const text of texts) {
      this.#builder.add(text === null ? missing : isString ? JSON.stringify(text) : text);
    }
  }

  #missing(): "null" | null {
    return this.#hasNull ? "null" : null;
  }

  #take(text: string | null): void {
    if (!this.#builder.add(text)) throw this.#misfit();
  }

  finish(rows: number): BuiltColumn {
    this.#fill(rows);
    const built = this.#builder.finish();
    if (built !== undefined) return built;
    if (this.#asked !== undefined) throw this.#misfit();
    // Numbers that no one format fits.
    this.#rebuild(this.#builder.texts());
    return this.finish(rows);
  }

  #misfit(): CubbyError {
    const { index, why } = this.#builder.misfit();
    const detail = `Line ${this.#lines.lineOf(index)}, key "${this.name}": ${why}`;
    return new CubbyError("file_malformed", detail);
  }
}

function textOf({ kind, raw }: JsonToken): string {
  return kind === "string" ? (JSON.parse(raw) as string) : raw;
}

/** The spaces of the first line, if they are put regularly. */
function layoutOf(text: string, members: ReadonlyMap<string, JsonToken>): JsonLayout {
  for (const colon of [":", ": "] as const) {
    for (const comma of [",", ", "] as const) {
      const parts = [...members].map(([key, { raw }]) => `${JSON.stringify(key)}${colon}${raw}`);
      if (`{${parts.join(comma)}}` === text.trimEnd()) {
        return { ...JSON_LAYOUT, colon, comma };
      }
    }
  }
  return JSON_LAYOUT;
}

/** The text of a table, in pieces. Any table can be written so. */
export function* writeJsonLines(table: TextTable): Generator<string> {
  const { layout, rows } = table;
  const { shape, colon, comma, ascii } = layout.json;
  const quote = ascii ? asciiString : (text: string): string => JSON.stringify(text);
  const writers = columnWriters(table).map(({ column, columnAt, write }) => ({
    prefix:
      shape === "values"
        ? ""
        : `${quote(layout.source === "jsonl" ? column.name : column.key)}${colon}`,
    isAbsent: (row: number) => columnAt(row).absent,
    text: (row: number) => jsonText(write(row), columnAt(row).format, quote),
  }));
  // JSON has no mark: one comes back only where it was.
  let piece = layout.mark && layout.source === "jsonl" ? "\ufeff" : "";
  for (let row = 0; row < rows; row += 1) {
    let line = "";
    for (const { prefix, isAbsent, text } of writers) {
      const value = text(row);
      if (value === null && isAbsent(row)) continue;
      if (line !== "") line += comma;
      line += prefix + (value ?? "null");
    }
    piece += shape === "values" ? line : `{${line}}`;
    if (row < rows - 1 || layout.finalNewline) piece += layout.newline;
    if (piece.length >= PIECE_CHARS) {
      yield piece;
      piece = "";
    }
  }
  yield piece;
}

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** A value's text as JSON: as a number or a word where JSON has one like it, else as a string. */
function jsonText(
  text: string | null,
  format: TextFormat,
  quote: (text: string) => string,
): string | null {
  if (text === null) return null;
  switch (format.kind) {
    case "json":
      return text;
    case "integer":
      // What may begin with zeros is a code, not a number, also where it does not.
      return format.width === 0 && JSON_NUMBER.test(text) ? text : quote(text);
    case "decimal":
    case "number":
    case "bigint":
      return JSON_NUMBER.test(text) ? text : quote(text);
    case "boolean":
      return text.toLowerCase();
    case "time":
    case "text":
      return quote(text);
  }
}

function asciiString(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
