import type { Values, ValueType } from "@cubby/delta";
import { CubbyError } from "@cubby/protocol";

const ARRAYS = {
  f64: Float64Array,
  f32: Float32Array,
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
} as const;

const TEXT_OPTIONS = ["from", "delimiter", "header", "null", "columns", "type"] as const;

type RawOptions = { readonly raw?: string } & {
  readonly [Name in (typeof TEXT_OPTIONS)[number]]?: unknown;
};

/** Refuses what says something of text or columns beside --raw, which has neither. */
export function assertRawAlone(options: RawOptions): void {
  const other = TEXT_OPTIONS.find((name) => options[name] !== undefined);
  if (options.raw === undefined || other === undefined) return;
  const name = options[other] === false ? `no-${other}` : other;
  const detail = `--${name} has no meaning with --raw. Leave one of them out.`;
  throw new CubbyError("invalid_argument", detail);
}

/** Raw numbers, one behind the other, the lowest byte first. */
export function readRaw(bytes: Uint8Array, type: string): Values {
  if (!Object.hasOwn(ARRAYS, type)) {
    const known = Object.keys(ARRAYS).join(", ");
    throw new CubbyError("invalid_argument", `--raw "${type}" is none of ${known}.`);
  }
  const array = ARRAYS[type as keyof typeof ARRAYS];
  if (bytes.length % array.BYTES_PER_ELEMENT !== 0) {
    const detail = `${bytes.length} bytes are no whole number of values of ${array.BYTES_PER_ELEMENT} bytes.`;
    throw new CubbyError("file_malformed", detail);
  }
  const { buffer, byteOffset, length } = bytes;
  // A view wants its first byte at a multiple of its size.
  if (buffer instanceof ArrayBuffer && byteOffset % array.BYTES_PER_ELEMENT === 0) {
    return new array(buffer, byteOffset, length / array.BYTES_PER_ELEMENT);
  }
  return new array(Uint8Array.from(bytes).buffer);
}

/** The bytes of a column as raw numbers: 8 bytes each unless its type says less. */
export function rawBytes(values: Values, type: ValueType): Uint8Array {
  if (ArrayBuffer.isView(values)) {
    return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  }
  const at = (values as readonly unknown[]).indexOf(null);
  if (at !== -1) {
    throw new CubbyError(
      "file_malformed",
      `Value ${at + 1} is missing, which raw numbers cannot say.`,
    );
  }
  switch (type) {
    case "number":
      return new Uint8Array(Float64Array.from(values as readonly number[]).buffer);
    case "bigint":
      return new Uint8Array(BigInt64Array.from(values as readonly bigint[]).buffer);
    case "date":
      return new Uint8Array(Float64Array.from(values as readonly Date[], Number).buffer);
    case "boolean":
      return Uint8Array.from(values as readonly boolean[], Number);
    default:
      throw new CubbyError("invalid_argument", "Text has no raw form: use --format csv or jsonl.");
  }
}
