import { describe, expect, it } from "vitest";
import { ByteReader } from "./byte-reader.ts";
import {
  decode,
  decodeStream,
  decodeTable,
  encode,
  encodeTable,
  inspect,
  Series,
} from "./complete.ts";
import { DeltaError } from "./delta-error.ts";
import {
  headerBytes,
  kindOfType,
  readHeader,
  TAG_CHUNK,
  TAG_COLUMN,
  TAG_END,
  TAG_METADATA,
  writeEnd,
  writeSection,
  written,
} from "./file-format.ts";
import { CHUNK_VALUES_MAX } from "./limits.ts";
import { decodeSmall32, encodeSmall } from "./small.ts";
import { tableMetadata } from "./table.ts";
import { EXAMPLES, random } from "./test-support/series-examples.ts";
import type { ValueType } from "./values.ts";

/** Runs `work`, which may fail by a DeltaError alone. */
function survives(work: () => unknown, what: string): void {
  try {
    work();
  } catch (error) {
    if (error instanceof DeltaError) return;
    throw new Error(`${what}: ${error}`, { cause: error });
  }
}

/** A file of one chunk, checksums and all, whose body is made up. */
function fileOf(type: ValueType, count: number, body: readonly number[]): Uint8Array {
  const start = headerBytes(kindOfType(type), true);
  const header = readHeader(new ByteReader(start));
  return written((writer) => {
    writer.raw(start);
    const bytes = writeSection(writer, header, TAG_CHUNK, () => {
      writer.varint(count);
      writer.raw(Uint8Array.from(body));
    });
    writeEnd(writer, header, [{ bytes, count }]);
  });
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
}

const BACKENDS = ["fast", "small", "handoff"] as const;

/** Found by the fuzzer: packed pairs whose second block has bits where its first value stands. */
const FIELD_AT_SEED =
  "Q0RMAQAKAfsCkAMAARoAKVgSB4icgYCAgICAIAfHBAdVB6AFgN+seKwxSFpO2RTHt/HQxjnnaqnTGaO90SVztDGa" +
  "mrOYFOrZlmsDkAMAARoAKVgSB4icgYCAgICAIAfHBAdVB6AFgN+seKwxSFpO2RTHt/HQxjnnaqnTGaO90SVztDGa" +
  "mrOYFOrZlmsDtYdp+Rsd1+Y0WYW6rN2mx5ONdTkf8dbKJq63u8LzxBrqMIMW7pGoO/VqYjPOhMIj7IZAG2auRS3u" +
  "9CKugcoyMX0IpIFWtaLSdIAa0rcsF48byJAxeksxUJWr9n6ZQwp5PTOKt8uDfWhps+8YSxg0t9SjTfjMJDC6m6KN" +
  "t04YezoTaZBCmfmGWGmQBQPGWrZ9ge8HDX42ClK+rtPV6GQgsnSrRqYWNsgdx7iKbkUtoY1EWKrLhiua7omqKTJ3" +
  "vFHuROwBTxm7HKfa33axNCZMye2eym9XXZcl4y1RF35KhZxrnl071AyjgCCXhDI3lVaucIYcMkkAAAIFAf4CkAMH" +
  "AAAATERDMQ==";

