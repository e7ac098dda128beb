import { DeltaError } from "./delta-error.ts";
import {
  laneOfWords,
  newLane,
  type RawForm,
  singlesOf,
  wordsOfLane,
  wordsPerValue,
} from "./number-lane.ts";
import { requireMemory } from "./options.ts";

/** What a series holds, as the file names it: a typed array's element, or a plain array's. */
export type ValueType = (typeof VALUE_TYPES)[number];

/** In the order of their ids in the file, from 1. Never reordered. */
export const VALUE_TYPES = [
  "f64",
  "f32",
  "i8",
  "u8",
  "u8c",
  "i16",
  "u16",
  "i32",
  "u32",
  "i64",
  "u64",
  "number",
  "bigint",
  "date",
  "string",
  "boolean",
] as const;

export type TypedValues =
  | Float64Array
  | Float32Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

export type PlainValues =
  | readonly (number | null)[]
  | readonly (bigint | null)[]
  | readonly (Date | null)[]
  | readonly (string | null)[]
  | readonly (boolean | null)[];

/** A series. Only plain arrays can hold `null`, which is no number and stays apart from NaN. */
export type Values = TypedValues | PlainValues;

const CONSTRUCTORS = {
  f64: Float64Array,
  f32: Float32Array,
  i8: Int8Array,
  u8: Uint8Array,
  u8c: Uint8ClampedArray,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
} as const;

export type TypedName = keyof typeof CONSTRUCTORS;

/**
 * The exact bits of a series in one of three lanes. `ints`: 32-bit integers; `pairs`: 64-bit integers
 * as little-endian words, low then high; `floats`: doubles. A float32 is a double that `Math.fround`
 * leaves alone; its NaNs keep their own bits in `bits`.
 */
export type NumberLane =
  | { readonly kind: "ints"; readonly ints: Int32Array }
  | { readonly kind: "pairs"; readonly words: Uint32Array; readonly isSigned: boolean }
  | {
      readonly kind: "floats";
      readonly floats: Float64Array;
      /** The bits of each value: two words a double, one a float32. */
      readonly bits: Uint32Array;
      readonly isSingle: boolean;
    };

export type Lane = NumberLane | { readonly kind: "strings"; readonly strings: readonly string[] };

/** A series taken apart: its type, which values are null, and the bits of the others. */
export type Taken = {
  readonly type: ValueType;
  readonly count: number;
  /** 1 where a value is there; undefined where all are. */
  readonly validity: Uint8Array | undefined;
  readonly lane: Lane;
};

export function typeOf(values: Values): ValueType | undefined {
  if (Array.isArray(values)) return plainType(values);
  const name = typedNameOf(values);
  if (name !== undefined) return name;
  const message =
    "a series is a typed array or an array of numbers, bigints, dates, strings, booleans";
  throw new DeltaError("invalid_argument", message);
}

export function isTypedAs(values: unknown, type: ValueType): values is TypedValues {
  return isTyped(type) && typedNameOf(values) === type;
}

/**
 * By what it was made as, which is right in any realm, and by whatever name a class of its own goes. Stops a
 * call with one whose memory was handed on.
 */
function typedNameOf(values: unknown): TypedName | undefined {
  const typedArray: object = Object.getPrototypeOf(Uint8Array.prototype);
  const made: unknown = Reflect.get(typedArray, Symbol.toStringTag, values);
  const names = Object.keys(CONSTRUCTORS) as TypedName[];
  const found = names.find((name) => CONSTRUCTORS[name].name === made);
  if (found !== undefined) requireMemory(values);
  return found;
}

/** Stops a call with anything but an array, plain or typed; by shape, since it may come from another realm. */
export function requireArray(value: unknown, message: string): void {
  const elementBytes = (value as Partial<Uint8Array> | null | undefined)?.BYTES_PER_ELEMENT;
  if (Array.isArray(value)) return;
  if (elementBytes === undefined) throw new DeltaError("invalid_argument", message);
  requireMemory(value);
}

