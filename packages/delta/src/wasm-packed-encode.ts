import { EXCEPTION_COST, EXCEPTIONS_COST, OWN_BASE_COST } from "./packed-width.ts";
import * as w from "./wasm-emitter.ts";
import { transpose } from "./wasm-packed-kernel.ts";
import { FRAME, HIGHS, LENGTHS, LOWS, SCRATCH, SEEDS, STOPPED } from "./wasm-packed-layout.ts";

/**
 * The packer in WebAssembly: `BlockEncoder` of packed-encode.ts for whole blocks of 32-bit latents,
 * byte for byte.
 */
export function encodeModule(): Uint8Array {
  return w.moduleBytes({ pages: 1, functions: [choose(), driver(), equal()] });
}

const BLOCK = 128;
const VECTORS = 32;
const CHOOSE = 0;
const ZERO = w.v128(new Array<number>(16).fill(0));

/** Parameters: two addresses, and where the first array ends. 1 if they hold the same vectors. */
function equal(): w.WasmFunction {
  const [left, right, end, differing] = [0, 1, 2, 3] as const;
  const body = [
    w.block(
      w.loop(
        w.brIf(1, w.i32GeU(w.get(left), w.get(end))),
        w.set(
          differing,
          w.vOr(w.get(differing), w.vXor(w.vLoad(w.get(left)), w.vLoad(w.get(right)))),
        ),
        w.increase(left, w.i32(16)),
        w.increase(right, w.i32(16)),
        w.br(0),
      ),
    ),
    w.i32Eqz(w.vAnyTrue(w.get(differing))),
  ];
  const type = { parameters: [w.I32, w.I32, w.I32], results: [w.I32] };
  return { type, locals: [w.V128], body, name: "q" };
}

/** What the exponent of a single has more than the bits of its whole part. */
const EXPONENT = 126;

/**
 * Parameters: longest, extra, order. Of the numbers in `SCRATCH`, the cost of the best width, times
 * 2^16, exceptions, times 2^8, and the width, as `WidthChoice` has it. How many numbers need more bits
 * is counted for one width after the other, since few are tried; their lengths stay in `LENGTHS`, in
 * the second half of it if there is something extra. The places of seeds hold what stands in the first
 * one, and do not count.
 */
function choose(): w.WasmFunction {
  const [longest, extra, order, width, exceptions, cost, best, patching] = [
    0, 1, 2, 3, 4, 5, 6, 7,
  ] as const;
  const [at, end, each, wanted, counts] = [8, 9, 10, 11, 12] as const;
  const price = w.i32Add(
    w.i32Sub(w.i32Add(w.get(longest), w.get(extra)), w.get(width)),
    w.i32(EXCEPTION_COST),
  );
  const packed = w.i32Or(
    w.i32Shl(w.get(cost), w.i32(16)),
    w.i32Or(w.i32Shl(w.get(exceptions), w.i32(8)), w.get(width)),
  );
  const turned = (by: number): w.Code =>
    w.vShuffle4(
      w.get(counts),
      w.get(counts),
      [0, 1, 2, 3].map((j) => (j + by) & 3),
    );
  const countLonger = [
    w.set(wanted, w.vSplat8(w.get(width))),
    w.set(counts, ZERO),
    Array.from({ length: BLOCK / 16 }, (_, i) => {
      const lengths = w.vLoad(w.get(end), LENGTHS - BLOCK + 16 * i);
      return w.set(counts, w.vSub8(w.get(counts), w.vGtS8(lengths, w.get(wanted))));
    }),
    w.set(counts, w.vPairsU16(w.vPairsU8(w.get(counts)))),
    [2, 1].map((by) => w.set(counts, w.vAdd32(w.get(counts), turned(by)))),
    w.set(exceptions, w.vLane32(w.get(counts), 0)),
    w.when(
      w.i32ShrU(w.i32Load(w.i32(SCRATCH)), w.get(width)),
      w.set(exceptions, w.i32Sub(w.get(exceptions), w.get(order))),
    ),
  ];
  const body = [
    w.set(end, w.i32Shl(w.get(extra), w.i32(7))),
    measure(each, at, end),
    w.set(best, w.i32(0x7fffffff)),
    w.set(width, w.get(longest)),
    w.loop(
      w.set(patching, w.i32(0)),
      w.when(
        w.get(exceptions),
        w.set(patching, w.i32Add(w.i32(EXCEPTIONS_COST), w.i32Mul(w.get(exceptions), price))),
      ),
      w.when(w.i32LtS(w.get(patching), w.i32ShrU(w.get(best), w.i32(16))), [
        w.set(cost, w.i32Add(w.i32Shl(w.get(width), w.i32(7)), w.get(patching))),
        w.when(w.i32LtS(w.get(cost), w.i32ShrU(w.get(best), w.i32(16))), w.set(best, packed)),
        w.set(width, w.i32Sub(w.get(width), w.i32(1))),
        // Two levels out: on with the next width.
        w.when(w.i32GeS(w.get(width), w.i32(0)), [countLonger, w.br(2)]),
      ]),
    ),
    w.get(best),
  ];
  const locals = [...new Array<number>(7).fill(w.I32), w.V128, w.V128, w.V128];
  return { type: { parameters: [w.I32, w.I32, w.I32], results: [w.I32] }, locals, body };
}

