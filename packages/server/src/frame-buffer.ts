import type { Socket } from "node:net";
import { FRAME_HEADER_BYTES, sealFrame } from "@cubby/protocol";

const INITIAL_BYTES = 4096;
/** What is kept for reuse: one large file must not pin its buffer for ever. */
const KEPT_BYTES_MAX = 64 * 1024;
const KEPT_COUNT_MAX = 64;

/** Frames gathered during one turn of the event loop, to leave in one write. */
export class FrameBuffer {
  #bytes: Uint8Array = new Uint8Array(INITIAL_BYTES);
  #position = 0;
  #frames = 0;

  get position(): number {
    return this.#position;
  }

  /** Payloads that have been appended. */
  get frames(): number {
    return this.#frames;
  }

  get capacity(): number {
    return this.#bytes.length;
  }

  /** Appends one payload as a sealed frame. */
  append(payload: Uint8Array): void {
    const start = this.#position;
    this.#reserve(FRAME_HEADER_BYTES + payload.length);
    this.#bytes.set(payload, start + FRAME_HEADER_BYTES);
    sealFrame(this.#bytes, start, payload.length);
    this.#position = start + FRAME_HEADER_BYTES + payload.length;
    this.#frames += 1;
  }

  /** Of a buffer that holds nothing but frames: those that do not end by `position`. */
  framesAfter(position: number): number {
    const { buffer, byteOffset } = this.#bytes;
    const view = new DataView(buffer, byteOffset, this.#position);
    let ended = 0;
    let end = 0;
    while (ended < this.#frames) {
      end += FRAME_HEADER_BYTES + view.getUint32(end, true);
      if (end > position) break;
      ended += 1;
    }
    return this.#frames - ended;
  }

  /** Appends bytes as they are: a preamble, or frames sealed earlier. */
  appendRaw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#position);
    this.#position += bytes.length;
  }

  /** A view of what has been appended from `start` to `end`. */
  view(start = 0, end = this.#position): Uint8Array {
    return this.#bytes.subarray(start, end);
  }

  reset(): void {
    this.#position = 0;
    this.#frames = 0;
  }

  #reserve(size: number): void {
    const needed = this.#position + size;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#position));
    this.#bytes = grown;
  }
}

/** Buffers between turns. An idle connection owns none. */
export class FrameBufferPool {
  readonly #free: FrameBuffer[] = [];

  take(): FrameBuffer {
    return this.#free.pop() ?? new FrameBuffer();
  }

  give(buffer: FrameBuffer): void {
    if (buffer.capacity > KEPT_BYTES_MAX || this.#free.length >= KEPT_COUNT_MAX) return;
    buffer.reset();
    this.#free.push(buffer);
  }

  /** Writes the buffer and takes it back if the kernel has all of it; otherwise the socket owns it. */
  write(socket: Socket, buffer: FrameBuffer): void {
    socket.write(buffer.view());
    if (socket.writableLength === 0) this.give(buffer);
  }
}
