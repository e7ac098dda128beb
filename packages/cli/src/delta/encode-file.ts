import type { Backend } from "@cubby/delta";
import { CubbyError } from "@cubby/protocol";
import type { Context } from "../context.ts";
import { printJson } from "../options.ts";
import { formatTable } from "../table.ts";
import { visible } from "../visible.ts";
import { decodeText, encodeText, SERIES_KEY } from "./cdl-file.ts";
import { type ColumnRequest, requestOf } from "./column-type.ts";
import { onFile } from "./delta-failure.ts";
import { encodeRaw } from "./encode-raw.ts";
import { formatWords } from "./format-words.ts";
import { readInput, STANDARD } from "./input-file.ts";
import { Output } from "./output-file.ts";
import { Progress } from "./progress.ts";
import { assertRawAlone } from "./raw-values.ts";
import type { Terminal } from "./terminal.ts";
import {
  type Difference,
  findDifference,
  readText,
  type TextSource,
  writeText,
} from "./text-source.ts";
import { columnNames, type TextTable } from "./text-table.ts";

export type EncodeFileOptions = {
  readonly output?: string;
  readonly force?: boolean;
  readonly json?: boolean;
  readonly from?: TextSource;
  readonly raw?: string;
  readonly delimiter?: string;
  readonly header?: boolean;
  readonly null?: string;
  readonly columns?: string;
  readonly type?: readonly string[];
  readonly backend?: Backend;
  readonly exact?: boolean;
};

export type World = { readonly context: Context; readonly terminal: Terminal };

/** What was made, for `--json`. */
type Report = {
  readonly input: string;
  readonly output: string;
  readonly source: TextSource | "raw";
  readonly rows: number;
  readonly columns: readonly { key: string; type: string; writtenAs: string }[];
  readonly inputBytes: number;
  readonly outputBytes: number;
  /** Whether decoding gives the very text; null when only some of its columns were taken. */
  readonly sameText: boolean | null;
  readonly difference: Difference | null;
};

/** `cubby delta encode`. Answers an exit code if a signal cut it off. */
export async function encodeFile(
  { context, terminal }: World,
  path: string,
  options: EncodeFileOptions,
): Promise<number | undefined> {
  const output = await Output.at(context, options.output ?? STANDARD, options.force === true);
  assertSensible(output, options, terminal);
  const input = await readInput(context, path);
  const progress = new Progress(context, terminal);
  let made: { readonly bytes: Uint8Array; readonly report: Omit<Report, "output"> };
  try {
    made =
      options.raw === undefined
        ? onFile(path, () => encodeTextFile(input, path, options, progress))
        : await encodeRawFile(input, path, options, progress);
  } finally {
    progress.done();
  }
  const { bytes, report } = made;
  if (options.exact === true && report.difference !== null) {
    throw new CubbyError("file_malformed", `${path}: ${differenceWords(report.difference)}`);
  }
  const written = await output.write([bytes]);
  if ("exitCode" in written) return written.exitCode;
  if (options.json === true) printJson(context, { ...report, output: output.path });
  else tell(context, output, report);
  return undefined;
}

function assertSensible(output: Output, options: EncodeFileOptions, terminal: Terminal): void {
  assertRawAlone(options);
  if (output.isStandard && options.json === true) {
    throw new CubbyError("invalid_argument", "With --json, name the file to make: -o FILE.");
  }
  if (output.isStandard && terminal.isOut) {
    throw new CubbyError("invalid_argument", "A terminal cannot show the file: give -o FILE.");
  }
  if (options.exact === true && options.columns !== undefined) {
    const detail =
      "--exact is of the whole text, which --columns leaves out. Leave one of them out.";
    throw new CubbyError("invalid_argument", detail);
  }
}

