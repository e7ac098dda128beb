/**
 * The library without strings, without WebAssembly and without the runtime's compressors, for pages where
 * every kilobyte counts. It writes the same bytes as the whole one, and reads what that wrote of numbers.
 */

export type { ChunkStatistics } from "./chunk-statistics.ts";
export { DeltaError, type DeltaErrorCode } from "./delta-error.ts";
export { type Deltas, deltas, undelta } from "./deltas.ts";
export type { Compressor } from "./handoff.ts";
export type { Backend } from "./integer-coder.ts";
export { type ChunkSummary, Series, type SeriesOptions } from "./series.ts";
export { type DecodeOptions, decode, type EncodeOptions, encode } from "./series-codec.ts";
export { decodeStream, encodeStream, type Source } from "./stream.ts";
export type { Element, PlainValues, TypedValues, Values, ValueType } from "./values.ts";
