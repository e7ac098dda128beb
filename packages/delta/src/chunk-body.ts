import { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import { decodeNumbers, encodeNumbers, numberAt } from "./chunk.ts";
import { corrupt, DeltaError, unsupported } from "./delta-error.ts";
import {
  type DecodeContext,
  decodeInts,
  encodeInts,
  type IntegerOptions,
} from "./integer-coder.ts";
import { newLane } from "./number-lane.ts";
import type { decodeText, encodeText } from "./text-body.ts";
import { type Lane, type NumberLane, rawForm, type Taken, type ValueType } from "./values.ts";

const NULLS = 1;

export type TextCodec = {
  readonly encodeText: typeof encodeText;
  readonly decodeText: typeof decodeText;
};

let textCodec: TextCodec | undefined;

/** Without it series of strings are refused. */
export function addTextCodec(given: TextCodec): void {
  textCodec = given;
}

function text(): TextCodec {
  if (textCodec !== undefined) return textCodec;
  throw new DeltaError("unsupported_feature", "strings are not in @cubby/delta/core");
}

/** A chunk's body: which values are null, then the others. */
export function encodeBody(writer: ByteWriter, taken: Taken, options: IntegerOptions): void {
  const { lane, validity, type } = taken;
  writer.u8(validity === undefined ? 0 : NULLS);
  if (validity !== undefined) {
    const runs = runLengths(validity);
    writer.varint(runs.length);
    writer.part(() => encodeInts(writer, runs, { ...options, tryLags: false }));
  }
  if (lane.kind === "strings") {
    writer.varint(lane.strings.length);
    writer.raw(text().encodeText(lane.strings, options));
  } else encodeNumbers(writer, lane, rawForm(type), options);
}

/** Lengths of runs of values and of nulls by turns; the first may be 0. */
function runLengths(validity: Uint8Array): Int32Array {
  const lengths: number[] = [];
  let current = 1;
  let length = 0;
  for (const valid of validity) {
    if (valid !== current) {
      lengths.push(length);
      current = valid;
      length = 0;
    }
    length += 1;
  }
  lengths.push(length);
  return Int32Array.from(lengths);
}

/** A chunk read back: `lane` holds something for each null too, but for strings, of which only those present. */
export type Body = { readonly lane: Lane; readonly validity: Uint8Array | undefined };

/** Numbers go into `into`, which has `count` places; without it, into a lane of their own. */
export function decodeBody(
  bytes: Uint8Array,
  type: ValueType,
  count: number,
  context: DecodeContext,
  into?: NumberLane,
): Body {
  const reader = new ByteReader(bytes);
  const nullRuns = readNullRuns(reader, count, context);
  const validity = nullRuns === undefined ? undefined : validityOf(nullRuns, count);
  if (type === "string") {
    const present = reader.varint(count);
    const strings = text().decodeText(reader.rest(), present, context);
    const expected = validity === undefined ? count : validity.reduce((sum, each) => sum + each, 0);
    if (strings.length !== expected) {
      throw corrupt("strings", 1);
    }
    return { lane: { kind: "strings", strings }, validity };
  }
  const lane = into ?? newLane(type, count);
  decodeNumbers(reader.rest(), lane, rawForm(type), context);
  return { lane, validity };
}

/**
 * One value, if it can be read without the others. Where there are nulls their runs are all read, so it
 * takes time for these too.
 */
export function bodyAt(
  bytes: Uint8Array,
  type: ValueType,
  context: DecodeContext,
  count: number,
  index: number,
): Body | undefined {
  if (type === "string") return undefined;
  const reader = new ByteReader(bytes);
  const lengths = readNullRuns(reader, count, context);
  const lane = newLane(type, 1);
  if (lengths !== undefined && isNullAt(lengths, count, index)) {
    return { lane, validity: Uint8Array.of(0) };
  }
  const isRead = numberAt(reader.rest(), lane, rawForm(type), context, count, index);
  return isRead ? { lane, validity: undefined } : undefined;
}

/** Lengths of runs of values and of nulls by turns; undefined if there are no nulls. */
function readNullRuns(
  reader: ByteReader,
  count: number,
  context: DecodeContext,
): Int32Array | undefined {
  const flags = reader.u8();
  if (flags > NULLS) throw unsupported("body", flags, 0);
  if (flags !== NULLS) return undefined;
  const runs = reader.varint(count + 1);
  return decodeInts(reader.part(), runs, context);
}

function isNullAt(lengths: Int32Array, count: number, index: number): boolean {
  let end = 0;
  let run = -1;
  while (end <= index) {
    run += 1;
    end = nullsEnd(end, lengths[run] ?? -1, count);
  }
  return run % 2 === 1;
}

function validityOf(lengths: Int32Array, count: number): Uint8Array {
  const validity = new Uint8Array(count);
  let at = 0;
  for (let k = 0; k < lengths.length; k += 1) {
    const end = nullsEnd(at, lengths[k] as number, count);
    if (k % 2 === 0) validity.fill(1, at, end);
    at = end;
  }
  if (at !== count) throw corrupt("nulls");
  return validity;
}

function nullsEnd(at: number, length: number, count: number): number {
  const end = at + length;
  if (end < at || end > count) throw corrupt("nulls");
  return end;
}
