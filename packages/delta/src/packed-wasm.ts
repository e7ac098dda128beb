import type { ByteWriter } from "./byte-writer.ts";
import { assert } from "./delta-error.ts";
import { factorsOf } from "./float-mode.ts";
import { decodeRest } from "./packed-decode.ts";
import { BLOCK, BlockCursor } from "./packed-directory.ts";
import { encodeRest32 } from "./packed-encode.ts";
import { chunkFrame32 } from "./packed-frame.ts";
import { boundsModule } from "./wasm-bounds.ts";
import { decodeModule } from "./wasm-packed-decode.ts";
import { encodeModule } from "./wasm-packed-encode.ts";
import { kernelModule } from "./wasm-packed-kernel.ts";
import {
  FRAME,
  HEAP,
  KERNEL_COUNT,
  PATCHES,
  READY,
  SCALE,
  SCRATCH,
  SEEDS,
  STOPPED,
} from "./wasm-packed-layout.ts";
import { scaleModule } from "./wasm-scale.ts";

// The part of WebAssembly that is used here, by its shape: this package compiles without a DOM.
type Memory = { readonly buffer: ArrayBuffer; grow(pages: number): number };
type Table = { set(index: number, element: unknown): void };
type Engine = {
  readonly Memory: new (limits: { initial: number; maximum: number }) => Memory;
  readonly Table: new (limits: { initial: number; element: "anyfunc" }) => Table;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: object,
  ) => { readonly exports: Readonly<Record<string, unknown>> };
};

const PAGE = 65_536;
/** A chunk of 2^18 pairs takes a third of this; what needs more is left to JavaScript. */
const MEMORY_PAGES_MAX = 256;
/** Loads of eight bytes may begin three exceptions behind a payload's last byte. */
const SLACK = 32;

/** Head, three seeds, base and exceptions of a block. */
const ENTRY_BYTES_MAX = 24;
/** Exceptions of a block, of 32 bits at most. */
const EXCEPTION_BYTES_MAX = 5 * BLOCK;

/** So many integers are made doubles at a time, which leave while they are still near. */
const SLICE = 4_096;

/** An integer q stands for (q × step + start) × multiplier / divisor. */
export type Scale = {
  readonly step: number;
  readonly start: number;
  readonly multiplier: number;
  readonly divisor: number;
};

type Driver = (...positions: number[]) => number;

