import { ByteReader } from "./byte-reader.ts";
import { estimateFloatModes } from "./choose-float-mode.ts";
import { describeNumbers, integersOfLane } from "./chunk.ts";
import { decodeBody } from "./chunk-body.ts";
import { encodeStatistics, readStatistics } from "./chunk-statistics.ts";
import {
  type ChunkEntry,
  otherValues,
  readHeader,
  requireBytes,
  TABLE,
  VERSION,
} from "./file-format.ts";
import { describeMode } from "./float-mode.ts";
import { choose, describePredictor } from "./integer-coder.ts";
import { laneOfWords, wordsOfLane } from "./number-lane.ts";
import { refuseInto, requireOptions } from "./options.ts";
import { isPatch, readPatchHeader } from "./patch-format.ts";
import {
  type DecodeOptions,
  decodeContext,
  inChunk,
  integerOptions,
  readSeriesFile,
  type SeriesFile,
} from "./series-codec.ts";
import { inColumn, metadataOf, readTable } from "./table.ts";
import type { Element, Lane, ValueType } from "./values.ts";

/** What a file says of itself. */
export type Inspection =
  | SeriesInspection
  | {
      readonly kind: "patch";
      readonly version: number;
      readonly bytes: number;
      /** Sizes of the file that the patch is for, and of the one that it makes. */
      readonly oldBytes: number;
      readonly newBytes: number;
    }
  | {
      readonly kind: "table";
      readonly version: number;
      readonly bytes: number;
      /** Rows. */
      readonly values: number;
      readonly columns: readonly { readonly name: string; readonly inspection: SeriesInspection }[];
      readonly metadata: Readonly<Record<string, string>>;
    };

export type SeriesInspection = {
  readonly kind: "series";
  readonly version: number;
  readonly type: ValueType;
  readonly values: number;
  readonly bytes: number;
  readonly chunks: readonly ChunkReport[];
};

export type ChunkReport = {
  /** Where the chunk begins, and how many bytes it takes with its frame. */
  readonly offset: number;
  readonly bytes: number;
  /** Place of the chunk's first value in the series. */
  readonly firstValue: number;
  readonly values: number;
  readonly nulls: number;
  /** Least and greatest value, which NaN is not; undefined for strings and where there is none. */
  readonly min: Element | undefined;
  readonly max: Element | undefined;
  /** Values that the mode cannot express, which stand beside it with all their bits. */
  readonly exceptions: number;
  /** How values became integers, as `decimal 10^-2`. */
  readonly mode: string;
  /** What was subtracted, as `order 1`. */
  readonly predictor: string;
  /** How the rest is written: `fast`, `small`, `handoff`, or a simpler way for simple series. */
  readonly backend: string;
  readonly bitsPerValue: number;
  /** What the encoder weighed: estimates from a sample, the cheapest of each question first. */
  readonly why: readonly Alternative[];
  /** Each 128 values of packed bits; empty for other back ends. */
  readonly blocks: readonly { readonly bits: number; readonly exceptions: number }[];
};

export type Alternative = {
  readonly question: "mode" | "predictor";
  readonly candidate: string;
  readonly bytes: number;
};

/** Explains a file: how each chunk is written, and why so. Decodes every chunk. */
export function inspect(bytes: Uint8Array, options: DecodeOptions = {}): Inspection {
  requireBytes(bytes);
  requireOptions(options);
  refuseInto(options, "inspect returns no values");
  if (isPatch(bytes)) {
    const { oldSize, newSize } = readPatchHeader(new ByteReader(bytes));
    return {
      kind: "patch",
      version: VERSION,
      bytes: bytes.length,
      oldBytes: oldSize,
      newBytes: newSize,
    };
  }
  if (readHeader(new ByteReader(bytes)).kind !== TABLE) {
    return inspectSeries(readSeriesFile(bytes, options.maxValues), bytes.length, options);
  }
  const { columns, parts } = readTable(bytes, options);
  const reports = Array.from(columns, ([name, file]) => {
    const size = file.chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);
    return { name, inspection: inColumn(name, () => inspectSeries(file, size, options)) };
  });
  const values = reports[0]?.inspection.values ?? 0;
  return {
    kind: "table",
    version: VERSION,
    bytes: bytes.length,
    values,
    columns: reports,
    metadata: metadataOf(parts),
  };
}

function inspectSeries(
  { type, count, chunks }: SeriesFile,
  bytes: number,
  options: DecodeOptions,
): SeriesInspection {
  return {
    kind: "series",
    version: VERSION,
    type,
    values: count,
    bytes,
    chunks: chunks.map((chunk) => inChunk(chunk, () => reportOf(chunk, type, options))),
  };
}

function reportOf(chunk: ChunkEntry, type: ValueType, options: DecodeOptions): ChunkReport {
  const { offset, bytes, firstValue, count } = chunk;
  const body = decodeBody(chunk.body, type, count, decodeContext(options));
  const { validity } = body;
  // What decodes a lane of singles need not leave them as doubles.
  const lane =
    body.lane.kind === "strings" ? body.lane : laneOfWords(body.lane, wordsOfLane(body.lane));
  const frame = {
    offset,
    bytes,
    firstValue,
    values: count,
    bitsPerValue: (bytes * 8) / Math.max(1, count),
  };
  const statistics = encodeStatistics({ type, count, lane, validity }, { wasm: false });
  const told = chunk.statistics ?? statistics;
  if (told.length !== statistics.length || told.some((byte, i) => byte !== statistics[i])) {
    throw otherValues();
  }
  const known = readStatistics(statistics, type, count);
  if (lane.kind === "strings") {
    const rest = { exceptions: 0, mode: "strings", predictor: "-", why: [], blocks: [] };
    return { ...frame, ...known, backend: "strings", ...rest };
  }
  const reader = new ByteReader(chunk.body);
  skipNulls(reader);
  const numbers = describeNumbers(reader.raw(reader.remaining), lane, count);
  return { ...frame, ...known, ...numbers, why: alternatives(lane, count) };
}

function skipNulls(reader: ByteReader): void {
  if (reader.u8() === 0) return;
  reader.varint();
  reader.raw(reader.varint());
}

/** The encoder's estimates, made again from the decoded values. */
function alternatives(lane: Lane, count: number): Alternative[] {
  if (lane.kind === "strings" || count === 0) return [];
  const bytesOf = (bits: number): number => Math.round((bits * count) / 8);
  const modes: Alternative[] =
    lane.kind === "floats"
      ? estimateFloatModes(lane).map(({ mode, bits }) => {
          return { question: "mode", candidate: describeMode(mode), bytes: bytesOf(bits) };
        })
      : [];
  const { estimates } = choose(integersOfLane(lane).offsets, integerOptions({}));
  const predictors = estimates.flatMap(({ predictor, smallBits, fastBits }): Alternative[] => {
    const text = describePredictor(predictor);
    const small: Alternative = {
      question: "predictor",
      candidate: `${text}, small`,
      bytes: bytesOf(smallBits),
    };
    if (predictor.lag > 0) return [small];
    return [small, { question: "predictor", candidate: `${text}, fast`, bytes: bytesOf(fastBits) }];
  });
  const byBytes = (a: Alternative, b: Alternative): number => a.bytes - b.bytes;
  return [...modes.sort(byBytes), ...predictors.sort(byBytes)];
}
