import { hashContext, type SymbolModel } from "./byte-model.ts";
import type { BitCoder } from "./range-coder.ts";

/** Numbers are below 2^31: their bit length is a symbol of five bits. */
const LENGTH_BITS = 5;
/** So many bits after the leading one are worth a context; the others are as good as random. */
const MODELED_BITS = 3;
const EVEN_ODDS = 0x8000;

/**
 * Codes `value`, below 2^31, as its bit length and the bits after its leading one, with the weights
 * of sets `set` and `set` + 1. The length is seen in six contexts: of `field` alone, with `near`,
 * with `far`, and with both; `near` and `far` are below 4,096.
 */
export function codeNumber(
  model: SymbolModel,
  coder: BitCoder,
  value: number,
  field: { readonly set: number; readonly near: number; readonly far: number },
): number {
  const { set, near, far } = field;
  const { hashes } = model;
  model.guesses.fill(-1);
  hashes[0] = hashContext(set);
  hashes[1] = hashContext(set + ((near + 1) << 8));
  hashes[2] = hashContext(set + ((far + 1) << 20));
  hashes[3] = hashContext(~(set + (near << 8) + (far << 20)));
  hashes[4] = hashContext(set + ((Math.min(near, 7) + 1) << 8) + ((Math.min(far, 7) + 1) << 20));
  hashes[5] = 0;
  const length = model.code(coder, 32 - Math.clz32(value), LENGTH_BITS, set);
  if (length < 2) return length;
  let rest = length - 1;
  const modeled = Math.min(rest, MODELED_BITS);
  rest -= modeled;
  for (let at = 0; at < 6; at += 1)
    hashes[at] = hashContext(set + 1 + (length << 8) + at * 0x10000);
  let result =
    (1 << modeled) | model.code(coder, (value >> rest) & ((1 << modeled) - 1), modeled, set + 1);
  for (; rest > 0; rest -= 1) {
    result = (result << 1) | coder.code((value >> (rest - 1)) & 1, EVEN_ODDS);
  }
  return result;
}
