import { CubbyError } from "@cubby/protocol";
import { anyColumn } from "./column-type.ts";
import { CsvReader, type CsvRecord } from "./csv-text.ts";
import { detectFormat } from "./text-format.ts";

/** The likelier first, where a file could be either: few texts have tabs, many have commas. */
const DELIMITERS = ["\t", ";", ","] as const;
const DELIMITER_DEFAULT = ",";
const SAMPLE_RECORDS = 100;

/** The delimiter that cuts most records of the sample into equally many fields. */
export function detectDelimiter(sample: string): string {
  let best = DELIMITER_DEFAULT;
  let bestShare = 0;
  for (const delimiter of DELIMITERS) {
    const share = shareOfUsualWidth(sampleRecords(sample, delimiter));
    if (share > bestShare) {
      best = delimiter;
      bestShare = share;
    }
  }
  return best;
}

/** The first records; none if they cannot be read so. The last line of a sample may be cut off. */
export function sampleRecords(sample: string, delimiter: string): CsvRecord[] {
  const records: CsvRecord[] = [];
  const reader = new CsvReader(delimiter);
  try {
    for (const record of reader.read(sample, false)) {
      if (records.push(record) === SAMPLE_RECORDS) return records;
    }
    // Not one line feed: it is a line, whole or not.
    if (records.length === 0) records.push(...reader.read("", true));
  } catch (error) {
    if (!(error instanceof CubbyError)) throw error;
  }
  return records;
}

function shareOfUsualWidth(records: readonly CsvRecord[]): number {
  const counts = new Map<number, number>();
  for (const { fields } of records) counts.set(fields.length, (counts.get(fields.length) ?? 0) + 1);
  counts.delete(1);
  return counts.size === 0 ? 0 : Math.max(...counts.values()) / records.length;
}

/**
 * True when the first record names the columns: its fields are no values, and each is there once. A
 * file of one column of words has no header, since its first word is as good as the others. A name
 * that was asked for is one.
 */
export function detectHeader(
  [first, ...rest]: readonly CsvRecord[],
  known: { readonly names: readonly string[]; readonly nullText: string },
): boolean {
  if (first === undefined) return false;
  if (first.fields.some((field) => known.names.includes(field))) return true;
  const names = first.fields.filter((field) => field !== "");
  if (names.length === 0 || new Set(first.fields).size < first.fields.length) return false;
  if (names.some(isValue)) return false;
  if (first.fields.length > 1) return true;
  const texts = rest.map(({ fields: [field = ""] }) => (field === known.nullText ? null : field));
  const format = detectFormat(texts, anyColumn().kinds);
  return texts.some((text) => text !== null) && format !== undefined && format.kind !== "text";
}

function isValue(text: string): boolean {
  return detectFormat([text], anyColumn().kinds)?.kind !== "text";
}