/** How many bits each of the numbers in `SCRATCH` needs, as bytes from `end` less 128 on. */
function measure(each: number, at: number, end: number): w.Code {
  // The highest bit alone would do: without the one below it nothing is rounded up.
  const exponents = (offset: number): w.Code => [
    w.set(each, w.vLoad(w.i32Shl(w.get(at), w.i32(2)), SCRATCH + offset)),
    w.vShrU32(w.vConvertS32(w.vAndNot(w.get(each), w.vShrU32(w.get(each), w.i32(1)))), w.i32(23)),
  ];
  const eight = (offset: number): w.Code => w.vNarrowS32(exponents(offset), exponents(offset + 16));
  const sixteen = w.vNarrowU16(eight(0), eight(32));
  // Numbers of 32 bits are negative ones with a sign before the exponent.
  const bounded = w.vMinU8(sixteen, w.vSplat8(w.i32(EXPONENT + 32)));
  return [
    w.set(at, w.i32(0)),
    w.loop(
      w.vStore(w.get(end), w.vSubSaturateU8(bounded, w.vSplat8(w.i32(EXPONENT))), LENGTHS),
      w.increase(end, w.i32(16)),
      w.increase(at, w.i32(16)),
      w.brIf(0, w.i32LtU(w.get(at), w.i32(BLOCK))),
    ),
  ];
}

// Parameters: latents, how many blocks, order, and where directory, words and exceptions go.
const IN = 0;
const BLOCKS = 1;
const ORDER = 2;
const AT = 3;
const WORD = 4;
const EXCEPTION = 5;
// Locals.
const K = 6;
const LEAST = 7;
const MOST = 8;
const CHOICE = 9;
const OTHER = 10;
const BASE = 11;
const WIDTH = 12;
const FRAMED = 13;
const COUNT = 14;
const BITS = 15;
const VALUE = 16;
const FILLED = 17;
const LONGEST = 18;
const NUMBER = 19;
const LEASTS = 20;
const MOSTS = 21;
const VECTOR = 22;
const BASES = 23;
const ROW = 24;
const TEMPORARY = 28;

const TYPE: w.FunctionType = { parameters: new Array<number>(6).fill(w.I32), results: [] };

const fromK = w.i32Shl(w.get(K), w.i32(2));
/** Residual K. */
const residual = w.i32Load(fromK, LOWS);
const zigzag = (value: () => w.Code): w.Code =>
  w.i32Xor(w.i32Shl(value(), w.i32(1)), w.i32ShrS(value(), w.i32(31)));
const bitLength = (value: w.Code): w.Code => w.i32Sub(w.i32(32), w.i32Clz(value));
const CENTER = w.i32Load(w.i32(FRAME));
const STEP = w.i64Load(w.i32(FRAME), 8);

function driver(): w.WasmFunction {
  const body = [
    w.block(
      w.loop(
        w.brIf(1, w.i32Eqz(w.get(BLOCKS))),
        differences(),
        lengths(),
        decide(),
        w.when(
          w.i32And(w.i32ShrU(w.get(CHOICE), w.i32(8)), w.i32(255)),
          collect(),
          w.set(COUNT, w.i32(0)),
        ),
        entry(),
        pack(),
        w.increase(IN, w.i32(4 * BLOCK)),
        w.set(BLOCKS, w.i32Sub(w.get(BLOCKS), w.i32(1))),
        w.br(0),
      ),
    ),
    w.i32Store(w.i32(STOPPED), w.get(AT)),
    w.i32Store(w.i32(STOPPED), w.get(WORD), 4),
    w.i32Store(w.i32(STOPPED), w.get(EXCEPTION), 8),
  ];
  const locals = [
    ...new Array<number>(NUMBER - K).fill(w.I32),
    w.I64,
    ...new Array<number>(TEMPORARY + 4 - LEASTS).fill(w.V128),
  ];
  return { type: TYPE, locals, body, name: "f" };
}