/** Of the first value that is not null; undefined if there is none. */
function plainType(values: readonly unknown[]): ValueType | undefined {
  const index = values.findIndex((value) => value !== null);
  if (index === -1) return undefined;
  const value = values[index];
  if (value instanceof Date) return "date";
  const name = typeof value;
  if (name === "number" || name === "bigint" || name === "string" || name === "boolean")
    return name;
  throw new DeltaError("invalid_argument", `${describe(value)} cannot be encoded`, index);
}

function describe(value: unknown): string {
  if (value === undefined) return "undefined (or a hole; use null for a missing value)";
  if (value === null) return "null (a typed array holds none)";
  if (Array.isArray(value)) return "an array";
  if (value instanceof Date) return "a date";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/**
 * Takes `values` apart as a series of `type`, by default their own. A plain array becomes a typed one if
 * that is the type, and each of its values fits.
 */
export function takeValues(values: Values, wanted?: ValueType): Taken {
  const own = typeOf(values);
  const type = wanted ?? own ?? "number";
  if (own !== undefined && own !== type && !(Array.isArray(values) && isTyped(type))) {
    throw new DeltaError("invalid_argument", `a series of ${own} is none of ${type}`);
  }
  if (!Array.isArray(values) || !isTyped(type)) return takeOwn(values, type);
  // By index, as everywhere: the array's own functions pass over holes.
  for (let i = 0; i < values.length; i += 1) checkValue(values[i], type, i);
  return takeOwn(fromElements(values as Element[], type), type);
}

function takeOwn(values: Values, type: ValueType): Taken {
  const count = values.length;
  if (!Array.isArray(values)) {
    return { type, count, validity: undefined, lane: typedLane(values as TypedValues, type) };
  }
  const plain = values as readonly unknown[];
  const validity = validityOf(plain);
  return { type, count, validity, lane: plainLane(plain, type) };
}

function typedLane(values: TypedValues, type: ValueType): NumberLane {
  const { buffer, byteOffset, byteLength, length } = values;
  if (values.BYTES_PER_ELEMENT >= 4) {
    return laneOfWords(newLane(type, 0), new Int32Array(buffer, byteOffset, byteLength / 4));
  }
  const ints = new Int32Array(length);
  ints.set(values as Int16Array);
  return { kind: "ints", ints };
}

function validityOf(values: readonly unknown[]): Uint8Array | undefined {
  if (!values.includes(null)) return undefined;
  const validity = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i += 1) validity[i] = values[i] === null ? 0 : 1;
  return validity;
}

function plainLane(values: readonly unknown[], type: ValueType): Lane {
  switch (type) {
    case "number":
      return floatLane(values, (value) => (typeof value === "number" ? value : undefined), type);
    case "date":
      return floatLane(
        values,
        (value) => (value instanceof Date ? value.getTime() : undefined),
        type,
      );
    case "boolean": {
      const ints = new Int32Array(values.length);
      for (let i = 0; i < values.length; i += 1) {
        const value = values[i];
        if (typeof value === "boolean") ints[i] = value ? 1 : 0;
        else if (value === null) ints[i] = i === 0 ? 0 : (ints[i - 1] as number);
        else throw mixed(value, i, type);
      }
      return { kind: "ints", ints };
    }
    case "bigint":
      return { kind: "pairs", words: bigintWords(values), isSigned: true };
    case "string":
      return { kind: "strings", strings: presentStrings(values) };
    default:
      throw new DeltaError(
        "invalid_argument",
        `a plain array holds no ${type}; give a typed array`,
      );
  }
}

/** A null repeats the value before it, which costs least in every predictor. */
function floatLane(
  values: readonly unknown[],
  take: (value: unknown) => number | undefined,
  type: ValueType,
): Lane {
  const floats = new Float64Array(values.length);
  let last = 0;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i];
    if (value !== null) {
      const number = take(value);
      if (number === undefined) throw mixed(value, i, type);
      last = number;
    }
    floats[i] = last;
  }
  return { kind: "floats", floats, bits: new Uint32Array(floats.buffer), isSingle: false };
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

