import { type Inspection, inspect, type SeriesInspection } from "@cubby/delta";
import { CubbyError } from "@cubby/protocol";
import { printJson } from "../options.ts";
import { visible } from "../visible.ts";
import { decodeText, READ_OPTIONS, SERIES_KEY } from "./cdl-file.ts";
import { onFile } from "./delta-failure.ts";
import type { World } from "./encode-file.ts";
import { formatWords } from "./format-words.ts";
import { readInput } from "./input-file.ts";
import {
  columnTable,
  count,
  plotDeltas,
  type SeriesReport,
  seriesText,
} from "./inspection-report.ts";
import type { TextTable } from "./text-table.ts";

export type InspectFileOptions = { readonly column?: string; readonly json?: boolean };

/** Columns whose chunks and plots are shown without being asked for. */
const COLUMNS_SHOWN = 4;

/** `cubby delta inspect FILE`. */
export async function inspectFile(
  { context }: World,
  path: string,
  options: InspectFileOptions,
): Promise<void> {
  const bytes = await readInput(context, path);
  const inspection = onFile(path, () => inspect(bytes, READ_OPTIONS));
  const part = chosen(inspection, options.column);
  if (options.json === true) {
    printJson(context, { file: path, ...part });
    return;
  }
  if (inspection.kind === "patch") {
    const { bytes: size, oldBytes, newBytes } = inspection;
    const sizes = `${count(size)} bytes, from a file of ${count(oldBytes)} to one of ${count(newBytes)}`;
    context.writeOut(`${visible(path)}: a patch of ${sizes}\n`);
    return;
  }
  const { table, hasLayout } = onFile(path, () => decodeText(bytes));
  const reports = reportsOf(inspection, table, hasLayout);
  context.writeOut(`${headline(path, inspection, table)}\n\n${columnTable(reports)}\n`);
  const shown = reports.filter(
    ({ name }) => options.column === undefined || name === options.column,
  );
  for (const report of shown.slice(0, COLUMNS_SHOWN)) {
    context.writeOut(`\n${seriesText(report)}\n`);
  }
  if (shown.length > COLUMNS_SHOWN) {
    const others = shown.slice(COLUMNS_SHOWN).map(({ name }) => visible(name));
    context.writeOut(`\n--column NAME shows one of the others: ${others.join(", ")}\n`);
  }
}

function headline(path: string, inspection: Inspection, table: TextTable): string {
  const { columns, rows } = table;
  const what =
    inspection.kind === "table" ? `a table of ${count(columns.length)} columns` : "a series";
  return `${visible(path)}: ${what}, ${count(rows)} rows, ${count(inspection.bytes)} bytes, format ${inspection.version}`;
}

function reportsOf(inspection: Inspection, table: TextTable, hasLayout: boolean): SeriesReport[] {
  return table.columns.flatMap(({ key, type, values }, index) => {
    const found = inspectionOf(inspection, key);
    const format = table.layout.columns[index]?.format;
    if (found === undefined) return [];
    return {
      name: key,
      type,
      values: found.values,
      bytes: found.chunks.reduce((sum, chunk) => sum + chunk.bytes, 0),
      writtenAs: hasLayout && format !== undefined ? formatWords(format) : undefined,
      chunks: found.chunks,
      deltas: plotDeltas(values),
    };
  });
}

function inspectionOf(inspection: Inspection, key: string): SeriesInspection | undefined {
  if (inspection.kind === "series") return key === SERIES_KEY ? inspection : undefined;
  if (inspection.kind === "patch") return undefined;
  return inspection.columns.find(({ name }) => name === key)?.inspection;
}

/** The whole, or what it says of one column. */
function chosen(inspection: Inspection, column: string | undefined): Inspection {
  if (column === undefined) return inspection;
  const found = inspectionOf(inspection, column);
  if (found !== undefined) return found;
  throw new CubbyError("invalid_argument", `There is no column "${column}"${namesOf(inspection)}.`);
}

function namesOf(inspection: Inspection): string {
  if (inspection.kind === "patch") return " in a patch";
  if (inspection.kind === "series") return `: ${SERIES_KEY}`;
  return `: ${inspection.columns.map(({ name }) => name).join(", ")}`;
}