/** Counts K from `first` in steps while it is below `end`. At least one round. */
function countUp(first: w.Code, end: number, step: number, ...body: w.Code[]): w.Code {
  return [
    w.set(K, first),
    w.loop(body, w.increase(K, w.i32(step)), w.brIf(0, w.i32LtS(w.get(K), w.i32(end)))),
  ];
}

/** Residuals into `LOWS`, seeds into 64-bit places from `HIGHS`. */
function differences(): w.Code {
  const before = w.vLoad(w.i32Sub(w.i32Add(w.get(IN), w.get(K)), w.i32(4)));
  const difference = w.vSub32(w.vLoad(w.i32Add(w.get(IN), w.get(K))), before);
  return [
    w.set(BASES, w.vSplat32(CENTER)),
    w.set(LEASTS, w.vSplat32(w.i32(0x7fffffff))),
    w.set(MOSTS, w.vSplat32(w.i32(-0x80000000))),
    w.when(
      w.i32Eq(w.get(ORDER), w.i32(1)),
      [
        w.i64Store(w.i32(0), w.i64FromI32S(w.i32Load(w.get(IN))), HIGHS),
        w.set(K, w.i32(0)),
        w.set(VECTOR, w.vSub32(difference, w.get(BASES))),
        // The place of the seed repeats the first residual meanwhile.
        w.set(VECTOR, w.vShuffle4(w.get(VECTOR), w.get(VECTOR), [1, 1, 2, 3])),
        takeResiduals(),
        countUp(
          w.i32(16),
          4 * BLOCK,
          16,
          w.set(VECTOR, w.vSub32(difference, w.get(BASES))),
          takeResiduals(),
        ),
      ],
      [
        differencesOfAnyOrder(),
        countUp(
          w.i32(0),
          4 * BLOCK,
          16,
          w.set(VECTOR, w.vSub32(w.vLoad(w.get(K), LOWS), w.get(BASES))),
          takeResiduals(),
        ),
      ],
    ),
    overLanes(LEASTS, LEAST, w.vMinS32),
    overLanes(MOSTS, MOST, w.vMaxS32),
  ];
}

/** Puts `VECTOR` at K into `LOWS`, and its zigzag form into `SCRATCH`. */
function takeResiduals(): w.Code {
  const vector = w.get(VECTOR);
  return [
    w.set(LEASTS, w.vMinS32(w.get(LEASTS), vector)),
    w.set(MOSTS, w.vMaxS32(w.get(MOSTS), vector)),
    w.vStore(w.get(K), vector, LOWS),
    w.vStore(w.get(K), w.vXor(w.vShl32(vector, w.i32(1)), w.vShrS32(vector, w.i32(31))), SCRATCH),
  ];
}

/** From the end, so that each place still finds the one before it. */
function differencesOfAnyOrder(): w.Code {
  const seedAt = w.i32Shl(w.get(COUNT), w.i32(3));
  return [
    countUp(
      w.i32(0),
      4 * BLOCK,
      16,
      w.vStore(w.get(K), w.vLoad(w.i32Add(w.get(IN), w.get(K))), LOWS),
    ),
    w.set(COUNT, w.i32(0)),
    w.block(
      w.loop(
        w.brIf(1, w.i32Eq(w.get(COUNT), w.get(ORDER))),
        w.i64Store(seedAt, w.i64FromI32S(w.i32Load(w.i32Shl(w.get(COUNT), w.i32(2)), LOWS)), HIGHS),
        w.set(K, w.i32(4 * BLOCK - 16)),
        w.loop(
          w.vStore(w.get(K), w.vSub32(w.vLoad(w.get(K), LOWS), w.vLoad(w.get(K), LOWS - 4)), LOWS),
          w.brIf(0, w.i32GeS(w.tee(K, w.i32Sub(w.get(K), w.i32(16))), w.i32(0))),
        ),
        w.increase(COUNT, w.i32(1)),
        w.br(0),
      ),
    ),
    // Places of seeds repeat the first residual meanwhile, which changes neither least nor most.
    seedPlaces(w.i32Load(w.i32Shl(w.get(ORDER), w.i32(2)), LOWS)),
  ];
}