function bigintWords(values: readonly unknown[]): Uint32Array {
  const pairs = new BigInt64Array(values.length);
  let last = 0n;
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i];
    if (typeof value === "bigint") {
      if (value < INT64_MIN || value > INT64_MAX) {
        throw new DeltaError("out_of_range", `${value} does not fit into 64 bits`, i);
      }
      last = value;
    } else if (value !== null) throw mixed(value, i, "bigint");
    pairs[i] = last;
  }
  return new Uint32Array(pairs.buffer);
}

function presentStrings(values: readonly unknown[]): readonly string[] {
  const strings: string[] = [];
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i];
    if (typeof value === "string") strings.push(value);
    else if (value !== null) throw mixed(value, i, "string");
  }
  return strings;
}

function mixed(value: unknown, index: number, type: ValueType): DeltaError {
  return new DeltaError("invalid_argument", `${describe(value)} in a series of ${type}s`, index);
}

/** How an array holds a value, which strings have no form for. */
export function rawForm(type: ValueType): RawForm {
  const isSigned = type === "i8" || type === "i16";
  if (isTyped(type)) return { elementBytes: CONSTRUCTORS[type].BYTES_PER_ELEMENT, isSigned };
  return { elementBytes: type === "string" ? 0 : type === "boolean" ? 1 : 8, isSigned };
}

/**
 * The values from `start` to `end` of a series that was taken apart; of strings, which stand without
 * their nulls, those from the one at `firstPresent` on.
 */
export function sliceTaken(taken: Taken, start: number, end: number, firstPresent: number): Taken {
  const { type, lane } = taken;
  const validity = taken.validity?.subarray(start, end);
  const count = end - start;
  const part = validity?.includes(0) === true ? validity : undefined;
  if (lane.kind !== "strings") {
    const width = wordsPerValue(lane);
    const words = wordsOfLane(lane).subarray(start * width, end * width);
    return { type, count, validity: part, lane: laneOfWords(lane, words) };
  }
  const present = validity?.reduce((sum, each) => sum + each, 0) ?? count;
  const strings = lane.strings.slice(firstPresent, firstPresent + present);
  return { type, count, validity: part, lane: { kind: "strings", strings } };
}

export function newTyped(type: TypedName, count: number): TypedValues {
  return new CONSTRUCTORS[type](count);
}

/** The lane that shares a typed array's memory; undefined if its values are narrower than a lane's. */
export function laneOfTyped(values: TypedValues, type: TypedName): NumberLane | undefined {
  const isShared = values.BYTES_PER_ELEMENT >= 4 && type !== "f32";
  return isShared ? typedLane(values, type) : undefined;
}

/** Whether values of `type` come as a typed array. */
export function isTyped(type: ValueType): type is TypedName {
  return Object.hasOwn(CONSTRUCTORS, type);
}

/** Copies a decoded lane to values that are narrower than it. */
export function putNarrow(lane: NumberLane, values: TypedValues): void {
  if (lane.kind === "ints") (values as Int16Array).set(lane.ints);
  // By bits: a NaN keeps its payload, which a conversion from double may drop.
  else if (lane.kind === "floats") {
    new Uint32Array(values.buffer, values.byteOffset, values.length).set(lane.bits);
  }
}

/** One value of a series. */
export type Element = number | bigint | string | boolean | Date | null;

/** A date of its own for whoever can change it. */
export function ownElement(element: Element): Element {
  return element instanceof Date ? new Date(element.getTime()) : element;
}

/** Plain values of a decoded lane, with nulls where there are none. */
export function plainValues(type: ValueType, lane: Lane, validity?: Uint8Array): Element[] {
  const values = laneElements(type, lane);
  if (validity === undefined) return values;
  let next = 0;
  return Array.from(validity, (valid, i) => {
    if (lane.kind === "strings") return valid === 1 ? (values[next++] as Element) : null;
    return valid === 1 ? (values[i] as Element) : null;
  });
}

