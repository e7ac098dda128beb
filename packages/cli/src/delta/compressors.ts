import { spawn, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { brotliCompress, brotliDecompress, constants, gunzip, gzip } from "node:zlib";

/** A compressor of bytes to be compared with. */
export type ByteCodec = {
  readonly name: string;
  readonly encode: (bytes: Uint8Array) => Promise<Uint8Array>;
  readonly decode: (bytes: Uint8Array) => Promise<Uint8Array>;
};

const gzipAsync = promisify(gzip);
const gunzipAsync = promisify(gunzip);
const brotliAsync = promisify(brotliCompress);
const unbrotliAsync = promisify(brotliDecompress);

/** Node's own, and the programs that are installed; `thorough` adds levels that take long. */
export function byteCodecs(thorough: boolean): ByteCodec[] {
  const codecs = [gzipCodec(6), brotliCodec(5)];
  if (thorough) codecs.push(brotliCodec(11));
  if (isInstalled("zstd")) {
    codecs.push(program("zstd", "-3"));
    if (thorough) codecs.push(program("zstd", "-19"));
  }
  if (isInstalled("xz")) codecs.push(program("xz", thorough ? "-9" : "-6"));
  return codecs;
}

function gzipCodec(level: number): ByteCodec {
  return {
    name: `gzip -${level}`,
    encode: (bytes) => gzipAsync(bytes, { level }),
    decode: (bytes) => gunzipAsync(bytes),
  };
}

function brotliCodec(quality: number): ByteCodec {
  return {
    name: `brotli -q ${quality}`,
    encode: (bytes) =>
      brotliAsync(bytes, {
        params: {
          [constants.BROTLI_PARAM_QUALITY]: quality,
          [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
        },
      }),
    decode: (bytes) => unbrotliAsync(bytes),
  };
}

function isInstalled(name: string): boolean {
  return spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0;
}

/** A program through pipes; its start is part of the time, as it is for whoever uses it so. */
function program(name: string, level: string): ByteCodec {
  return {
    name: `${name} ${level}`,
    encode: (bytes) => pipe(name, [level, "-c", "-T1"], bytes),
    decode: (bytes) => pipe(name, ["-d", "-c"], bytes),
  };
}

async function pipe(name: string, args: readonly string[], input: Uint8Array): Promise<Uint8Array> {
  const child = spawn(name, args, { stdio: ["pipe", "pipe", "ignore"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  // What the program says by its exit code is all that matters.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (code !== 0) throw new Error(`${name} ${args.join(" ")} ended with ${code}`);
  return Buffer.concat(chunks);
}
