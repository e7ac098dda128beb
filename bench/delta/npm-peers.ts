/** Adapters to npm packages that pack columns of numbers, each with the settings that suit best. */

import { bytesOf, type Codec, valuesOf } from "./codec.ts";
import type { Series } from "./data.ts";
import type { SeriesValues } from "./real-series.ts";

/** A package, whose types are not installed. */
export type Module = Readonly<Record<string, unknown>>;
type Codecs = (series: Series) => readonly Codec[];

export async function meshoptimizer(modules: readonly Module[]): Promise<Codecs> {
  type Encoder = {
    readonly ready: Promise<void>;
    encodeVertexBufferLevel(
      source: Uint8Array,
      count: number,
      size: number,
      level: number,
      version: number,
    ): Uint8Array;
  };
  type Decoder = {
    readonly ready: Promise<void>;
    decodeVertexBuffer(target: Uint8Array, count: number, size: number, source: Uint8Array): void;
  };
  const { MeshoptEncoder: encoder, MeshoptDecoder: decoder } = modules[0] as {
    readonly MeshoptEncoder: Encoder;
    readonly MeshoptDecoder: Decoder;
  };
  await Promise.all([encoder.ready, decoder.ready]);
  return ({ values }) => {
    const { length, BYTES_PER_ELEMENT: size } = values;
    const target = new Uint8Array(values.byteLength);
    return [
      {
        label: "level 3",
        encode: () => encoder.encodeVertexBufferLevel(bytesOf(values), length, size, 3, 1),
        decode: (bytes) => {
          decoder.decodeVertexBuffer(target, length, size, bytes);
          return valuesOf(values, target);
        },
      },
    ];
  };
}

export async function hyparquet(modules: readonly Module[]): Promise<Codecs> {
  type Writer = {
    parquetWriteBuffer(options: {
      readonly columnData: readonly object[];
      readonly codec: string;
      readonly statistics: boolean;
      readonly rowGroupSize: number;
    }): ArrayBuffer;
  };
  type Reader = {
    parquetRead(options: {
      readonly file: ArrayBuffer;
      readonly onChunk: (chunk: { readonly columnData: ArrayLike<number> }) => void;
    }): Promise<void>;
  };
  const { parquetWriteBuffer } = modules[0] as unknown as Writer;
  const { parquetRead } = modules[1] as unknown as Reader;
  const parquetTypes = { i32: "INT32", i64: "INT64", f64: "DOUBLE" } as const;
  return ({ type, values }) => {
    const encodings = type === "f64" ? ["BYTE_STREAM_SPLIT"] : ["DELTA_BINARY_PACKED"];
    return [...encodings, undefined].map((encoding) => ({
      label: encoding ?? "by itself",
      encode: () => {
        const column = { name: "v", data: values, type: parquetTypes[type], nullable: false };
        const columnData = [encoding === undefined ? column : { ...column, encoding }];
        const options = { codec: "SNAPPY", statistics: false, rowGroupSize: 1 << 20 };
        return new Uint8Array(parquetWriteBuffer({ columnData, ...options }));
      },
      decode: async (bytes) => {
        const file = new Uint8Array(bytes).buffer;
        const chunks: ArrayLike<number>[] = [];
        await parquetRead({ file, onChunk: ({ columnData }) => chunks.push(columnData) });
        return joined(values, chunks);
      },
    }));
  };
}

/** The chunks in one typed array, without a copy when there is but one of the right kind. */
function joined(like: SeriesValues, chunks: readonly ArrayLike<unknown>[]): SeriesValues {
  const [first] = chunks;
  if (chunks.length === 1 && first?.constructor === like.constructor) return first as SeriesValues;
  const values = valuesOf(like, new Uint8Array(like.byteLength));
  let at = 0;
  for (const chunk of chunks) {
    (values as Float64Array).set(chunk as ArrayLike<number>, at);
    at += chunk.length;
  }
  return values;
}

