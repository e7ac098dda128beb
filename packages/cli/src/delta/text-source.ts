import { CubbyError } from "@cubby/protocol";
import { type CsvOptions, readCsv, writeCsv } from "./csv-table.ts";
import { readJsonLines, writeJsonLines } from "./json-lines-table.ts";
import { assertUtf8, sampleOf, withoutMark } from "./text-pieces.ts";
import { isDelimiter, type TextTable } from "./text-table.ts";

export const TEXT_SOURCES = ["csv", "jsonl"] as const;
export type TextSource = (typeof TEXT_SOURCES)[number];

const ENDINGS: Readonly<Record<string, TextSource>> = {
  csv: "csv",
  tsv: "csv",
  jsonl: "jsonl",
  ndjson: "jsonl",
};

/** What a file's name says that it is. */
export function sourceOfName(path: string): TextSource | undefined {
  const ending = /\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase() ?? "";
  return Object.hasOwn(ENDINGS, ending) ? ENDINGS[ending] : undefined;
}

/** That of CSV by a name that tells it, as .tsv does. */
export function delimiterOfName(path: string): string | undefined {
  return /\.tsv$/i.test(path) ? "\t" : undefined;
}

/** Reads text of either kind; which, is told by the caller, the name, or the first character. */
export function readText(
  bytes: Uint8Array,
  options: CsvOptions & { readonly path: string; readonly source?: TextSource },
): TextTable {
  if (options.delimiter !== undefined && !isDelimiter(options.delimiter)) {
    throw new CubbyError("invalid_argument", "--delimiter is one character, and no quote.");
  }
  assertUtf8(bytes);
  const { path, delimiter } = options;
  const source = options.source ?? sourceOfName(path) ?? sniff(bytes);
  if (source === "csv") {
    // What was told of the file goes before what its name tells.
    const named = options.source === undefined ? delimiterOfName(path) : undefined;
    const known = delimiter ?? named;
    return readCsv(bytes, known === undefined ? options : { ...options, delimiter: known });
  }
  assertNoneOfCsv(options);
  return readJsonLines(bytes, options);
}

function assertNoneOfCsv({ delimiter, header, nullText }: CsvOptions): void {
  const headerName = header === false ? "--no-header" : "--header";
  const said = { "--delimiter": delimiter, [headerName]: header, "--null": nullText };
  const name = Object.entries(said).find(([, value]) => value !== undefined)?.[0];
  if (name === undefined) return;
  const detail = `${name} has no meaning for JSON lines. Leave it out, or read CSV with --from csv.`;
  throw new CubbyError("invalid_argument", detail);
}

function sniff(bytes: Uint8Array): TextSource {
  const [first] = sampleOf(withoutMark(bytes)).trimStart();
  if (first === "[") {
    const detail = "This looks like one JSON array. JSON lines are wanted: one value on each line.";
    throw new CubbyError("file_malformed", detail);
  }
  return first === "{" ? "jsonl" : "csv";
}

export function writeText(table: TextTable, target: TextSource): Generator<string> {
  return target === "jsonl" ? writeJsonLines(table) : writeCsv(table);
}

/** Where a text that was written from values first differs from the one that they were read from. */
export type Difference = {
  readonly line: number;
  readonly read: string;
  readonly written: string;
};

const SHOWN_CHARS = 60;
const SHOWN_BEFORE = 24;

/** Undefined if the pieces are the very bytes. */
export function findDifference(
  bytes: Uint8Array,
  pieces: Iterable<string>,
  onProgress: (fraction: number) => void,
): Difference | undefined {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  for (const piece of pieces) {
    const written = Buffer.from(piece);
    const same = source.subarray(at, at + written.length);
    if (!written.equals(same)) return differenceIn(source, at, written);
    at += written.length;
    onProgress(at / Math.max(1, source.length));
  }
  return at === source.length ? undefined : differenceIn(source, at, Buffer.alloc(0));
}

function differenceIn(source: Buffer, at: number, written: Buffer): Difference {
  let same = 0;
  while (same < written.length && source[at + same] === written[same]) same += 1;
  const place = at + same;
  const lineStart = place === 0 ? 0 : source.lastIndexOf("\n", place - 1) + 1;
  const start = Math.max(lineStart, place - SHOWN_BEFORE);
  let line = 1;
  for (let feed = source.indexOf("\n"); feed !== -1 && feed < place; line += 1) {
    feed = source.indexOf("\n", feed + 1);
  }
  const shared = source.subarray(start, place).toString();
  const read = source.subarray(start, place + SHOWN_CHARS * 4);
  const other = written.subarray(same, same + SHOWN_CHARS * 4).toString();
  return { line, read: firstLine(read.toString()), written: firstLine(shared + other) };
}

/** A line with what ends it, which may be all that differs. */
function firstLine(text: string): string {
  const end = text.indexOf("\n");
  return (end === -1 ? text : text.slice(0, end + 1)).slice(0, SHOWN_CHARS);
}
