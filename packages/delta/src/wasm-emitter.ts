/**
 * A small assembler for WebAssembly: instructions are functions of the code of their operands, a
 * module is a list of functions, and `moduleBytes` is what `WebAssembly.Module` takes. Nothing is
 * checked here; the engine validates every module before it runs.
 */

/** Instructions as bytes, nested as they were put together. */
export type Code = number | readonly Code[];

export const I32 = 0x7f;
export const I64 = 0x7e;
export const V128 = 0x7b;

export type FunctionType = {
  readonly parameters: readonly number[];
  readonly results: readonly number[];
};

export type WasmFunction = {
  readonly type: FunctionType;
  /** Types of the locals after the parameters. */
  readonly locals: readonly number[];
  readonly body: Code;
  /** The name under which it is exported, if it is. */
  readonly name?: string;
};

export type WasmModule = {
  /** Types for `callIndirect`, by index. */
  readonly indirectTypes?: readonly FunctionType[];
  /** Functions number on from the imported ones, which come first: `call(0)` is the first import. */
  readonly imports?: readonly { readonly name: string; readonly type: FunctionType }[];
  readonly functions: readonly WasmFunction[];
  /** Pages of 64 KiB that the imported memory has at least. */
  readonly pages: number;
  /** Elements that the imported table has at least; no table if undefined. */
  readonly tableSize?: number;
};

const MODULE_HEAD = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

/** Memory, table and functions are imported as "e" "m", "e" "t" and "e" with the name given. */
export function moduleBytes(module: WasmModule): Uint8Array {
  const { imports = [], functions, indirectTypes = [], pages, tableSize } = module;
  const types = [
    ...indirectTypes,
    ...imports.map(({ type }) => type),
    ...functions.map((f) => f.type),
  ];
  const external = (name: string, what: Code): Code => [text("e"), text(name), what];
  const table = tableSize === undefined ? [] : [external("t", [1, 0x70, 0, unsigned(tableSize)])];
  const first = indirectTypes.length;
  const exported = functions.flatMap(({ name }, i) =>
    name === undefined ? [] : [[text(name), 0, unsigned(imports.length + i)]],
  );
  const code = [
    MODULE_HEAD,
    section(
      1,
      types.map(({ parameters, results }) => [0x60, list(parameters), list(results)]),
    ),
    section(2, [
      external("m", [2, 0, unsigned(pages)]),
      ...table,
      ...imports.map(({ name }, i) => external(name, [0, unsigned(first + i)])),
    ]),
    section(
      3,
      functions.map((_, i) => unsigned(first + imports.length + i)),
    ),
    section(7, exported),
    section(10, functions.map(functionBytes)),
  ];
  return Uint8Array.from(flat(code));
}

function functionBytes({ locals, body }: WasmFunction): Code {
  return sized([list(locals.map((type) => [1, type])), body, 0x0b]);
}

function section(id: number, items: readonly Code[]): Code {
  return [id, sized(list(items))];
}

function sized(code: Code): Code {
  const bytes = flat(code);
  return [unsigned(bytes.length), bytes];
}

function list(items: readonly Code[]): Code {
  return [unsigned(items.length), items];
}

function text(value: string): Code {
  return list([...value].map((character) => character.charCodeAt(0)));
}

function flat(code: Code, into: number[] = []): number[] {
  if (typeof code === "number") into.push(code);
  else for (const part of code) flat(part, into);
  return into;
}

