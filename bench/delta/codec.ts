/** One way to pack a series and get it back: a back end of Cubby's, or a peer with its settings. */

import { decode, encode } from "@cubby/delta";
import type { Series } from "./data.ts";
import type { SeriesValues } from "./real-series.ts";

export type Backend = "fast" | "small" | "handoff";
export const BACKENDS: readonly Backend[] = ["small", "fast", "handoff"];

export type Codec = {
  /** The settings, where one peer has several. */
  readonly label: string;
  readonly encode: () => Uint8Array | Promise<Uint8Array>;
  readonly decode: (bytes: Uint8Array) => SeriesValues | Promise<SeriesValues>;
};

export function cubbyCodec(series: Series, backend: Backend, wasm?: boolean): Codec {
  const options = wasm === undefined ? {} : { wasm };
  // Into memory that is there, as every copy and the peers that can: new memory takes longer than decoding.
  const into = series.values.slice();
  return {
    label: backend,
    encode: () => encode(series.values, { backend, ...options }),
    decode: (bytes) => decode(bytes, { ...options, into }) as SeriesValues,
  };
}

/** The packed bytes, which are proved to give the series back bit for bit. */
export async function packed(series: Series, codec: Codec): Promise<Uint8Array> {
  const bytes = await codec.encode();
  if (!isSame(series.values, await codec.decode(bytes))) {
    throw new Error(`${codec.label} does not give ${series.name} back exactly`);
  }
  return bytes;
}

export function isSame(a: SeriesValues, b: SeriesValues): boolean {
  return a.length === b.length && Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
}

export function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** A typed array of the same kind over these bytes. */
export function valuesOf(like: SeriesValues, bytes: Uint8Array): SeriesValues {
  const isAligned = bytes.byteOffset % 8 === 0;
  const { buffer, byteOffset } = isAligned ? bytes : Uint8Array.from(bytes);
  const length = bytes.length / like.BYTES_PER_ELEMENT;
  if (like instanceof Int32Array) return new Int32Array(buffer, byteOffset, length);
  if (like instanceof Float64Array) return new Float64Array(buffer, byteOffset, length);
  return new BigInt64Array(buffer, byteOffset, length);
}
