/** Where the WebAssembly kernels of the packed back end keep things, in bytes of their memory. */

/** What is added to each of 128 fields, 32 bits each, in the order of the packed words. */
export const PATCHES = 0;
/** The same in 64 bits, in the order of the latents. */
export const WIDE_PATCHES = 512;
/** A block in the order of the packed words; beneath it, what an address of -4 reaches. */
export const SCRATCH = 1_552;
/** A block in the order of the latents, twice. */
export const LOWS = 2_080;
export const HIGHS = 2_608;
/** A byte for each kernel that is in the table. */
export const READY = 3_136;
/** Three seeds of 64 bits. */
export const SEEDS = 3_216;
/** Center and step, 64 bits each. */
export const FRAME = 3_248;
/** Where a driver stopped: positions in directory, words and exceptions. */
export const STOPPED = 3_264;
/** Four doubles: step, start, and two that `scaleModule` speaks of. */
export const SCALE = 3_280;
/** Eight bytes that are written and never read. */
export const NOWHERE = 3_312;
/** 128 bytes for how many bits the fields of a block need, centered and framed. */
export const LENGTHS = 3_328;
/** Payloads and latents. */
export const HEAP = 4_096;

/** Kernel `width` sums fields up, kernel `RAW + width` does not. */
export const RAW = 33;
export const KERNEL_COUNT = 66;