async function encodeRawFile(
  input: Uint8Array,
  path: string,
  { raw: type = "", backend }: EncodeFileOptions,
  progress: Progress,
): Promise<{ bytes: Uint8Array; report: Omit<Report, "output"> }> {
  const onChecked = (fraction: number): void => progress.show("checking", fraction);
  const { rows, bytes } = await encodeRaw(input, path, { type, backend }, onChecked);
  return {
    bytes,
    report: {
      input: path,
      source: "raw",
      rows,
      columns: [{ key: SERIES_KEY, type, writtenAs: "raw numbers" }],
      inputBytes: input.length,
      outputBytes: bytes.length,
      sameText: true,
      difference: null,
    },
  };
}

function encodeTextFile(
  input: Uint8Array,
  path: string,
  options: EncodeFileOptions,
  progress: Progress,
): { bytes: Uint8Array; report: Omit<Report, "output"> } {
  const columns = columnNames(options.columns);
  const types = typesOf(options.type ?? []);
  const table = readText(input, {
    path,
    onProgress: (fraction) => progress.show("reading", fraction),
    ...(options.from === undefined ? {} : { source: options.from }),
    ...(options.delimiter === undefined ? {} : { delimiter: options.delimiter }),
    ...(options.header === undefined ? {} : { header: options.header }),
    ...(options.null === undefined ? {} : { nullText: options.null }),
    ...(columns === undefined ? {} : { columns }),
    types,
  });
  progress.show("encoding", 0);
  const bytes = encodeText(table, options.backend);
  const isWhole = columns === undefined;
  const difference = isWhole ? check(input, bytes, progress) : undefined;
  return {
    bytes,
    report: {
      input: path,
      source: table.layout.source,
      rows: table.rows,
      columns: columnReports(table),
      inputBytes: input.length,
      outputBytes: bytes.length,
      sameText: isWhole ? difference === undefined : null,
      difference: difference ?? null,
    },
  };
}

/** Decodes what was made, and writes it as text once more: nothing less shows that nothing is lost. */
function check(input: Uint8Array, bytes: Uint8Array, progress: Progress): Difference | undefined {
  const { table } = decodeText(bytes);
  const pieces = writeText(table, table.layout.source);
  return findDifference(input, pieces, (fraction) => progress.show("checking", fraction));
}

/** `--type column=type`, as often as wanted. */
function typesOf(pairs: readonly string[]): Map<string, ColumnRequest> {
  return new Map(
    pairs.map((pair) => {
      const at = pair.lastIndexOf("=");
      if (at > 0) return [pair.slice(0, at), requestOf(pair.slice(at + 1))];
      throw new CubbyError("invalid_argument", `--type "${pair}" is not of the form column=type.`);
    }),
  );
}

function columnReports({ layout, columns }: TextTable): Report["columns"] {
  return columns.map(({ key, type }, index) => {
    const format = layout.columns[index]?.format;
    return { key, type, writtenAs: format === undefined ? "" : formatWords(format) };
  });
}

function tell(context: Context, output: Output, report: Omit<Report, "output">): void {
  const { rows, inputBytes, outputBytes, columns, difference, sameText, source } = report;
  if (difference !== null) context.writeError(`cubby: ${visible(differenceWords(difference))}\n`);
  if (output.isStandard) return;
  const share = inputBytes === 0 ? "" : `, ${((100 * outputBytes) / inputBytes).toFixed(1)} %`;
  const rest =
    sameText === true ? `; decodes to the same ${source === "raw" ? "bytes" : "text"}` : "";
  const lines = columns.map(({ key, type, writtenAs }) => [`  ${key}`, type, writtenAs]);
  context.writeOut(
    `${visible(output.path)}: ${rows.toLocaleString("en-US")} rows, ` +
      `${inputBytes.toLocaleString("en-US")} → ${outputBytes.toLocaleString("en-US")} bytes${share}${rest}\n` +
      `${formatTable(["  column", "type", "written as"], lines)}\n`,
  );
}

function differenceWords({ line, read, written }: Difference): string {
  const shown = `${JSON.stringify(read)} will be ${JSON.stringify(written)}`;
  return `The values are kept, but not all of the text: from line ${line} on, ${shown}.`;
}
