import { describe, expect, it } from "vitest";
import { decode, encode, encodeStream, Series } from "./complete.ts";
import { DeltaError } from "./delta-error.ts";
import type { Compressor } from "./handoff.ts";
import type { Values } from "./values.ts";

const copy = (bytes: Uint8Array): Uint8Array => bytes.slice();

/** Each gives back other bytes than it was given. */
const FAULTY: Readonly<Record<string, Omit<Compressor, "id" | "name">>> = {
  "changes a bit": {
    compress: (bytes) => bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte)),
    decompress: copy,
  },
  "loses the end": {
    compress: (bytes) => bytes.subarray(0, Math.max(0, bytes.length - 3)),
    decompress: (bytes, sizeMax) => {
      const whole = new Uint8Array(sizeMax);
      whole.set(bytes);
      return whole;
    },
  },
};

const scattered = (i: number): number => (i * 2_654_435_761) >>> 7;

const SERIES: Readonly<Record<string, Values>> = {
  numbers: Float64Array.from({ length: 500 }, (_, i) => (scattered(i) % 1_000) / 100),
  nulls: Array.from({ length: 500 }, (_, i) => (scattered(i) % 3 === 0 ? null : i)),
  strings: Array.from({ length: 500 }, (_, i) => `item-${scattered(i)}`),
  "strings that come again": Array.from({ length: 500 }, (_, i) => `item-${scattered(i) % 9}`),
  "strings and nulls": Array.from({ length: 500 }, (_, i) =>
    scattered(i) % 3 === 0 ? null : `item-${i}`,
  ),
};

const memory = new Uint8Array(2 ** 16);

/** Turns every bit, in the same memory each time, as a compressor in WebAssembly has one. */
function turnedInMemory(bytes: Uint8Array): Uint8Array {
  const turned = bytes.map((byte) => byte ^ 0xff);
  memory.set(turned);
  return memory.subarray(0, turned.length);
}

/** Turns every bit where it stands. */
function turnedInPlace(bytes: Uint8Array): Uint8Array {
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = (bytes[i] as number) ^ 0xff;
  return bytes;
}

describe("a compressor of the caller's", () => {
  for (const [how, turned] of Object.entries({ turnedInMemory, turnedInPlace })) {
    const compressor = { id: 70, name: how, compress: turned, decompress: turned };

    it(`may use its memory again and change what it is given: ${how}`, () => {
      for (const [name, values] of Object.entries(SERIES)) {
        const bytes = encode(values, { backend: "handoff", compressor });
        const before = bytes.slice();
        expect(decode(bytes, { compressors: [compressor] }), name).toEqual(values);
        expect(bytes, name).toEqual(before);
      }
    });

    it(`that does not give back what it was given leaves it as it was: ${how}`, () => {
      for (const [name, values] of Object.entries(SERIES)) {
        const faulty = { ...compressor, decompress: copy };
        const bytes = encode(values, { backend: "handoff", compressor: faulty });
        expect(decode(bytes, { compressors: [] }), name).toEqual(values);
      }
    });
  }
});

describe("a series that writes with a compressor of the caller's", () => {
  const compressor = { id: 70, name: "own", compress: turnedInPlace, decompress: turnedInPlace };
  const options = { backend: "handoff", compressor, chunkValues: 200 } as const;

  it("reads with it what it wrote, and what another wrote, without being told so", () => {
    for (const [type, name] of [
      ["f64", "numbers"],
      ["string", "strings"],
    ] as const) {
      const values = SERIES[name] as Values;
      const series = new Series({ ...options, type });
      series.extend(values as Iterable<never>);
      expect(series.at(7), name).toBe(values[7]);
      expect(series.slice(), name).toEqual(values);
      expect([...series], name).toEqual([...values]);
      for (const checksum of [true, false]) {
        const again = Series.fromBytes(series.toBytes(), { ...options, checksum });
        expect(again.slice(), `${name}, ${checksum}`).toEqual(values);
      }
    }
  });
});

