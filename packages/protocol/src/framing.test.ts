import { describe, expect, it } from "vitest";
import { CubbyError } from "./errors.ts";
import { encodeFrame, FrameDecoder } from "./framing.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

function decodeAll(decoder: FrameDecoder, chunks: readonly Uint8Array[]): Uint8Array[] {
  const payloads: Uint8Array[] = [];
  for (const chunk of chunks) decoder.push(chunk, (payload) => payloads.push(payload.slice()));
  return payloads;
}

function codeOf(run: () => void): string {
  try {
    run();
  } catch (error) {
    if (error instanceof CubbyError) return error.code;
    throw error;
  }
  return "none";
}

describe("framing", () => {
  const payloads = [bytes(), bytes(1), bytes(...Array.from({ length: 300 }, (_, i) => i % 256))];
  const stream = Uint8Array.from(payloads.flatMap((payload) => [...encodeFrame(payload)]));

  it("gives back every payload, however the stream is cut", () => {
    for (const size of [1, 2, 3, 7, 8, 9, 64, stream.length]) {
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < stream.length; at += size) chunks.push(stream.slice(at, at + size));
      expect(decodeAll(new FrameDecoder(), chunks)).toEqual(payloads);
    }
  });

  it("says whether part of a frame is held", () => {
    const decoder = new FrameDecoder();
    decodeAll(decoder, [stream.slice(0, 5)]);
    expect(decoder.partial).toBe(true);
    decodeAll(decoder, [stream.slice(5)]);
    expect(decoder.partial).toBe(false);
  });

  it("refuses a declared length over the limit before any of the payload arrives", () => {
    const header = encodeFrame(new Uint8Array(11)).slice(0, 8);
    expect(codeOf(() => decodeAll(new FrameDecoder(10), [header]))).toBe("frame_too_long");
    // Also when the header itself arrives in two pieces.
    const pieces = [header.slice(0, 3), header.slice(3)];
    expect(codeOf(() => decodeAll(new FrameDecoder(10), pieces))).toBe("frame_too_long");
  });

  it("refuses a frame with any one bit flipped", () => {
    const good = encodeFrame(bytes(1, 2, 3, 4, 5));
    for (let bit = 4 * 8; bit < good.length * 8; bit += 1) {
      const bad = good.slice();
      bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(codeOf(() => decodeAll(new FrameDecoder(), [bad]))).toBe("bad_frame");
    }
  });
});
