import { corrupt, DeltaError } from "./delta-error.ts";

/** A general compressor to hand bytes to. Ids: 1 deflate (raw), 2 brotli, 3 zstd; own ones 64 to 255. */
export type Compressor = {
  readonly id: number;
  readonly name: string;
  readonly compress: (bytes: Uint8Array) => Uint8Array;
  /** Must refuse, by any error, to make more than `sizeMax` bytes. */
  readonly decompress: (bytes: Uint8Array, sizeMax: number) => Uint8Array;
};

let runtimeCompressors: () => readonly Compressor[] = () => [];

/** Without it only those that the caller passes are there. */
export function addRuntimeCompressors(given: () => readonly Compressor[]): void {
  runtimeCompressors = given;
}

/** Those of the caller and of the runtime. */
export function allCompressors(own: readonly Compressor[] = []): readonly Compressor[] {
  if (Array.isArray(own)) return [...own, ...runtimeCompressors()];
  throw new DeltaError("invalid_argument", "compressors are to be an array");
}

/** The caller's compressor to write with: its id stands in a byte, and is none of the runtimes'. */
export function checkCompressor(own: Compressor): Compressor {
  const id = (own as Partial<Compressor> | null)?.id;
  if (id === undefined || !(Number.isInteger(id) && id >= 64 && id <= 255)) {
    const message = `compressor id ${String(id)}: take a whole number from 64 to 255`;
    throw new DeltaError("invalid_argument", message);
  }
  // Without `decompress` nothing would come back, and all be written without the compressor.
  for (const name of ["compress", "decompress"] as const) {
    if (typeof own[name] === "function") continue;
    throw new DeltaError("invalid_argument", `a compressor's ${name} must be a function`);
  }
  return own;
}

/** Brotli where it is: every Node has it, and it comes out smallest. */
export function defaultCompressor(compressors: readonly Compressor[]): Compressor | undefined {
  return compressors.find(({ name }) => name === "brotli") ?? compressors[0];
}

/** The compressor that bytes were handed off to. */
export function compressorOf(compressors: readonly Compressor[], id: number): Compressor {
  const compressor = compressors.find((each) => each.id === id);
  if (compressor !== undefined) return compressor;
  const message = `compressor ${id} is not in this runtime: pass it in \`compressors\``;
  throw new DeltaError("unsupported_feature", message);
}

/** Bytes as `compressor` makes them. It may change those that it is given, and use its memory again. */
export function compressed(compressor: Compressor, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(compressor.compress(new Uint8Array(bytes)));
}

/** What they were made of, or something else: nobody has looked. Good until the compressor is used again. */
export function decompressed(
  compressor: Compressor,
  bytes: Uint8Array,
  sizeMax: number,
): Uint8Array {
  try {
    const made = compressor.decompress(new Uint8Array(bytes), sizeMax);
    if ((made as Partial<Uint8Array> | undefined)?.BYTES_PER_ELEMENT === 1) return made;
    throw new TypeError("it makes no bytes");
  } catch (error) {
    // Whatever it refuses by, hostile bytes are told by a DeltaError.
    if (error instanceof DeltaError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new DeltaError("corrupt", `${compressor.name} does not decompress: ${reason}`);
  }
}

/** Zigzag, then all lowest bytes, all second bytes, and so on: like bytes together. */
export function splitPlanes(residuals: Int32Array): Uint8Array {
  const count = residuals.length;
  const planes = new Uint8Array(count * 4);
  for (let i = 0; i < count; i += 1) {
    const residual = residuals[i] as number;
    const folded = (residual << 1) ^ (residual >> 31);
    planes[i] = folded;
    planes[count + i] = folded >>> 8;
    planes[2 * count + i] = folded >>> 16;
    planes[3 * count + i] = folded >>> 24;
  }
  return planes;
}

export function joinPlanes(planes: Uint8Array, out: Int32Array): void {
  const count = out.length;
  if (planes.length !== count * 4) {
    throw corrupt("sizes");
  }
  for (let i = 0; i < count; i += 1) {
    const folded =
      (planes[i] as number) |
      ((planes[count + i] as number) << 8) |
      ((planes[2 * count + i] as number) << 16) |
      ((planes[3 * count + i] as number) << 24);
    out[i] = (folded >>> 1) ^ -(folded & 1);
  }
}