function overLanes(
  vector: number,
  into: number,
  combine: (left: w.Code, right: w.Code) => w.Code,
): w.Code {
  const other = (lanes: readonly number[]): w.Code =>
    w.set(vector, combine(w.get(vector), w.vShuffle4(w.get(vector), w.get(vector), lanes)));
  return [other([2, 3, 0, 1]), other([1, 0, 3, 2]), w.set(into, w.vLane32(w.get(vector), 0))];
}

function seedPlaces(value: w.Code): w.Code {
  return [
    w.set(VALUE, value),
    w.set(K, w.i32(0)),
    w.block(
      w.loop(
        w.brIf(1, w.i32Eq(w.get(K), w.get(ORDER))),
        w.i32Store(fromK, w.get(VALUE), LOWS),
        w.increase(K, w.i32(1)),
        w.br(0),
      ),
    ),
  ];
}

function lengths(): w.Code {
  const longer = (a: w.Code, b: w.Code): w.Code => w.select(a, b, w.i32GtS(a, b));
  return [
    w.set(
      LONGEST,
      longer(bitLength(zigzag(() => w.get(LEAST))), bitLength(zigzag(() => w.get(MOST)))),
    ),
    w.set(CHOICE, w.call(CHOOSE, w.get(LONGEST), w.i32(0), w.get(ORDER))),
  ];
}

function isLopsided(): w.Code {
  const difference = w.i32Sub(
    bitLength(zigzag(() => w.get(LEAST))),
    bitLength(zigzag(() => w.get(MOST))),
  );
  return w.i32Or(
    w.i32GeS(w.i32Xor(w.get(LEAST), w.get(MOST)), w.i32(0)),
    // More than 2 or less than -2.
    w.i32GtU(w.i32Add(difference, w.i32(2)), w.i32(4)),
  );
}

/** Base and width: centered, or framed where that is cheaper. */
function decide(): w.Code {
  const range = bitLength(w.i32Sub(w.get(MOST), w.get(LEAST)));
  return [
    w.set(FRAMED, w.i32(0)),
    w.when(w.i32And(w.i32LtS(range, w.get(LONGEST)), isLopsided()), [
      w.set(BASES, w.vSplat32(w.get(LEAST))),
      countUp(
        w.i32(0),
        4 * BLOCK,
        16,
        w.vStore(w.get(K), w.vSub32(w.vLoad(w.get(K), LOWS), w.get(BASES)), SCRATCH),
      ),
      w.set(OTHER, w.call(CHOOSE, range, w.i32(1), w.get(ORDER))),
      w.when(
        w.i32LtS(
          w.i32Add(w.i32ShrU(w.get(OTHER), w.i32(16)), w.i32(OWN_BASE_COST)),
          w.i32ShrU(w.get(CHOICE), w.i32(16)),
        ),
        [w.set(FRAMED, w.i32(1)), w.set(CHOICE, w.get(OTHER))],
      ),
    ]),
    w.set(WIDTH, w.i32And(w.get(CHOICE), w.i32(255))),
    w.set(
      BASE,
      w.select(
        w.get(LEAST),
        w.select(w.i32Shl(w.i32(-1), w.i32Sub(w.get(WIDTH), w.i32(1))), w.i32(0), w.get(WIDTH)),
        w.get(FRAMED),
      ),
    ),
    w.set(BASES, w.vSplat32(w.get(BASE))),
    seedPlaces(w.get(BASE)),
  ];
}