describe("a compressor that is at fault", () => {
  for (const [fault, functions] of Object.entries(FAULTY)) {
    for (const [name, values] of Object.entries(SERIES)) {
      it(`${fault}: what it was given is written without it, ${name}`, () => {
        const compressor = { id: 70, name: "faulty", ...functions };
        const bytes = encode(values, { backend: "handoff", compressor });
        expect(decode(bytes, { compressors: [compressor] })).toEqual(values);
      });
    }
  }

  for (const [fault, more] of Object.entries({ "too few": -1, "too many": 1 })) {
    it(`gives back ${fault} bytes: what it was given is written without it`, () => {
      const decompress = (bytes: Uint8Array): Uint8Array => {
        const other = new Uint8Array(bytes.length + more);
        other.set(bytes.subarray(0, other.length));
        return other;
      };
      const compressor = { id: 70, name: "faulty", compress: copy, decompress };
      for (const [name, values] of Object.entries(SERIES)) {
        const bytes = encode(values, { backend: "handoff", compressor });
        expect(decode(bytes, { compressors: [] }), name).toEqual(values);
      }
    });
  }

  it("fails on its own bytes, or makes none of them: what it was given is written without it", () => {
    const refuse = (): never => {
      throw new RangeError("not these bytes");
    };
    for (const decompress of [refuse, () => undefined as never, () => "text" as never]) {
      const compress = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, 9);
      const compressor = { id: 70, name: "faulty", compress, decompress };
      for (const [name, values] of Object.entries(SERIES)) {
        const bytes = encode(values, { backend: "handoff", compressor });
        expect(decode(bytes, { compressors: [] }), name).toEqual(values);
      }
    }
  });

  it("fails when others read its bytes: they get a DeltaError with the reason", () => {
    const own = { id: 70, name: "own", compress: copy, decompress: copy };
    const decompress = (): never => {
      throw new RangeError("too long");
    };
    for (const [name, values] of Object.entries({
      numbers: SERIES["numbers"] as Values,
      strings: SERIES["strings"] as Values,
    })) {
      const bytes = encode(values, { backend: "handoff", compressor: own });
      const read = (): unknown => decode(bytes, { compressors: [{ ...own, decompress }] });
      expect(read, name).toThrow(DeltaError);
      expect(read, name).toThrow(/corrupt.*own does not decompress: too long/);
    }
  });

  it("fails to compress: encode fails with its error", () => {
    const compress = (): never => {
      throw new RangeError("broken");
    };
    const compressor = { id: 70, name: "faulty", compress, decompress: copy };
    for (const [name, values] of Object.entries(SERIES)) {
      const call = (): unknown => encode(values, { backend: "handoff", compressor });
      expect(call, name).toThrow(/^broken$/);
    }
  });

  it("lacks its id or a function: it is refused", () => {
    const none = { name: "own", compress: copy, decompress: copy } as never;
    expect(() => encode([1], { compressor: none })).toThrow(/invalid_argument.*id undefined:/);
    for (const missing of ["compress", "decompress"]) {
      const compressor = { id: 70, name: "own", compress: copy, decompress: copy, [missing]: 1 };
      expect(() => encode([1], { compressor }), missing).toThrow(/invalid_argument.*function/);
    }
  });

  it("has an id that is none of its own, or that no byte holds: it is refused", async () => {
    for (const id of [300, 256, 63, 2, 0, -1, 64.5, Number.NaN, "64" as unknown as number]) {
      const compressor = { id, name: "own", compress: copy, decompress: copy };
      const options = { backend: "handoff", compressor } as const;
      const refused = /invalid_argument.*64 to 255/;
      expect(() => encode([1], options), String(id)).toThrow(refused);
      expect(() => new Series({ ...options, type: "f64" }), String(id)).toThrow(refused);
      await expect(encodeStream([], options).next(), String(id)).rejects.toThrow(refused);
    }
  });
});
