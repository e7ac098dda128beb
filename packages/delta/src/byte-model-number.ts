import { hashContext, type SymbolModel } from "./byte-model.ts";
import type { BitCoder } from "./range-coder.ts";

/** Numbers are below 2^31: their bit length is a symbol of five bits. */
const LENGTH_BITS = 5;
/** So many bits after the leading one are worth a context; the others are as good as random. */
const MODELED_BITS = 3;
const EVEN_ODDS = 0x8000;

/**
 * Codes `value`, below 2^31, as its bit length and the bits after its leading one, with the weights
 * of sets `set` and `set` + 1, and the contexts of the kinds of these numbers. The length is seen
 * three times as it is and three times together with `context`.
 */
export function codeNumber(
  model: SymbolModel,
  coder: BitCoder,
  value: number,
  set: number,
  context: number,
): number {
  const { hashes } = model;
  model.guesses.fill(-1);
  for (let at = 0; at < hashes.length; at += 1) {
    hashes[at] = hashContext(set, at + 8 * (at % 2 === 0 ? 0 : context + 1));
  }
  const length = model.code(coder, 32 - Math.clz32(value), LENGTH_BITS, set);
  if (length < 2) return length;
  let rest = length - 1;
  const modeled = Math.min(rest, MODELED_BITS);
  rest -= modeled;
  for (let at = 0; at < hashes.length; at += 1) hashes[at] = hashContext(set + 1, at + 8 * length);
  let result =
    (1 << modeled) | model.code(coder, (value >> rest) & ((1 << modeled) - 1), modeled, set + 1);
  for (; rest > 0; rest -= 1) {
    result = (result << 1) | coder.code((value >> (rest - 1)) & 1, EVEN_ODDS);
  }
  return result;
}