function unsigned(value: number): Code {
  const bytes: number[] = [];
  let rest = value >>> 0;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

function signed(value: number): Code {
  const bytes: number[] = [];
  let rest = value | 0;
  for (; rest < -64 || rest > 63; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest & 0x7f];
}

// Locals, constants, control.

export const get = (local: number): Code => [0x20, unsigned(local)];
export const set = (local: number, value: Code): Code => [value, 0x21, unsigned(local)];
export const tee = (local: number, value: Code): Code => [value, 0x22, unsigned(local)];
export const i32 = (value: number): Code => [0x41, signed(value)];
/** A 64-bit constant of 32 bits, sign-extended. */
export const i64 = (value: number): Code => [0x42, signed(value)];
export const block = (...body: Code[]): Code => [0x02, 0x40, body, 0x0b];
export const loop = (...body: Code[]): Code => [0x03, 0x40, body, 0x0b];
/** Leaves the block `depth` levels out, or begins that loop again. */
export const br = (depth: number): Code => [0x0c, depth];
export const brIf = (depth: number, condition: Code): Code => [condition, 0x0d, depth];
export const when = (condition: Code, then: Code, otherwise?: Code): Code => [
  condition,
  [0x04, 0x40],
  then,
  otherwise === undefined ? [] : [0x05, otherwise],
  0x0b,
];
export const giveBack = (value: Code): Code => [value, 0x0f];
export const call = (index: number, ...values: Code[]): Code => [values, 0x10, unsigned(index)];
/** Calls element `element` of the table, of `indirectTypes[type]`. */
export const callIndirect = (type: number, element: Code, ...values: Code[]): Code => [
  values,
  element,
  [0x11, unsigned(type), 0],
];
export const select = (yes: Code, no: Code, condition: Code): Code => [yes, no, condition, 0x1b];

/** `local` += `step`. */
export const increase = (local: number, step: Code): Code => set(local, i32Add(get(local), step));

type Unary = (value: Code) => Code;
type Binary = (left: Code, right: Code) => Code;
type Load = (address: Code, offset?: number) => Code;
type Store = (address: Code, value: Code, offset?: number) => Code;

function unary(...opcode: number[]): Unary {
  return (value) => [value, opcode];
}

function binary(...opcode: number[]): Binary {
  return (left, right) => [left, right, opcode];
}

function load(...opcode: number[]): Load {
  return (address, offset = 0) => [address, opcode, 0, unsigned(offset)];
}

function store(...opcode: number[]): Store {
  return (address, value, offset = 0) => [address, value, opcode, 0, unsigned(offset)];
}

const SIMD = 0xfd;
/** Instructions with a lane number behind the opcode. */
function lane(...opcode: number[]): (value: Code, index: number) => Code {
  return (value, index) => [value, opcode, index];
}

// Memory; no alignment is promised.

export const i32Load = load(0x28);
export const i64Load = load(0x29);
export const i32Load8 = load(0x2d);
export const i32Load16 = load(0x2f);
export const i32Store = store(0x36);
export const i64Store = store(0x37);
export const i32Store8 = store(0x3a);
export const vLoad = load(SIMD, 0);
export const vLoadSplat64 = load(SIMD, 10);
export const vStore = store(SIMD, 11);

// 32-bit integers; U is unsigned, S is signed.

export const i32Eqz = unary(0x45);
export const i32Eq = binary(0x46);
export const i32Ne = binary(0x47);
export const i32LtS = binary(0x48);
export const i32LtU = binary(0x49);
export const i32GtS = binary(0x4a);
export const i32GtU = binary(0x4b);
export const i32GeS = binary(0x4e);
export const i32GeU = binary(0x4f);
export const i32Clz = unary(0x67);
export const i32Add = binary(0x6a);
export const i32Sub = binary(0x6b);
export const i32Mul = binary(0x6c);
export const i32And = binary(0x71);
export const i32Or = binary(0x72);
export const i32Xor = binary(0x73);
export const i32Shl = binary(0x74);
export const i32ShrS = binary(0x75);
export const i32ShrU = binary(0x76);

// 64-bit integers.

export const i64Ne = binary(0x52);
export const i64LtU = binary(0x54);
export const i64Ctz = unary(0x7a);
export const i64Add = binary(0x7c);
export const i64Sub = binary(0x7d);
export const i64And = binary(0x83);
export const i64Or = binary(0x84);
export const i64Xor = binary(0x85);
export const i64Shl = binary(0x86);
export const i64ShrS = binary(0x87);
export const i64ShrU = binary(0x88);
export const i32FromI64 = unary(0xa7);
export const i64FromI32S = unary(0xac);
export const i64FromI32U = unary(0xad);

// Vectors of four 32-bit or two 64-bit integers.

export const v128 = (bytes: readonly number[]): Code => [SIMD, 12, bytes];
/** Sixteen byte numbers: 0 to 15 of the left, 16 to 31 of the right. */
const vShuffle = (left: Code, right: Code, bytes: readonly number[]): Code => [
  left,
  right,
  [SIMD, 13],
  bytes,
];
/** `vShuffle` by whole 32-bit lanes: 0 to 3 of the left, 4 to 7 of the right. */
export const vShuffle4 = (left: Code, right: Code, lanes: readonly number[]): Code =>
  vShuffle(
    left,
    right,
    lanes.flatMap((from) => [4 * from, 4 * from + 1, 4 * from + 2, 4 * from + 3]),
  );
export const vSplat8 = unary(SIMD, 15);
export const vSplat32 = unary(SIMD, 17);
export const vSplat64 = unary(SIMD, 18);
export const vLane32 = lane(SIMD, 27);
export const vReplace32 = (vector: Code, index: number, value: Code): Code => [
  vector,
  value,
  [SIMD, 28, index],
];
export const vGtS8 = binary(SIMD, 39);
export const vAnd = binary(SIMD, 78);
/** Bits of the left that the right has not. */
export const vAndNot = binary(SIMD, 79);
export const vOr = binary(SIMD, 80);
export const vXor = binary(SIMD, 81);
export const vAnyTrue = unary(SIMD, 83);
/** The highest bit of each byte. */
export const vBits8 = unary(SIMD, 100);
export const vNarrowU16 = binary(SIMD, 102);
export const vSub8 = binary(SIMD, 113);
/** Not below zero. */
export const vSubSaturateU8 = binary(SIMD, 115);
export const vMinU8 = binary(SIMD, 119);
/** Sums of neighbors, twice as wide. */
export const vPairsU8 = unary(SIMD, 125);
export const vPairsU16 = unary(SIMD, 127);
export const vNarrowS32 = binary(SIMD, 0x85, 1);
export const vShl32 = binary(SIMD, 0xab, 1);
export const vShrS32 = binary(SIMD, 0xac, 1);
export const vShrU32 = binary(SIMD, 0xad, 1);
export const vAdd32 = binary(SIMD, 0xae, 1);
export const vSub32 = binary(SIMD, 0xb1, 1);
export const vMinS32 = binary(SIMD, 0xb6, 1);
export const vMaxS32 = binary(SIMD, 0xb8, 1);
export const vLowU64 = unary(SIMD, 0xc9, 1);
export const vHighU64 = unary(SIMD, 0xca, 1);
export const vAdd64 = binary(SIMD, 0xce, 1);

/** Four signed integers as singles. */
export const vConvertS32 = unary(SIMD, 0xfa, 1);

// Vectors of two doubles.

export const fAdd = binary(SIMD, 0xf0, 1);
export const fMul = binary(SIMD, 0xf2, 1);
export const fDiv = binary(SIMD, 0xf3, 1);
/** Of the first two of four signed integers. */
export const fConvertLow = unary(SIMD, 0xfe, 1);
