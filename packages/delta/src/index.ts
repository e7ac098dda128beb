export { DeltaError, type DeltaErrorCode } from "./delta-error.ts";
export type { Compressor } from "./handoff.ts";
export type { Backend } from "./integer-coder.ts";
export { type DecodeOptions, decode, type EncodeOptions, encode } from "./series-codec.ts";
export type { PlainValues, TypedValues, Values, ValueType } from "./values.ts";
