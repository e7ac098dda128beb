import { CubbyError } from "@cubby/protocol";
import type { Context } from "../context.ts";
import { printJson } from "../options.ts";
import { visible } from "../visible.ts";
import { type DecodedFile, decodeText } from "./cdl-file.ts";
import { columnWriters } from "./cell-text.ts";
import { onFile } from "./delta-failure.ts";
import type { World } from "./encode-file.ts";
import { readInput, STANDARD } from "./input-file.ts";
import { Output } from "./output-file.ts";
import { Progress } from "./progress.ts";
import { rawBytes } from "./raw-values.ts";
import { delimiterOfName, sourceOfName, type TextSource, writeText } from "./text-source.ts";
import { columnNames, type TextTable } from "./text-table.ts";

/** Of a line that cannot be written. */
const SHOWN_CHARS = 60;

export type Target = TextSource | "raw";

export type DecodeFileOptions = {
  readonly output?: string;
  readonly force?: boolean;
  readonly json?: boolean;
  readonly format?: Target;
  readonly columns?: string;
};

/** `cubby delta decode`. Answers an exit code if a signal cut it off. */
export async function decodeFile(
  { context, terminal }: World,
  path: string,
  options: DecodeFileOptions,
): Promise<number | undefined> {
  const output = await Output.at(context, options.output ?? STANDARD, options.force === true);
  const columns = columnNames(options.columns);
  const input = await readInput(context, path);
  const file = onFile(path, () => decodeText(input, columns));
  const { table } = file;
  if (output.isStandard && options.json === true) {
    writeDocument(context, table);
    return undefined;
  }
  const target = options.format ?? targetOf(output.path, table);
  if (target === "raw" && output.isStandard && terminal.isOut) {
    throw new CubbyError("invalid_argument", "A terminal cannot show raw numbers: give -o FILE.");
  }
  const progress = new Progress(context, terminal);
  try {
    const delimiter = options.format === undefined ? delimiterOfName(output.path) : undefined;
    const parts =
      target === "raw"
        ? [rawOf(table)]
        : textParts(withDelimiter(table, delimiter), target, progress);
    const written = await output.write(parts);
    if ("exitCode" in written) return written.exitCode;
    progress.done();
    if (delimiter !== undefined) tellOfDelimiter(context, file, output);
    const { rows } = table;
    const report = { input: path, output: output.path, format: target, rows, bytes: written.bytes };
    if (options.json === true) printJson(context, report);
    else if (!output.isStandard) {
      const [count, bytes] = [rows, written.bytes].map((each) => each.toLocaleString("en-US"));
      context.writeOut(`${visible(output.path)}: ${count} rows, ${bytes} bytes\n`);
    }
    return undefined;
  } finally {
    progress.done();
  }
}

/** What the name of the output says, or else what the file was made from. */
function targetOf(path: string, table: TextTable): Target {
  if (/\.(raw|bin)$/i.test(path)) return "raw";
  return sourceOfName(path) ?? table.layout.source;
}

function withDelimiter(table: TextTable, delimiter: string | undefined): TextTable {
  if (delimiter === undefined) return table;
  const { layout } = table;
  return { ...table, layout: { ...layout, csv: { ...layout.csv, delimiter } } };
}

/** A text is to come back as it was: where the name of the output stands against that, it is said. */
function tellOfDelimiter(
  context: Context,
  { table, hasLayout }: DecodedFile,
  output: Output,
): void {
  const { source, csv } = table.layout;
  if (!hasLayout || source !== "csv" || csv.delimiter === delimiterOfName(output.path)) return;
  const had = JSON.stringify(csv.delimiter);
  const told = `${output.path} has tabs, as its name says, where the text had ${had}. --format csv keeps those.`;
  context.writeError(`cubby: ${visible(told)}\n`);
}

function* textParts(
  table: TextTable,
  target: TextSource,
  progress: Progress,
): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  let chars = 0;
  for (const piece of writeText(table, target)) {
    assertWhole(piece);
    yield encoder.encode(piece);
    chars += piece.length;
    progress.show(`writing, ${(chars / 1e6).toFixed(0)} MB so far`, 1);
  }
}

/** JSON says half a character, a lone surrogate, by its number; UTF-8 would have another in its place. */
function assertWhole(piece: string): void {
  const at = piece.search(/\p{Surrogate}/u);
  if (at === -1) return;
  const line = piece.slice(piece.lastIndexOf("\n", at) + 1).split("\n", 1)[0] ?? "";
  const detail = `CSV cannot say half a character: ${JSON.stringify(line.slice(0, SHOWN_CHARS))}. Use --format jsonl.`;
  throw new CubbyError("file_malformed", detail);
}

function rawOf({ columns }: TextTable): Uint8Array {
  const [only] = columns;
  if (only !== undefined && columns.length === 1) return rawBytes(only.values, only.type);
  const keys = columns.map(({ key }) => key).join(", ");
  const detail = `Raw numbers are of one column: name it with --columns (${keys}).`;
  throw new CubbyError("invalid_argument", detail);
}

/** All values as one JSON document. What JSON has no number for is a string. */
function writeDocument(context: Context, table: TextTable): void {
  const writers = columnWriters(table);
  context.writeOut(`{"rows":${table.rows},"columns":[`);
  table.columns.forEach(({ key, type, values }, index) => {
    const head = `{"name":${JSON.stringify(key)},"type":${JSON.stringify(type)},"values":[`;
    let piece = `${index === 0 ? "" : ","}${head}`;
    for (let row = 0; row < values.length; row += 1) {
      if (row > 0) piece += ",";
      piece += valueAsJson(values[row] ?? null, writers[index]?.write(row) ?? null);
      if (piece.length > 1 << 16) {
        context.writeOut(piece);
        piece = "";
      }
    }
    context.writeOut(`${piece}]}`);
  });
  context.writeOut("]}\n");
}

function valueAsJson(value: unknown, text: string | null): string {
  if (typeof value === "number" && Number.isFinite(value) && !Object.is(value, -0)) {
    return JSON.stringify(value);
  }
  if (Object.is(value, -0)) return "-0";
  return JSON.stringify(typeof value === "boolean" ? value : text);
}
