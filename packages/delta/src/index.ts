export type { ChunkStatistics } from "./chunk-statistics.ts";
export { DeltaError, type DeltaErrorCode } from "./delta-error.ts";
export { type Deltas, deltas, undelta } from "./deltas.ts";
export { diff } from "./diff.ts";
export type { Compressor } from "./handoff.ts";
export {
  type Alternative,
  type ChunkReport,
  type Inspection,
  inspect,
  type SeriesInspection,
} from "./inspect.ts";
export type { Backend } from "./integer-coder.ts";
export { patch } from "./patch.ts";
export { type ChunkSummary, Series, type SeriesOptions } from "./series.ts";
export { type DecodeOptions, decode, type EncodeOptions, encode } from "./series-codec.ts";
export { decodeStream, encodeStream, type Source } from "./stream.ts";
export {
  type DecodeTableOptions,
  decodeTable,
  encodeTable,
  type TableOptions,
  tableMetadata,
} from "./table.ts";
export type { Element, PlainValues, TypedValues, Values, ValueType } from "./values.ts";
