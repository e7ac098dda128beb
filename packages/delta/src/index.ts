export type { ChunkStatistics } from "./chunk-statistics.ts";
export {
  decode,
  decodeStream,
  decodeTable,
  encode,
  encodeStream,
  encodeTable,
  inspect,
  Series,
} from "./complete.ts";
export { DeltaError, type DeltaErrorCode } from "./delta-error.ts";
export { type Deltas, deltas, undelta } from "./deltas.ts";
export { diff } from "./diff.ts";
export type { Compressor } from "./handoff.ts";
export type { Alternative, ChunkReport, Inspection, SeriesInspection } from "./inspect.ts";
export type { Backend } from "./integer-coder.ts";
export { patch } from "./patch.ts";
export type { ChunkSummary, SeriesOptions } from "./series.ts";
export type { DecodeOptions, EncodeOptions } from "./series-codec.ts";
export type { Source } from "./stream.ts";
export {
  type DecodeTableOptions,
  type TableOptions,
  type TablePart,
  tableMetadata,
  tableParts,
} from "./table.ts";
export type { Element, PlainValues, TypedValues, Values, ValueType } from "./values.ts";
