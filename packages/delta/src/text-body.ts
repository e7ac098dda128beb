import { ByteReader } from "./byte-reader.ts";
import { ByteWriter } from "./byte-writer.ts";
import { comesBack, DeltaError } from "./delta-error.ts";
import { decodeStrings, encodeStrings } from "./front-coding.ts";
import { compressed, compressorOf, decompressed } from "./handoff.ts";
import {
  type DecodeContext,
  decodeInts,
  encodeInts,
  type IntegerOptions,
} from "./integer-coder.ts";
import { TEXT_BYTES_MAX } from "./limits.ts";
import { sameBytes } from "./same-words.ts";
import { joinStrings, splitStrings } from "./string-dictionary.ts";

/** How a chunk's strings are written. */
const METHOD = { strings: 0, dictionary: 1, handoff: 2 } as const;

/** The strings of one chunk: as they are, or the different ones and which of them stands where. */
export function encodeText(strings: readonly string[], options: IntegerOptions): Uint8Array {
  const writer = new ByteWriter();
  const dictionary = splitStrings(strings);
  if (dictionary === undefined) {
    writer.raw(encodeList(strings, options));
    return writer.finish();
  }
  const { distinct, indices } = dictionary;
  const list = encodeList(distinct, options);
  writer.u8(METHOD.dictionary);
  writer.varint(distinct.length);
  writer.varint(list.length);
  writer.raw(list);
  encodeInts(writer, indices, options);
  return writer.finish();
}

function encodeList(strings: readonly string[], options: IntegerOptions): Uint8Array {
  const writer = new ByteWriter();
  const { backend, compressor } = options;
  const plain = encodeStrings(strings, { fast: backend === "fast" || backend === "handoff" });
  const packed = backend === "handoff" ? compressed(compressor, plain) : undefined;
  // A compressor is read back before it is believed; what does not come back is written without it.
  if (
    packed !== undefined &&
    comesBack(() => sameBytes(decompressed(compressor, packed, plain.length), plain))
  ) {
    writer.u8(METHOD.handoff);
    writer.u8(compressor.id);
    writer.varint(plain.length);
    writer.raw(packed);
  } else {
    writer.u8(METHOD.strings);
    writer.raw(plain);
  }
  return writer.finish();
}

export function decodeText(bytes: Uint8Array, count: number, context: DecodeContext): string[] {
  const reader = new ByteReader(bytes);
  const method = reader.u8();
  if (method !== METHOD.dictionary) return decodeList(method, reader, count, context);
  const distinctCount = reader.varint(count);
  const list = new ByteReader(reader.part());
  const distinct = decodeList(list.u8(), list, distinctCount, context);
  const indices = decodeInts(reader.rest(), count, context);
  return joinStrings({ distinct, indices });
}

function decodeList(
  method: number,
  reader: ByteReader,
  count: number,
  context: DecodeContext,
): string[] {
  switch (method) {
    case METHOD.strings:
      return decodeStrings(reader.rest(), count, context.text);
    case METHOD.handoff: {
      const compressor = compressorOf(context.compressors, reader.u8());
      const size = reader.varint(TEXT_BYTES_MAX);
      return decodeStrings(decompressed(compressor, reader.rest(), size), count, context.text);
    }
    default:
      throw new DeltaError("unsupported_feature", `strings written by method ${method}`, 0);
  }
}