describe("bytes that were cut, flipped or made up", () => {
  for (const [name, make] of Object.entries(EXAMPLES)) {
    it(`are told by name, and with checksums never decoded: ${name}`, () => {
      const next = random(name.length);
      for (const backend of BACKENDS) {
        const bytes = encode(make(), { backend, chunkValues: 500 });
        for (let k = 0; k < 60; k += 1) {
          const bit = Math.floor(next() * bytes.length * 8);
          const flipped = bytes.slice();
          flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
          expect(() => decode(flipped), `${backend}, bit ${bit}`).toThrow(DeltaError);
          const size = Math.floor(next() * bytes.length);
          expect(() => decode(bytes.slice(0, size)), `${backend}, cut at ${size}`).toThrow(
            DeltaError,
          );
        }
      }
    });

    it(`do no harm without checksums, in JavaScript and in WebAssembly: ${name}`, () => {
      const next = random(name.length + 99);
      for (const backend of BACKENDS) {
        const bytes = encode(make(), { backend, checksum: false, chunkValues: 2000 });
        for (let k = 0; k < 80; k += 1) {
          const broken = bytes.slice();
          const hits = 1 + Math.floor(next() * 4);
          for (let h = 0; h < hits; h += 1) {
            const at = Math.floor(next() * bytes.length);
            broken[at] = next() < 0.3 ? 255 : Math.floor(next() * 256);
          }
          const what = `${backend}, round ${k}`;
          survives(() => decode(broken, { wasm: false, maxValues: 1e6 }), what);
          survives(() => decode(broken, { wasm: true, maxValues: 1e6 }), what);
        }
      }
    });
  }

  it("are no table either", () => {
    const next = random(5);
    const bytes = encodeTable(
      { a: Int32Array.of(1, 2, 3), b: ["x", "y", "z"] },
      { metadata: { c: "d" } },
    );
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = bytes.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => decodeTable(flipped), `bit ${bit}`).toThrow(DeltaError);
    }
    for (let k = 0; k < 300; k += 1) {
      const made = Uint8Array.from({ length: 40 }, () => next() * 256);
      made.set(bytes.subarray(0, Math.floor(next() * 20)));
      survives(() => decodeTable(made), "table");
      survives(() => inspect(made), "inspect");
    }
  });

  it("tell what is wrong by code and offset", () => {
    const bytes = encode(Int32Array.from({ length: 1000 }, (_, i) => i * i));
    const changed = (at: number, value: number): Uint8Array => {
      const copy = bytes.slice();
      copy[at] = value;
      return copy;
    };
    const failure = (broken: Uint8Array): unknown => {
      try {
        return decode(broken);
      } catch (error) {
        return error;
      }
    };
    expect(failure(changed(0, 1))).toMatchObject({ code: "not_delta", offset: 0 });
    expect(failure(changed(3, 9))).toMatchObject({ code: "unsupported_version", offset: 3 });
    expect(failure(changed(4, 128))).toMatchObject({ code: "unsupported_feature", offset: 4 });
    expect(failure(changed(30, 7))).toMatchObject({ code: "checksum_mismatch" });
    const short = encode(Int32Array.of(1, 2, 3), { checksum: false });
    const behind = (at: number, ...wrong: number[]): Uint8Array => {
      const both = Uint8Array.from([...bytes, ...short]);
      both.set(wrong, bytes.length + at);
      return both;
    };
    // More values than a chunk may have, and an index of more sections than it has room for.
    for (const [at, ...wrong] of [
      [8, 0x80, 0x80, 0x20],
      [short.length - 11, 9],
    ] as const) {
      const told = { code: "corrupt", offset: bytes.length + at };
      expect(failure(behind(at, ...wrong))).toMatchObject(told);
    }
    expect(failure(bytes.slice(0, 4))).toMatchObject({ code: "truncated", offset: 4 });
    expect(failure(bytes.slice(0, -1))).toMatchObject({ code: "truncated" });
    expect(failure(new Uint8Array(0))).toMatchObject({ code: "truncated", offset: 0 });
    expect(failure(Uint8Array.from([...bytes, 1, 2, 3]))).toMatchObject({ code: "not_delta" });
  });

  it("give the same values in JavaScript and in WebAssembly, if any: a field where a seed stands", () => {
    const made = Buffer.from(FIELD_AT_SEED, "base64");
    const values = EXAMPLES["pairs"]?.() as BigInt64Array;
    // The kernels are compiled when enough has been asked of them.
    for (let k = 0; k < 50; k += 1) decode(encode(values, { backend: "fast" }));
    expect(decode(made, { wasm: true })).toEqual(decode(made, { wasm: false }));
  });

  it("give the same in JavaScript and in WebAssembly, if any: one number more than a chunk has values", () => {
    // Runs of nulls may be so many. In blocks of 32, of which no writer makes those of a single class.
    const payload = encodeSmall(new Float64Array(CHUNK_VALUES_MAX + 1).fill(255));
    payload[0] = ((payload[0] as number) & 15) | (5 << 4);
    const [first, second] = [true, false].map((wasm) => {
      const out = new Int32Array(CHUNK_VALUES_MAX + 1);
      decodeSmall32(payload, out, { wasm });
      return out;
    });
    expect(first).toEqual(second);
  });

  it("are bytes: whatever else a reader is given is refused as that", () => {
    const { buffer } = encode([1]).slice();
    const wrong = [undefined, null, 7, "text", {}, [67, 68, 76], buffer, new DataView(buffer)];
    for (const given of [...wrong, new Uint16Array(8)] as Uint8Array[]) {
      const refused = /invalid_argument.*Uint8Array/;
      expect(() => decode(given), String(given)).toThrow(refused);
      expect(() => decodeTable(given), String(given)).toThrow(refused);
      expect(() => tableMetadata(given), String(given)).toThrow(refused);
      expect(() => inspect(given), String(given)).toThrow(refused);
      expect(() => Series.fromBytes(given), String(given)).toThrow(refused);
    }
  });

  it("cannot make a reader take more memory than it allows", () => {
    const million = encode(new Float64Array(2 ** 20));
    expect(million.length).toBeLessThan(200);
    expect(() => decode(million, { maxValues: 2 ** 20 - 1 })).toThrow(/limit_exceeded/);
    expect(decode(million)).toHaveLength(2 ** 20);
  });

  it("are not read past what the format leaves out", () => {
    const [noNulls, integers] = [0, 1];
    const [varints, fast, small, handoff, wide, lag, frame] = [1, 2, 3, 4, 8, 64, 128];
    // Offsets 5, 6, 7 as differences, with base 1000 and step 10 before them.
    const offsets = [10, 2, 2];
    const framed = [0xd0, 0x0f, 10, ...offsets];
    const fileWith = (...numbers: number[]): Uint8Array =>
      fileOf("i64", 3, [noNulls, integers, ...numbers]);
    expect(decode(fileWith(varints | frame, ...framed))).toEqual(
      BigInt64Array.of(1_050n, 1_060n, 1_070n),
    );
    expect(() => decode(fileWith(varints | wide | frame, ...framed))).toThrow(/corrupt.*heads/);
    expect(() => decode(fileWith(handoff | wide, ...offsets))).toThrow(/corrupt.*heads/);
    expect(() => decode(fileWith(fast | lag, 1, ...offsets))).toThrow(/corrupt.*heads/);
    expect(() => decode(fileWith(small | wide, ...offsets))).not.toThrow(/heads/);
    expect(() => decode(fileWith(varints, 0x8a, 0, 2, 2))).toThrow(/corrupt.*numbers/);
  });

  it("cannot make a reader go deep: halves have no halves", () => {
    const [noNulls, integers, wideSplit] = [0, 1, 8 | 5];
    const levels = 10_000;
    const heads: number[][] = [];
    for (let level = 0, length = 0; level < levels; level += 1) {
      const head = [wideSplit, ...varint(length)];
      heads.unshift(head);
      length += head.length;
    }
    const file = fileOf("i64", 25, [noNulls, integers, ...heads.flat()]);
    survives(() => decode(file), "nested halves");
    expect(() => decode(file)).toThrow(/corrupt.*halves/);
  });

  it("tell of other values in the index than there are: no reader takes them", async () => {
    const wrong = (bytes: Uint8Array, count: number, instead: number): Uint8Array => {
      const copy = bytes.slice();
      const at = copy.length - 8 - 1;
      expect(copy[at]).toBe(count);
      copy[at] = instead;
      return copy;
    };
    const refused = /corrupt.*the index tells of other values/;
    const series = wrong(encode([1, 2, 3], { checksum: false }), 3, 4);
    for (const read of [decode, inspect, Series.fromBytes])
      expect(() => read(series)).toThrow(refused);
    const stream = decodeStream([series]);
    expect((await stream.next()).value).toEqual([1, 2, 3]);
    await expect(stream.next()).rejects.toThrow(refused);
    const options = { checksum: false, metadata: { a: "b" } };
    const table = wrong(encodeTable({ a: [1, 2, 3] }, options), 3, 2);
    const metadata = wrong(encodeTable({}, options), 0, 1);
    for (const read of [decodeTable, inspect, tableMetadata]) {
      expect(() => read(table)).toThrow(refused);
      expect(() => read(metadata)).toThrow(refused);
    }
  });

  it("cannot make a reader take memory for chunks of nothing, nor for more of them than for values", async () => {
    const bytes = fileOf("f64", 0, [0]);
    const refused = /corrupt.*empty chunks.*\(at 6\)/;
    for (const read of [decode, inspect, Series.fromBytes])
      expect(() => read(bytes)).toThrow(refused);
    await expect(decodeStream([bytes]).next()).rejects.toThrow(refused);

    // Before it shows that the end is missing.
    const many = encode(new Float64Array(10), { chunkValues: 1 }).subarray(0, -20);
    expect(() => decode(many, { maxValues: 9 })).toThrow(/limit_exceeded.*more than 9 values/);
    expect(() => decode(many, { maxValues: 10 })).toThrow(/truncated/);
  });

  it("cannot make a reader take memory for sections that it does not know, nor for an index of other sections", async () => {
    // The second section would be damage: the first of another kind is refused before it is looked at.
    const start = [...encode([1], { checksum: false }).subarray(0, 6)];
    const tableStart = [...encodeTable({}, { checksum: false }).subarray(0, 6)];
    const cut = [TAG_CHUNK, 255];
    for (const tag of [TAG_COLUMN, TAG_METADATA, 9]) {
      const bytes = Uint8Array.from([...start, tag, 0, ...cut]);
      const refused = new RegExp(`unsupported_feature.*section ${tag},.*\\(at 6\\)`);
      for (const read of [decode, inspect, Series.fromBytes])
        expect(() => read(bytes)).toThrow(refused);
      await expect(decodeStream([bytes]).next()).rejects.toThrow(refused);
    }
    for (const tag of [TAG_CHUNK, 9]) {
      const bytes = Uint8Array.from([...tableStart, tag, 0, ...cut]);
      for (const read of [decodeTable, inspect, tableMetadata])
        expect(() => read(bytes)).toThrow(/unsupported_feature.*section.*\(at 6\)/);
    }
    // A million entries for no section, whose first is damaged.
    const entries = new Uint8Array(2_000_004).fill(255);
    entries.set([0xc0, 0x84, 0x3d]);
    const bytes = written((writer) => {
      writer.raw(Uint8Array.from(start));
      const header = readHeader(new ByteReader(Uint8Array.from(start)));
      writeSection(writer, header, TAG_END, () => writer.raw(entries));
    });
    expect(() => decode(bytes)).toThrow(/corrupt.*sizes that cannot be \(at 10\)/);
  });
});
