/**
 * Fetches and makes the data of `npm run bench -- delta`: `npx tsx bench/delta/data.ts`. Each series
 * is a file of little-endian values named after its type. Goes on where it stopped; what cannot be
 * had is said and left out.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { debianPackage } from "../fetched-packages.ts";
import { count, fixed, textTable } from "../text-table.ts";
import { DATA_FOLDER } from "./cache.ts";
import { type Columns, type SeriesValues, SOURCES } from "./real-series.ts";
import { SERIES_REFERENCES, type SeriesType } from "./reference.ts";
import { SYNTHETIC_GZIP6, SYNTHETIC_SERIES, syntheticSeries } from "./synthetic.ts";
import { readPair, VERSION_PAIRS } from "./version-pairs.ts";

const PAIRS_FOLDER = join(DATA_FOLDER, "pairs");
const TEXTS = ["words.txt", "unicode_names.txt"];
/** How far the size of a series may be from the listed one: other versions of zlib differ less. */
const TOLERANCE = 0.01;

export type Series = {
  readonly name: string;
  readonly type: SeriesType;
  readonly values: SeriesValues;
};

/** Makes sure of all data; the reasons why some of it is missing. */
export function prepareData(): string[] {
  mkdirSync(PAIRS_FOLDER, { recursive: true });
  const missing: string[] = [];
  const attempt = (what: string, work: () => void): void => {
    try {
      work();
    } catch (error) {
      missing.push(`${what}: ${error instanceof Error ? error.message.trim() : error}`);
    }
  };
  for (const source of SOURCES) {
    if (source.series.every((name) => seriesPath(name) !== undefined)) continue;
    console.error(`fetching: ${source.name}`);
    attempt(source.name, () => writeColumns(source.read()));
  }
  if (SYNTHETIC_SERIES.some((name) => seriesPath(name) === undefined)) {
    writeColumns(syntheticSeries());
  }
  attempt("words", writeTexts);
  for (const pair of VERSION_PAIRS) {
    if (existsSync(join(PAIRS_FOLDER, `${pair.name}.new`))) continue;
    attempt(pair.name, () => {
      const { from, to } = readPair(pair);
      writeFileSync(join(PAIRS_FOLDER, `${pair.name}.old`), from);
      writeFileSync(join(PAIRS_FOLDER, `${pair.name}.new`), to);
    });
  }
  return missing;
}

/** A series by its name, or undefined when it could not be had. */
export function loadSeries(name: string): Series | undefined {
  const path = seriesPath(name);
  if (path === undefined) return undefined;
  const type = path.slice(-3) as SeriesType;
  // A copy, since small files share a buffer at any offset.
  const { buffer } = Uint8Array.from(readFileSync(path));
  const Values = { i32: Int32Array, i64: BigInt64Array, f64: Float64Array }[type];
  return { name, type, values: new Values(buffer) };
}

/** The series outside the tables of references and the synthetic ones. */
export function heldOutNames(): string[] {
  const listed = new Set(SERIES_REFERENCES.map(({ name }) => name));
  return SOURCES.flatMap(({ series }) => series).filter((name) => !listed.has(name));
}

/** The lines of `words.txt` or `unicode_names.txt`, sorted by code unit. */
export function loadKeys(file: string): string[] {
  const path = join(DATA_FOLDER, file);
  return existsSync(path) ? readFileSync(path, "utf8").trimEnd().split("\n") : [];
}

export function loadPair(name: string): { from: Uint8Array; to: Uint8Array } | undefined {
  const path = join(PAIRS_FOLDER, name);
  if (!existsSync(`${path}.new`)) return undefined;
  return { from: readFileSync(`${path}.old`), to: readFileSync(`${path}.new`) };
}

function seriesPath(name: string): string | undefined {
  const paths = ["i32", "i64", "f64"].map((type) => join(DATA_FOLDER, `${name}.${type}`));
  return paths.find((path) => existsSync(path));
}

function writeColumns(columns: Columns): void {
  for (const [name, values] of Object.entries(columns)) {
    const type =
      values instanceof Float64Array ? "f64" : values instanceof Int32Array ? "i32" : "i64";
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    writeFileSync(join(DATA_FOLDER, `${name}.${type}`), bytes);
  }
}

function writeTexts(): void {
  const write = (file: string, read: () => string[]): void => {
    const path = join(DATA_FOLDER, file);
    // Without a comparison, strings sort by their code units, whatever the locale.
    if (!existsSync(path)) writeFileSync(path, `${read().sort().join("\n")}\n`);
  };
  const lines = (path: string): string[] => readFileSync(path, "utf8").trimEnd().split("\n");
  write("words.txt", () =>
    lines(
      join(
        debianPackage("wamerican-insane", "2020.12.07-2"),
        "usr/share/dict/american-english-insane",
      ),
    ),
  );
  write("unicode_names.txt", () =>
    lines(join(debianPackage("unicode-data", "15.0.0-1"), "usr/share/unicode/UnicodeData.txt")).map(
      (line) => line.split(";")[1] ?? "",
    ),
  );
}

/** Prints what there is, and holds it against the listed sizes: wrong data fails. */
function report(): boolean {
  const references = new Map(SERIES_REFERENCES.map((each) => [each.name, each]));
  let isRight = true;
  const files = readdirSync(DATA_FOLDER).filter((file) => /\.(i32|i64|f64)$/.test(file));
  const rows = files.map((file) => {
    const name = file.slice(0, -4);
    const values = loadSeries(name)?.values ?? new Int32Array();
    const bytes = new Uint8Array(values.buffer);
    const expected = references.get(name)?.gzip6 ?? SYNTHETIC_GZIP6.get(name);
    if (expected === undefined) return [file, count(values.length), count(bytes.length)];
    const size = gzipSync(bytes, { level: 6 }).length / values.length;
    const rowsListed = references.get(name)?.values ?? values.length;
    // Listed sizes have three decimals.
    const isSame =
      values.length === rowsListed && Math.abs(size - expected) <= expected * TOLERANCE + 0.0005;
    isRight &&= isSame;
    const verdict = isSame ? "as listed" : "DIFFERS";
    const sizes = [fixed(size, 3), fixed(expected, 3), verdict];
    return [file, count(values.length), count(bytes.length), ...sizes];
  });
  console.log(textTable(["series", "values", "bytes", "gzip -6", "listed", ""], rows));
  for (const file of TEXTS) console.log(`${file}: ${count(loadKeys(file).length)} keys`);
  for (const { name, bytes } of VERSION_PAIRS) {
    const size = loadPair(name)?.to.length;
    isRight &&= size === undefined || size === bytes;
    console.log(
      `pairs/${name}: ${statSizes(name)}${size === bytes ? "" : `, not ${count(bytes)}`}`,
    );
  }
  return isRight;
}

function statSizes(name: string): string {
  const path = join(PAIRS_FOLDER, name);
  if (!existsSync(`${path}.new`)) return "missing";
  return `${count(statSync(`${path}.old`).size)} to ${count(statSync(`${path}.new`).size)} bytes`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const why of prepareData()) {
    console.error(`MISSING ${why}`);
    process.exitCode = 1;
  }
  if (!report()) process.exitCode = 1;
}
