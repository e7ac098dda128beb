import { ByteWriter } from "./byte-writer.ts";
import { xxh32 } from "./checksum.ts";
import { DeltaError } from "./delta-error.ts";
import { requireBytes } from "./file-format.ts";
import { type PlanCosts, planSegments, type Segment } from "./match-plan.ts";
import { PatchCodec } from "./patch-codec.ts";
import { FILE_BYTES_MAX, STORED, writePatchHeader } from "./patch-format.ts";
import { RangeEncoder } from "./range-coder.ts";

/** Patches up to this size are tried in all ways; more is not worth the time. */
const TRY_ALL_MAX = 1 << 16;
/** Many differences: runs are told after 2^11 bytes alike. Few: early. */
const METHODS = [11, 5];
/** Bits for a literal that plans reckon with: anything, and text that resembles the old file. */
const LITERAL_BITS = [4, 2];
const HOPELESS_LITERALS_MIN = 1 << 18;

/**
 * A patch from which `patch` makes `newBytes` out of `oldBytes`. Both files, and as much again for
 * finding what they share, are held in memory.
 */
export function diff(oldBytes: Uint8Array, newBytes: Uint8Array): Uint8Array {
  requireBytes(oldBytes, "the old file is to be a Uint8Array");
  requireBytes(newBytes, "the new file is to be a Uint8Array");
  for (const { length } of [oldBytes, newBytes]) {
    if (length > FILE_BYTES_MAX)
      throw new DeltaError("limit_exceeded", `a file of ${length} bytes`);
  }
  const history = new Uint8Array(oldBytes.length + newBytes.length);
  history.set(oldBytes);
  history.set(newBytes, oldBytes.length);
  const { method, body } = smallestBody(history, oldBytes.length, newBytes);
  const writer = new ByteWriter();
  writePatchHeader(writer, {
    method,
    oldSize: oldBytes.length,
    newSize: newBytes.length,
    oldHash: xxh32(oldBytes),
    newHash: xxh32(newBytes),
  });
  writer.raw(body);
  return writer.finish().slice();
}

type Body = { readonly method: number; readonly body: Uint8Array };

function smallestBody(history: Uint8Array, oldSize: number, newBytes: Uint8Array): Body {
  let best: Body = { method: STORED, body: newBytes };
  for (const bits of LITERAL_BITS) {
    const segments = planSegments(history, oldSize, costsOf(bits));
    if (isHopeless(history, segments)) return best;
    for (const method of METHODS) {
      const encoder = new RangeEncoder();
      const shape = { oldSize, newSize: newBytes.length, runAfter: 2 ** method };
      new PatchCodec(encoder, history, shape, segments).run();
      const body = encoder.finish();
      if (body.length < best.body.length) best = { method, body };
      if (body.length > TRY_ALL_MAX) return best;
    }
  }
  return best;
}

/** Whether nearly all would be literals without any pattern, which take long to code for nothing. */
function isHopeless(history: Uint8Array, segments: readonly Segment[]): boolean {
  const counts = new Uint32Array(256);
  let literals = 0;
  let copied = 0;
  for (const { start, end, offset } of segments) {
    if (offset !== 0) {
      copied += end - start;
      continue;
    }
    literals += end - start;
    for (let at = start; at < end; at += 1) {
      const byte = history[at] as number;
      counts[byte] = (counts[byte] as number) + 1;
    }
  }
  if (literals < HOPELESS_LITERALS_MIN || copied * 16 > literals) return false;
  let bits = 0;
  for (const count of counts) bits += count === 0 ? 0 : count * Math.log2(literals / count);
  return bits > 7.95 * literals;
}

function costsOf(literalBits: number): PlanCosts {
  return {
    literal: literalBits * 256,
    hit: 8,
    miss: 9 * 256,
    missAgain: 6 * 256,
    leave: 10 * 256,
    enter: 10 * 256,
  };
}