/** Exceptions: their places where they belong, their values in `SCRATCH`, and how many bits they need. */
function collect(): w.Code {
  const sixteen = (i: number): w.Code =>
    w.i64FromI32U(
      w.vBits8(
        w.vGtS8(w.vLoad(w.i32Shl(w.get(FRAMED), w.i32(7)), LENGTHS + 16 * i), w.get(VECTOR)),
      ),
    );
  const half = (i: number): w.Code =>
    [1, 2, 3].reduce<w.Code>(
      (bits, k) => w.i64Or(bits, w.i64Shl(sixteen(4 * i + k), w.i64(16 * k))),
      sixteen(4 * i),
    );
  const seeds = w.i64Sub(w.i64Shl(w.i64(1), w.i64FromI32U(w.get(ORDER))), w.i64(1));
  const places = w.get(NUMBER);
  const takeEach = (first: number): w.Code =>
    w.block(
      w.loop(
        w.brIf(1, w.i32Eqz(w.i64Ne(places, w.i64(0)))),
        w.set(K, w.i32Add(w.i32FromI64(w.i64Ctz(places)), w.i32(first))),
        w.set(NUMBER, w.i64And(places, w.i64Sub(places, w.i64(1)))),
        w.set(VALUE, w.i32ShrS(w.i32Sub(residual, w.get(BASE)), w.get(WIDTH))),
        w.set(VALUE, w.i32Sub(w.get(VALUE), w.i32GtS(w.get(VALUE), w.i32(0)))),
        w.i32Store8(w.i32Add(w.get(EXCEPTION), w.get(COUNT)), w.get(K)),
        w.i32Store(w.i32Shl(w.get(COUNT), w.i32(2)), w.get(VALUE), SCRATCH),
        w.set(
          BITS,
          w.i32Or(w.get(BITS), w.i32Xor(w.get(VALUE), w.i32ShrS(w.get(VALUE), w.i32(31)))),
        ),
        w.increase(COUNT, w.i32(1)),
        w.br(0),
      ),
    );
  return [
    w.set(COUNT, w.i32(0)),
    w.set(BITS, w.i32(0)),
    w.set(VECTOR, w.vSplat8(w.get(WIDTH))),
    w.set(NUMBER, half(0)),
    w.set(NUMBER, w.i64Xor(places, w.i64And(places, seeds))),
    takeEach(0),
    w.set(NUMBER, half(1)),
    takeEach(BLOCK / 2),
    w.set(BITS, w.i32Sub(w.i32(33), w.i32Clz(w.get(BITS)))),
  ];
}

function entry(): w.Code {
  const head = w.i32Or(
    w.get(WIDTH),
    w.i32Or(w.i32Shl(w.get(FRAMED), w.i32(6)), w.i32Shl(w.i32Ne(w.get(COUNT), w.i32(0)), w.i32(7))),
  );
  return [
    writeByte(head),
    seeds(),
    w.when(w.get(FRAMED), [w.set(NUMBER, w.i64FromI32S(w.get(BASE))), writeSigned()]),
    w.when(w.get(COUNT), exceptions()),
  ];
}

function writeByte(value: w.Code): w.Code {
  return [w.i32Store8(w.get(AT), value), w.increase(AT, w.i32(1))];
}

/** `NUMBER` in zigzag, seven bits a byte. */
function writeSigned(): w.Code {
  const number = w.get(NUMBER);
  return [
    w.set(NUMBER, w.i64Xor(w.i64Shl(number, w.i64(1)), w.i64ShrS(number, w.i64(63)))),
    w.block(
      w.loop(
        w.brIf(1, w.i64LtU(number, w.i64(128))),
        writeByte(w.i32Or(w.i32FromI64(number), w.i32(128))),
        w.set(NUMBER, w.i64ShrU(number, w.i64(7))),
        w.br(0),
      ),
    ),
    writeByte(w.i32FromI64(number)),
  ];
}

/** Each less the one of the block before; of the first, less the step too. Modulo 2^32. */
function seeds(): w.Code {
  const at = w.i32Shl(w.get(K), w.i32(3));
  const difference = w.i64Sub(w.i64Load(at, HIGHS), w.i64Load(at, SEEDS));
  return [
    w.set(K, w.i32(0)),
    w.block(
      w.loop(
        w.brIf(1, w.i32Eq(w.get(K), w.get(ORDER))),
        w.set(NUMBER, difference),
        w.when(w.i32Eqz(w.get(K)), w.set(NUMBER, w.i64Sub(w.get(NUMBER), STEP))),
        w.set(NUMBER, w.i64FromI32S(w.i32FromI64(w.get(NUMBER)))),
        writeSigned(),
        w.i64Store(at, w.i64Load(at, HIGHS), SEEDS),
        w.increase(K, w.i32(1)),
        w.br(0),
      ),
    ),
  ];
}

