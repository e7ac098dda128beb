import { Readable } from "node:stream";
import { describe, expect, it, vi } from "vitest";
import { decode, decodeStream, encode, encodeStream } from "./complete.ts";
import type { DeltaError } from "./delta-error.ts";
import type { Source } from "./stream.ts";
import { EXAMPLES } from "./test-support/series-examples.ts";
import type { Values } from "./values.ts";

async function bytesOf(source: Source<Values>, options = {}): Promise<Uint8Array> {
  const pieces: number[] = [];
  for await (const piece of encodeStream(source, options)) pieces.push(...piece);
  return Uint8Array.from(pieces);
}

async function valuesOf(source: Source<Uint8Array>): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const piece of decodeStream(source)) values.push(...piece);
  return values;
}

function* cut<T extends { slice(start: number, end: number): T; length: number }>(
  whole: T,
  size: number,
): Generator<T> {
  for (let at = 0; at < whole.length; at += size) yield whole.slice(at, at + size);
}

describe("a stream", () => {
  const values = EXAMPLES["integers"]?.() as Int32Array;

  it("gives the bytes that encode gives, however its pieces are cut", async () => {
    for (const size of [1, 77, 999, 5000]) {
      expect(await bytesOf(cut(values, size), { chunkValues: 999 })).toEqual(
        encode(values, { chunkValues: 999 }),
      );
    }
  });

  it("takes a chunk of single values without copying what waits for each of them", async () => {
    const many = Int32Array.from({ length: 300_000 }, (_, i) => i % 1000);
    expect(await bytesOf(cut(many, 1))).toEqual(encode(many));
  });

  it("keeps nothing of empty pieces, but refuses those of another type", async () => {
    const one = Int32Array.of(7);
    const empty = new Int32Array(0);
    const copies = vi.spyOn(Uint8Array.prototype, "slice");
    const bytes = await bytesOf([empty, ...new Array<Int32Array>(50).fill(empty), one, empty]);
    const copied = copies.mock.contexts.filter((each) => (each as unknown) === empty).length;
    copies.mockRestore();
    expect(copied).toBe(1);
    expect(bytes).toEqual(encode(one));
    expect(decode(await bytesOf([empty, empty]))).toEqual(empty);
    expect(decode(await bytesOf([[], [], [null, "a"], []]))).toEqual([null, "a"]);
    for (const wrong of [new Int16Array(0), []]) {
      await expect(bytesOf([empty, wrong])).rejects.toThrow(/different types/);
      await expect(bytesOf([one, wrong, one])).rejects.toThrow(/different types/);
    }
  });

  it("decodes bytes cut anywhere, of one file or several in a row", async () => {
    const one = encode(values, { chunkValues: 900 });
    const both = Uint8Array.from([...one, ...encode(values.slice(0, 10))]);
    for (const size of [1, 5, 1000, both.length]) {
      expect(await valuesOf(cut(both, size))).toEqual([...values, ...values.slice(0, 10)]);
    }
  });

  it("is the same series for every type, as chunks of its own type", async () => {
    for (const [name, make] of Object.entries(EXAMPLES)) {
      const whole = make();
      const pieces: Values[] = [];
      for await (const piece of decodeStream([encode(whole, { chunkValues: 250 })]))
        pieces.push(piece);
      expect(
        pieces.flatMap((piece) => Array.from<unknown>(piece as number[])),
        name,
      ).toEqual(Array.from<unknown>(whole as number[]));
      for (const piece of pieces) expect(piece.constructor, name).toBe(whole.constructor);
    }
  });

  it("reads and writes Node streams and Web streams, and arrays with nulls", async () => {
    const bytes = encode(values);
    expect(await valuesOf(Readable.from([bytes]))).toEqual([...values]);
    const web = Readable.toWeb(Readable.from(cut(bytes, 500))) as ReadableStream<Uint8Array>;
    expect(await valuesOf(web)).toEqual([...values]);
    const reader = { getReader: () => new Blob([bytes]).stream().getReader() };
    expect(await valuesOf(reader as Source<Uint8Array>)).toEqual([...values]);
    const pieces: Values[] = [[null, 1.5], [null], [2]];
    expect(await valuesOf([await bytesOf(pieces)])).toEqual([null, 1.5, null, 2]);
  });

  it("tells a Web stream that cannot be iterated when no more is wanted of it", async () => {
    const bytes = encode(values, { chunkValues: 500 });
    const told: unknown[] = [];
    const sourceOf = (pieces: Uint8Array[]): Source<Uint8Array> => {
      const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
        const piece = pieces.shift();
        if (piece === undefined) controller.close();
        else controller.enqueue(piece);
      };
      const web = new ReadableStream({ pull, cancel: (reason) => void told.push(reason) });
      return { getReader: () => web.getReader() } as Source<Uint8Array>;
    };
    for await (const chunk of decodeStream(sourceOf([...cut(bytes, 100)]))) {
      expect(chunk).toHaveLength(500);
      break;
    }
    expect(told).toHaveLength(1);
    const damaged = sourceOf([new Uint8Array(100), bytes]);
    await expect(valuesOf(damaged)).rejects.toThrow(/not_delta/);
    expect(told).toHaveLength(2);
    expect(await valuesOf(sourceOf([bytes]))).toEqual([...values]);
    expect(told).toHaveLength(2);
  });

  it("of nothing is an empty series of the type that was named", async () => {
    expect(decode(await bytesOf([], { type: "i16" }))).toEqual(new Int16Array(0));
    expect(decode(await bytesOf([]))).toEqual([]);
  });

  it("refuses to change its type, to end early, or to be no series", async () => {
    await expect(bytesOf([Int32Array.of(1), Int16Array.of(1)])).rejects.toThrow(/different types/);
    const bytes = encode(values);
    for (const size of [0, 3, 6, 100, bytes.length - 1]) {
      await expect(valuesOf([bytes.slice(0, size)]), String(size)).rejects.toThrow(/truncated/);
    }
    await expect(valuesOf([new Uint8Array(20)])).rejects.toThrow(/not_delta/);
  });

  it("tells where in the stream its bytes are wrong, as decode does", async () => {
    const single = encode(values, { chunkValues: 500 });
    const changed = (at: number): Uint8Array => {
      const copy = Uint8Array.from([...single, ...single]);
      copy[at] = (copy[at] as number) ^ 0x55;
      return copy;
    };
    const size = single.length;
    const places = [3, 4, size / 2, size - 1, size, size + 3, (3 * size) / 2];
    const broken = [...places, 2 * size - 1].map((at) => changed(Math.floor(at)));
    // One chunk whose body has no shape that is known, behind a file that is whole.
    const unchecked = encode(values, { checksum: false });
    unchecked[6 + 1 + 2 + 3 + 1] = 77;
    // More values than a chunk may have, and an index of more sections than it has room for.
    const short = encode(values.slice(0, 3), { checksum: false });
    for (const [at, wrong] of [
      [8, [0x80, 0x80, 0x20]],
      [short.length - 11, [9]],
    ] as const) {
      const other = short.slice();
      other.set(wrong, at);
      broken.push(Uint8Array.from([...single, ...other]));
    }
    for (const each of [...broken, Uint8Array.from([...single, ...unchecked])]) {
      const error: unknown = await valuesOf(cut(each, 100)).catch((thrown: unknown) => thrown);
      const { code, offset } = error as DeltaError;
      expect(() => decode(each)).toThrow(expect.objectContaining({ code, offset }));
    }
  });

  it("tells the place of a value in all that came, not in the pieces that wait", async () => {
    const pieces = Array.from({ length: 5 }, (_, k) => new Array<number>(60).fill(k));
    (pieces[3] as unknown[])[5] = undefined;
    for (const chunkValues of [1, 7, 60, 100, 1_000]) {
      await expect(bytesOf(pieces, { chunkValues })).rejects.toThrow(
        expect.objectContaining({ code: "invalid_argument", offset: 185 }),
      );
    }
  });

  it("of a type that is not known is refused, though it has no values", async () => {
    const empty = encode([], { type: "number", checksum: false });
    empty[5] = 99;
    for (const each of [empty, empty.subarray(0, 6)]) {
      await expect(valuesOf([each])).rejects.toThrow(/unsupported_feature.*type 99.*at 5/);
    }
  });

  it("refuses holes, wherever they are", async () => {
    const holed = new Array<number>(3).fill(1, 0, 1).fill(3, 2);
    for (const pieces of [
      [holed, [4]],
      [[4], holed],
      [[holed[0] as number, 2], holed.slice(1)],
    ]) {
      await expect(bytesOf(pieces)).rejects.toThrow(/invalid_argument.*hole/);
      await expect(bytesOf(pieces, { chunkValues: 2 })).rejects.toThrow(/invalid_argument.*hole/);
      await expect(bytesOf(pieces, { type: "i32" })).rejects.toThrow(/invalid_argument.*hole/);
    }
  });

  it("refuses a type that there is not, before the first piece", async () => {
    const pieces = encodeStream([], { type: "bogus" as "f64" });
    await expect(pieces.next()).rejects.toThrow(/invalid_argument.*bogus/);
  });

  it("refuses pieces that are no series, and no bytes", async () => {
    const wrong = [Float64Array.of(1, 2), [null], [[1], 2], [new DataView(new ArrayBuffer(8))]];
    for (const source of wrong) {
      await expect(bytesOf(source as Source<never>)).rejects.toThrow(/invalid_argument.*piece/);
    }
    for (const source of [encode([1]), ["text"], [null]]) {
      await expect(valuesOf(source as Source<never>)).rejects.toThrow(/invalid_argument.*piece/);
    }
    for (const source of [undefined, null, 7, "", "abc", {}] as unknown as Source<never>[]) {
      await expect(bytesOf(source)).rejects.toThrow(/invalid_argument.*source/);
      await expect(valuesOf(source)).rejects.toThrow(/invalid_argument.*source/);
    }
  });

  it("has what a piece held when it came, though its memory is used for the next", async () => {
    const refill = function* (memory: Float64Array | Uint8Array | number[]): Generator<Values> {
      for (let k = 0; k < 5; k += 1) yield memory.fill(k);
    };
    for (const chunkValues of [1, 2, 3, 4, 7, 100]) {
      const wanted = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4];
      for (const memory of [new Float64Array(3), Buffer.alloc(3), [0, 0, 0]]) {
        const bytes = await bytesOf(refill(memory), { chunkValues });
        expect([...decode(bytes)]).toEqual(wanted);
      }
    }
    const date = new Date(0);
    const dates = function* (): Generator<Values> {
      for (let k = 0; k < 3; k += 1) yield [new Date(date.setTime(k)), date, new Date(k), date];
    };
    const left = [1, 2, 3].map((time) => new Date(time));
    const parts: Uint8Array[] = [];
    for await (const part of encodeStream([left], { chunkValues: 2 })) {
      for (const each of left) each.setTime(0);
      parts.push(part);
    }
    expect(decode(Buffer.concat(parts))).toEqual([1, 2, 3].map((time) => new Date(time)));
    const times = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2].map((time) => new Date(time));
    for (const chunkValues of [1, 3, 100]) {
      expect(decode(await bytesOf(dates(), { chunkValues }))).toEqual(times);
    }
  });

  it("holds one chunk at a time", async () => {
    let taken = 0;
    const source = function* (): Generator<Values> {
      for (let k = 0; k < 64; k += 1) {
        taken += 1;
        yield new Int32Array(1000).fill(k);
      }
    };
    let largestLead = 0;
    let seen = 0;
    for await (const piece of decodeStream(encodeStream(source(), { chunkValues: 2000 }))) {
      seen += piece.length;
      largestLead = Math.max(largestLead, taken * 1000 - seen);
    }
    expect(seen).toBe(64_000);
    expect(largestLead).toBeLessThanOrEqual(3000);
  });
});