/** The kernels in WebAssembly, made as they are needed. Undefined results send callers to JavaScript. */
export class PackedWasm {
  readonly #engine: Engine;
  readonly #memory: Memory;
  readonly #table: Table;
  readonly #decode: Driver;
  readonly #encode: Driver;
  readonly #equal: Driver;
  readonly #bounds: Driver;
  readonly #divide: Driver;
  readonly #multiply: Driver;
  /** What `encode32` has left at the heap's start, for `bounds`. */
  #latents: Int32Array | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#memory = new engine.Memory({ initial: 1, maximum: MEMORY_PAGES_MAX });
    this.#table = new engine.Table({ initial: KERNEL_COUNT, element: "anyfunc" });
    this.#decode = this.#make(decodeModule())["f"] as Driver;
    const encoder = this.#make(encodeModule());
    this.#encode = encoder["f"] as Driver;
    this.#equal = encoder["q"] as Driver;
    this.#bounds = this.#make(boundsModule())["b"] as Driver;
    const scalers = this.#make(scaleModule());
    this.#divide = scalers["d"] as Driver;
    this.#multiply = scalers["m"] as Driver;
  }

  /**
   * The latents, in memory that the next call overwrites: 32-bit ones, or pairs of words. Errors are
   * those of JavaScript, or undefined if it should say what is wrong.
   */
  decode(
    payload: Uint8Array,
    order: number,
    count: number,
    isPairs: boolean,
    heap = HEAP,
  ): Int32Array | undefined {
    this.#latents = undefined;
    const cursor = new BlockCursor(payload, count, order, isPairs);
    const { wordsAt, wordCount } = cursor;
    // Words are read fastest where they are aligned.
    const at = heap + ((16 - (wordsAt & 15)) & 15);
    const outAt = (at + payload.length + SLACK + 15) & ~15;
    const outWords = isPairs ? 2 * count : count;
    // With a slice's room behind the latents for `scale`.
    if (!this.#reserve(outAt + 4 * outWords + 16 + 8 * SLICE)) return undefined;
    const { buffer } = this.#memory;
    new Uint8Array(buffer, at, payload.length).set(payload);
    const whole = Math.floor(count / BLOCK);
    const words = at + wordsAt;
    const exceptions = words + 4 * wordCount;
    const positions = [
      at + cursor.position,
      words,
      words,
      exceptions,
      exceptions,
      at + payload.length,
      outAt,
      whole,
      order,
      isPairs ? 1 : 0,
    ];
    for (;;) {
      new Int32Array(buffer, SEEDS, 6).fill(0);
      new Int32Array(buffer, FRAME, 4).set(cursor.frame);
      const lacking = this.#decode(...positions);
      if (lacking === 0) break;
      if (lacking < 0) {
        new Uint8Array(buffer, PATCHES, SCRATCH - 16).fill(0);
        return undefined;
      }
      this.#table.set(lacking - 1, this.#make(kernelModule(lacking - 1))["f"]);
      new Uint8Array(buffer)[READY + lacking - 1] = 1;
    }
    const [position = 0, word = 0, exceptionAt = 0] = new Int32Array(buffer, STOPPED, 3);
    const seeds = new Int32Array(buffer, SEEDS, 6);
    cursor.resume(whole, position - at, (word - words) / 4, exceptionAt - at, seeds);
    const out = new Int32Array(buffer, outAt, outWords);
    decodeRest(cursor, out);
    return out;
  }

  /** Fills `out` with what `ints` stand for; they may be where `decode` left them. False: no room. */
  scale(ints: Int32Array, out: Float64Array, scale: Scale): boolean {
    this.#latents = undefined;
    const isHere = ints.buffer === this.#memory.buffer;
    const intsAt = isHere ? ints.byteOffset : HEAP;
    const outAt = isHere ? (intsAt + 4 * ints.length + 15) & ~15 : HEAP + 4 * SLICE;
    // Growing would take the integers from under their view.
    const end = outAt + 8 * SLICE;
    if (isHere ? end > this.#memory.buffer.byteLength : !this.#reserve(end)) return false;
    const { buffer } = this.#memory;
    const { step, start, multiplier, divisor } = scale;
    const isPlain = step === 1 && start === 0 && multiplier === 1;
    const factors = isPlain ? factorsOf(divisor) : undefined;
    const high = factors?.high ?? multiplier;
    const isMultiple = factors !== undefined || (divisor === 1 && multiplier > 0);
    const other = isMultiple ? (factors?.low ?? 0) : divisor;
    const fill = isMultiple ? this.#multiply : this.#divide;
    new Float64Array(buffer, SCALE, 4).set([step, start, high, other]);
    for (let first = 0; first < ints.length; first += SLICE) {
      const count = Math.min(SLICE, ints.length - first);
      const from = isHere ? intsAt + 4 * first : intsAt;
      if (!isHere) new Int32Array(buffer, from, count).set(ints.subarray(first, first + count));
      fill(from, outAt, from + 4 * count);
      out.set(new Float64Array(buffer, outAt, count), first);
    }
    return true;
  }

  /** Least and greatest of at least four integers; undefined: no room. */
  bounds(ints: Int32Array): Int32Array | undefined {
    const whole = ints.length & ~3;
    if (!this.#reserve(HEAP + 4 * whole)) return undefined;
    const { buffer } = this.#memory;
    if (ints !== this.#latents) new Int32Array(buffer, HEAP, whole).set(ints.subarray(0, whole));
    this.#latents = undefined;
    this.#bounds(HEAP, HEAP + 4 * whole, SCALE);
    const rest = ints.subarray(whole);
    const least = Math.min(...new Int32Array(buffer, SCALE, 4), ...rest);
    return Int32Array.of(least, Math.max(...new Int32Array(buffer, SCALE + 16, 4), ...rest));
  }

  /** A payload that is known to decode to `latents`, or undefined if there is no room. */
  encode32(writer: ByteWriter, latents: Int32Array, order: number): Uint8Array | undefined {
    const frame = chunkFrame32(latents, order);
    const count = latents.length;
    const blocks = Math.floor(count / BLOCK);
    const directoryAt = (HEAP + 4 * count + 15) & ~15;
    const wordsAt = (directoryAt + blocks * ENTRY_BYTES_MAX + 15) & ~15;
    const exceptionsAt = wordsAt + blocks * 4 * BLOCK;
    if (!this.#reserve(exceptionsAt + blocks * EXCEPTION_BYTES_MAX)) return undefined;
    const { buffer } = this.#memory;
    new Int32Array(buffer, HEAP, count).set(latents);
    const { centerLow, centerHigh, stepLow, stepHigh } = frame;
    new Int32Array(buffer, FRAME, 4).set([centerLow, centerHigh, stepLow, stepHigh]);
    const seeds = new Int32Array(buffer, SEEDS, 6).fill(0);
    this.#encode(HEAP, blocks, order, directoryAt, wordsAt, exceptionsAt);
    const [directoryEnd = 0, wordsEnd = 0, exceptionsEnd = 0] = new Int32Array(buffer, STOPPED, 3);
    const encoded = {
      blocks,
      directory: new Uint8Array(buffer, directoryAt, directoryEnd - directoryAt),
      words: new Uint8Array(buffer, wordsAt, wordsEnd - wordsAt),
      exceptions: new Uint8Array(buffer, exceptionsAt, exceptionsEnd - exceptionsAt),
      seeds,
    };
    const payload = encodeRest32(writer, encoded, latents, order, frame);
    const isSame = this.#decodesTo(payload, order, latents, directoryAt);
    assert(isSame, "a packed chunk decodes to the latents that it was made of");
    this.#latents = latents;
    return payload;
  }

  /** `latents` are at the heap's start too, up to `heap`. */
  #decodesTo(payload: Uint8Array, order: number, latents: Int32Array, heap: number): boolean {
    const decoded = this.decode(payload, order, latents.length, false, heap);
    if (decoded === undefined) return false;
    const whole = latents.length & ~3;
    const rest = latents.subarray(whole);
    return (
      this.#equal(HEAP, decoded.byteOffset, HEAP + 4 * whole) === 1 &&
      rest.every((latent, i) => latent === decoded[whole + i])
    );
  }

  #make(module: Uint8Array): Readonly<Record<string, unknown>> {
    const imports = { e: { m: this.#memory, t: this.#table } };
    return new this.#engine.Instance(new this.#engine.Module(module), imports).exports;
  }

  #reserve(bytes: number): boolean {
    const lacking = bytes - this.#memory.buffer.byteLength;
    if (lacking <= 0) return true;
    const pages = Math.ceil(lacking / PAGE);
    if (this.#memory.buffer.byteLength / PAGE + pages > MEMORY_PAGES_MAX) return false;
    this.#memory.grow(pages);
    return true;
  }
}

let instance: PackedWasm | undefined;
let isAbsent = false;

/** Undefined where there is no WebAssembly with vectors, or a policy forbids to compile it. */
export function packedWasm(): PackedWasm | undefined {
  if (instance !== undefined || isAbsent) return instance;
  try {
    const { WebAssembly: engine } = globalThis as { readonly WebAssembly?: Engine };
    if (engine !== undefined) instance = new PackedWasm(engine);
  } catch {
    // Refused; the reason does not matter, since everything works without.
  }
  isAbsent = instance === undefined;
  return instance;
}

/** After a failure of the engine itself: goes on without. */
export function forgetPackedWasm(): void {
  instance = undefined;
  isAbsent = true;
}
