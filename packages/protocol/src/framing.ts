import { assert, crc32c } from "@cubby/base";
import { CubbyError } from "./errors.ts";
import { FRAME_BYTES_MAX } from "./limits.ts";

/*
 * A frame is an 8-byte header and a payload: u32 length of the payload and u32 CRC-32C of it, both
 * little endian. A connection starts with one line of PREAMBLE from the side that connects.
 */
export const FRAME_HEADER_BYTES = 8;

/** First bytes on a session lane; the digit is the version of the framing. */
export const SESSION_PREAMBLE = "CUBBY/1 session\n";
/** First bytes on a peer lane. */
export const PEER_PREAMBLE = "CUBBY/1 replica\n";

/** Writes the header for `payload`, which must already lie right behind it in `frame`. */
export function sealFrame(frame: Uint8Array, start: number, payloadBytes: number): void {
  assert(frame.length >= start + FRAME_HEADER_BYTES + payloadBytes, "the frame holds its payload");
  const body = start + FRAME_HEADER_BYTES;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  view.setUint32(start, payloadBytes, true);
  view.setUint32(start + 4, crc32c(frame.subarray(body, body + payloadBytes)), true);
}

/** One payload as a frame of its own. */
export function encodeFrame(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  frame.set(payload, FRAME_HEADER_BYTES);
  sealFrame(frame, 0, payload.length);
  return frame;
}

/**
 * Cuts a byte stream into payloads. Holds at most one unfinished frame; the length is checked
 * before a byte of the payload is waited for. Throws `CubbyError` frame_too_long or bad_frame,
 * after which the stream cannot be read on.
 */
export class FrameDecoder {
  readonly #payloadBytesMax: number;
  #held: Uint8Array = new Uint8Array(0);
  #heldBytes = 0;

  constructor(payloadBytesMax: number = FRAME_BYTES_MAX) {
    this.#payloadBytesMax = payloadBytesMax;
  }

  /** True when part of a frame has arrived and the rest has not. */
  get partial(): boolean {
    return this.#heldBytes > 0;
  }

  /**
   * Calls `onPayload` for each complete frame. The payload is a view: of `chunk`, or of a buffer
   * that the decoder gives up; who keeps it keeps that memory alive.
   */
  push(chunk: Uint8Array, onPayload: (payload: Uint8Array) => void): void {
    let bytes = chunk;
    if (this.#heldBytes > 0) {
      bytes = this.#join(chunk);
      if (bytes.length === 0) return;
    }
    let at = 0;
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const payloadBytes = this.#declared(bytes, at);
      const end = at + FRAME_HEADER_BYTES + payloadBytes;
      if (end > bytes.length) break;
      const payload = bytes.subarray(at + FRAME_HEADER_BYTES, end);
      if (crc32c(payload) !== u32(bytes, at + 4)) {
        throw new CubbyError("bad_frame", "A frame's checksum does not match its bytes.");
      }
      at = end;
      onPayload(payload);
    }
    this.#hold(bytes, at);
  }

  #declared(bytes: Uint8Array, at: number): number {
    const payloadBytes = u32(bytes, at);
    if (payloadBytes > this.#payloadBytesMax) {
      throw new CubbyError(
        "frame_too_long",
        `A frame declares ${payloadBytes} bytes; the limit is ${this.#payloadBytesMax}.`,
      );
    }
    return payloadBytes;
  }

  /** Adds `chunk` to what is held; empty while the held frame is still unfinished. */
  #join(chunk: Uint8Array): Uint8Array {
    const total = this.#heldBytes + chunk.length;
    if (total > this.#held.length) {
      const grown = new Uint8Array(Math.max(total, this.#held.length * 2));
      grown.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = grown;
    }
    this.#held.set(chunk, this.#heldBytes);
    this.#heldBytes = total;
    if (total < FRAME_HEADER_BYTES) return new Uint8Array(0);
    if (total < FRAME_HEADER_BYTES + this.#declared(this.#held, 0)) return new Uint8Array(0);
    const joined = this.#held.subarray(0, total);
    this.#held = new Uint8Array(0);
    this.#heldBytes = 0;
    return joined;
  }

  #hold(bytes: Uint8Array, at: number): void {
    this.#heldBytes = bytes.length - at;
    // A copy: the rest must not keep the whole chunk alive, nor be overwritten with it.
    this.#held = this.#heldBytes === 0 ? new Uint8Array(0) : bytes.slice(at);
  }
}

function u32(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
  return ((d << 24) | (c << 16) | (b << 8) | a) >>> 0;
}