function exceptions(): w.Code {
  const last = w.i32Sub(w.get(COUNT), w.i32(1));
  const isShort = w.i32And(w.i32LtU(w.get(COUNT), w.i32(33)), w.i32LtU(w.get(BITS), w.i32(8)));
  const bits = w.i32Sub(w.get(BITS), w.i32(1));
  const mask = w.i64Sub(w.i64Shl(w.i64(1), w.i64FromI32U(w.get(BITS))), w.i64(1));
  const value = w.i64And(w.i64FromI32U(w.i32Load(fromK, SCRATCH)), mask);
  const put = [
    w.i32Store8(w.get(EXCEPTION), w.i32FromI64(w.get(NUMBER))),
    w.increase(EXCEPTION, w.i32(1)),
  ];
  return [
    w.when(isShort, writeByte(w.i32Or(last, w.i32Shl(bits, w.i32(5)))), [
      writeByte(w.i32Or(last, w.i32(0xe0))),
      writeByte(w.i32Or(bits, w.i32Shl(w.i32ShrU(last, w.i32(5)), w.i32(6)))),
    ]),
    w.increase(EXCEPTION, w.get(COUNT)),
    w.set(NUMBER, w.i64(0)),
    w.set(FILLED, w.i32(0)),
    w.set(K, w.i32(0)),
    w.loop(
      w.set(NUMBER, w.i64Or(w.get(NUMBER), w.i64Shl(value, w.i64FromI32U(w.get(FILLED))))),
      w.increase(FILLED, w.get(BITS)),
      w.block(
        w.loop(
          w.brIf(1, w.i32LtU(w.get(FILLED), w.i32(8))),
          put,
          w.set(NUMBER, w.i64ShrU(w.get(NUMBER), w.i64(8))),
          w.set(FILLED, w.i32Sub(w.get(FILLED), w.i32(8))),
          w.br(0),
        ),
      ),
      w.increase(K, w.i32(1)),
      w.brIf(0, w.i32LtU(w.get(K), w.get(COUNT))),
    ),
    w.when(w.get(FILLED), put),
  ];
}

/** Fields in four lanes into `SCRATCH`, then into words. */
function pack(): w.Code {
  const rows = [ROW, ROW + 1, ROW + 2, ROW + 3];
  const { code, columns } = transpose(rows, [
    TEMPORARY,
    TEMPORARY + 1,
    TEMPORARY + 2,
    TEMPORARY + 3,
  ]);
  const at = w.i32Shl(w.get(K), w.i32(2));
  return w.when(w.get(WIDTH), [
    w.set(MOSTS, w.vSplat32(w.i32ShrU(w.i32(-1), w.i32Sub(w.i32(32), w.get(WIDTH))))),
    countUp(
      w.i32(0),
      4 * VECTORS,
      16,
      rows.map((row, lane) =>
        w.set(
          row,
          w.vAnd(w.vSub32(w.vLoad(w.get(K), LOWS + 128 * lane), w.get(BASES)), w.get(MOSTS)),
        ),
      ),
      code,
      columns.map((column, j) => w.vStore(at, column, SCRATCH + 16 * j)),
    ),
    w.when(w.i32LtU(w.get(WIDTH), w.i32(17)), packWords(2), packWords(1)),
  ]);
}

/** Takes as many fields at a time, which are `together` times the width. */
function packWords(together: 1 | 2): w.Code {
  const pair = w.vOr(
    w.vLoad(w.get(K), SCRATCH),
    w.vShl32(w.vLoad(w.get(K), SCRATCH + 16), w.get(WIDTH)),
  );
  const bits = w.i32Mul(w.get(WIDTH), w.i32(together));
  return [
    w.set(FILLED, w.i32(0)),
    w.set(LEASTS, ZERO),
    w.set(BITS, bits),
    countUp(
      w.i32(0),
      16 * VECTORS,
      16 * together,
      w.set(VECTOR, together === 2 ? pair : w.vLoad(w.get(K), SCRATCH)),
      w.set(LEASTS, w.vOr(w.get(LEASTS), w.vShl32(w.get(VECTOR), w.get(FILLED)))),
      w.increase(FILLED, w.get(BITS)),
      w.when(w.i32GtU(w.get(FILLED), w.i32(31)), [
        w.vStore(w.get(WORD), w.get(LEASTS)),
        w.increase(WORD, w.i32(16)),
        w.set(FILLED, w.i32Sub(w.get(FILLED), w.i32(32))),
        w.set(LEASTS, w.vShrU32(w.get(VECTOR), w.i32Sub(w.get(BITS), w.get(FILLED)))),
        // A shift by 32 bits shifts nothing out.
        w.when(w.i32Eqz(w.get(FILLED)), w.set(LEASTS, ZERO)),
      ]),
    ),
  ];
}