function laneElements(type: ValueType, lane: Lane): Element[] {
  switch (lane.kind) {
    case "strings":
      return lane.strings.slice();
    case "ints": {
      if (!isTyped(type)) return Array.from(lane.ints, (int) => int !== 0);
      // As `decode` puts them: damaged bytes may hold what is too large for the type.
      const values = newTyped(type, lane.ints.length) as Int32Array;
      values.set(lane.ints);
      return Array.from(values);
    }
    case "pairs": {
      const { buffer, byteOffset, length } = lane.words;
      return Array.from(
        lane.isSigned
          ? new BigInt64Array(buffer, byteOffset, length / 2)
          : new BigUint64Array(buffer, byteOffset, length / 2),
      );
    }
    default:
      if (type === "date") return Array.from(lane.floats, (time) => new Date(time));
      return Array.from(lane.isSingle ? singlesOf(lane.bits) : lane.floats);
  }
}

/** An array of `type` of these elements, each of which `checkValue` has seen. */
export function fromElements(elements: readonly Element[], type: ValueType): Values {
  if (!isTyped(type)) return elements.slice() as PlainValues;
  const values = new CONSTRUCTORS[type](elements.length) as Int32Array;
  values.set(elements as readonly number[]);
  return values;
}

/** The least and greatest whole number of each type that has bounds. */
const BOUNDS: Readonly<Partial<Record<ValueType, readonly [number | bigint, number | bigint]>>> = {
  i8: [-128, 127],
  u8: [0, 255],
  u8c: [0, 255],
  i16: [-32_768, 32_767],
  u16: [0, 65_535],
  i32: [-(2 ** 31), 2 ** 31 - 1],
  u32: [0, 2 ** 32 - 1],
  i64: [INT64_MIN, INT64_MAX],
  u64: [0n, 2n ** 64n - 1n],
  bigint: [INT64_MIN, INT64_MAX],
};

/** Refuses what a series of `type` cannot hold as it is. */
export function checkValue(value: Element | undefined, type: ValueType, index: number): void {
  if (value === null && !isTyped(type)) return;
  const bounds = BOUNDS[type];
  const isFloat = type === "f64" || type === "f32";
  const isFit =
    bounds === undefined
      ? type === (value instanceof Date ? "date" : typeof value) ||
        (isFloat && typeof value === "number")
      : typeof value === typeof bounds[0];
  if (!isFit) throw mixed(value, index, type);
  if (typeof value !== "number" && typeof value !== "bigint") return;
  if (bounds === undefined) {
    if (typeof value === "bigint" || type !== "f32" || isSingle(value)) return;
  } else {
    const isWhole = typeof value === "bigint" || (Number.isInteger(value) && !Object.is(value, -0));
    if (isWhole && value >= bounds[0] && value <= bounds[1]) return;
  }
  throw new DeltaError("out_of_range", `${textOf(value)} does not fit into ${type}`, index);
}

/** A zero with its sign, which `String` leaves out. */
export function textOf(value: number | bigint): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function isSingle(value: number): boolean {
  return Number.isNaN(value) || Math.fround(value) === value;
}

/** One after the other, which must be of the same kind, in memory of their own. */
export function joinValues(pieces: readonly Values[]): Values {
  if (pieces.every((piece) => Array.isArray(piece))) return joinArrays(pieces as unknown[][]);
  const [first = []] = pieces;
  const type = typeOf(first);
  if (type === undefined || !isTyped(type) || pieces.some((piece) => typeOf(piece) !== type)) {
    throw new DeltaError("invalid_argument", "pieces of different types in one stream");
  }
  const count = pieces.reduce((sum, { length }) => sum + length, 0);
  const joined = newTyped(type, count) as Int32Array;
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece as Int32Array, at);
    at += piece.length;
  }
  return joined;
}

/** Holes become undefined, and are refused as that. */
function joinArrays(pieces: readonly unknown[][]): PlainValues {
  const joined: unknown[] = [];
  for (const piece of pieces) for (const value of piece) joined.push(value);
  return joined as PlainValues;
}

/** In memory of its own, which a Buffer's own `slice` would share. */
export function copyValues(values: Values): Values {
  if (Array.isArray(values)) return (values as Element[]).map(ownElement) as PlainValues;
  return Uint8Array.prototype.slice.call(values as Uint8Array) as Values;
}
