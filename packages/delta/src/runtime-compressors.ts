import type { Compressor } from "./handoff.ts";

/** The part of Node's zlib that is used here, by its shape: this package compiles without Node. */
type Zlib = {
  readonly constants: Readonly<Record<string, number>>;
} & Readonly<Record<string, ((bytes: Uint8Array, options?: object) => Uint8Array) | undefined>>;

type Runtime = { readonly process?: { getBuiltinModule?: (name: string) => unknown } };

let found: readonly Compressor[] | undefined;

/** Those of the runtime: Node's zlib has deflate and brotli, and zstd from 22.15 on. */
export function runtimeCompressors(): readonly Compressor[] {
  if (found === undefined) {
    const { process } = globalThis as Runtime;
    const zlib = process?.getBuiltinModule?.("node:zlib") as Zlib | undefined;
    found = zlib === undefined ? [] : compressorsOf(zlib);
  }
  return found;
}

function compressorsOf(zlib: Zlib): readonly Compressor[] {
  const { constants } = zlib;
  const brotli = { params: { [constants["BROTLI_PARAM_QUALITY"] ?? 1]: 9 } };
  const rows = [
    {
      id: 1,
      name: "deflate",
      forth: "deflateRawSync",
      back: "inflateRawSync",
      options: { level: 9 },
    },
    {
      id: 2,
      name: "brotli",
      forth: "brotliCompressSync",
      back: "brotliDecompressSync",
      options: brotli,
    },
    { id: 3, name: "zstd", forth: "zstdCompressSync", back: "zstdDecompressSync", options: {} },
  ];
  return rows.flatMap(({ id, name, forth, back, options }) => {
    const compress = zlib[forth];
    const decompress = zlib[back];
    if (compress === undefined || decompress === undefined) return [];
    return {
      id,
      name,
      compress: (bytes: Uint8Array) => compress(bytes, options),
      decompress: (bytes: Uint8Array, sizeMax: number) =>
        decompress(bytes, { maxOutputLength: Math.max(sizeMax, 1) }),
    };
  });
}