export async function parquetWasm(modules: readonly Module[]): Promise<Codecs> {
  type Properties = { readonly build: () => object } & {
    readonly [Setting in "setEncoding" | "setCompression" | "setDictionaryEnabled"]: (
      value: unknown,
    ) => Properties;
  };
  type ParquetWasm = {
    readonly Table: { fromIPCStream(stream: Uint8Array): object };
    readonly WriterPropertiesBuilder: new () => Properties;
    readonly Encoding: Readonly<Record<string, number>>;
    readonly Compression: Readonly<Record<string, number>>;
    writeParquet(table: object, properties: object): Uint8Array;
    readParquet(bytes: Uint8Array): { intoIPCStream(): Uint8Array };
  };
  type Arrow = {
    tableFromArrays(columns: Readonly<Record<string, SeriesValues>>): object;
    tableToIPC(table: object, kind: "stream"): Uint8Array;
    tableFromIPC(stream: Uint8Array): { getChild(name: string): { toArray(): SeriesValues } };
  };
  const loaded = modules[0] as { readonly default?: unknown };
  const parquet = (loaded.default ?? loaded) as ParquetWasm;
  const arrow = modules[1] as unknown as Arrow;
  return ({ type, values }) => {
    const encodings = type === "f64" ? ["BYTE_STREAM_SPLIT"] : ["DELTA_BINARY_PACKED"];
    return [...encodings, "dictionary"].map((encoding) => ({
      label: `${encoding}, zstd`,
      encode: () => {
        const stream = arrow.tableToIPC(arrow.tableFromArrays({ v: values }), "stream");
        const builder = new parquet.WriterPropertiesBuilder().setCompression(
          parquet.Compression["ZSTD"],
        );
        const properties =
          encoding === "dictionary"
            ? builder.setDictionaryEnabled(true)
            : builder.setDictionaryEnabled(false).setEncoding(parquet.Encoding[encoding]);
        return parquet.writeParquet(parquet.Table.fromIPCStream(stream), properties.build());
      },
      decode: (bytes) => {
        const table = arrow.tableFromIPC(parquet.readParquet(bytes).intoIPCStream());
        return table.getChild("v").toArray();
      },
    }));
  };
}

export async function numcodecs(modules: readonly Module[]): Promise<Codecs> {
  type Blosc = {
    encode(bytes: Uint8Array): Promise<Uint8Array>;
    decode(bytes: Uint8Array): Promise<Uint8Array>;
  };
  type Settings = { readonly cname: string; readonly clevel: number; readonly shuffle: number };
  const Constructor = modules[0]?.["default"] as { fromConfig(settings: Settings): Blosc };
  return ({ values }) =>
    [1, 2].map((shuffle) => {
      const blosc = Constructor.fromConfig({ cname: "zstd", clevel: 9, shuffle });
      return {
        label: shuffle === 1 ? "zstd, shuffle" : "zstd, bit shuffle",
        encode: () => blosc.encode(bytesOf(values)),
        decode: async (bytes) => valuesOf(values, await blosc.decode(bytes)),
      };
    });
}

/** Varints of differences, which are taken here: the package has none. */
export async function varints(modules: readonly Module[]): Promise<Codecs> {
  type Varints = {
    compressSigned(values: ArrayLike<number>): ArrayBuffer;
    uncompressSigned(bytes: ArrayBuffer): number[];
  };
  const codec = modules[0]?.["default"] as Varints;
  return ({ values }) => {
    if (!(values instanceof Int32Array)) return [];
    return [
      {
        label: "differences",
        encode: () => {
          const differences = new Int32Array(values.length);
          for (let i = 0, last = 0; i < values.length; i += 1) {
            const value = values[i] as number;
            differences[i] = value - last;
            last = value;
          }
          return new Uint8Array(codec.compressSigned(differences));
        },
        decode: (bytes) => {
          const { buffer, byteOffset, byteLength } = bytes;
          const differences = codec.uncompressSigned(
            buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer,
          );
          const decoded = new Int32Array(differences.length);
          for (let i = 0, last = 0; i < decoded.length; i += 1) {
            last = (last + (differences[i] as number)) | 0;
            decoded[i] = last;
          }
          return decoded;
        },
      },
    ];
  };
}
