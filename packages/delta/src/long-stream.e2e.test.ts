import { expect, it } from "vitest";
import { decodeStream, encode } from "./complete.ts";

it("a stream goes on past 2^31 values in the memory of one chunk", async () => {
  const chunk = encode(new Uint8Array(2 ** 18).fill(7));
  const times = 2 ** 13 + 1;
  const source = function* (): Generator<Uint8Array> {
    for (let k = 0; k < times; k += 1) yield chunk;
  };
  let count = 0;
  let sevens = 0;
  const before = process.memoryUsage().rss;
  for await (const piece of decodeStream(source())) {
    count += piece.length;
    if (piece[0] === 7 && piece.at(-1) === 7) sevens += 1;
  }
  expect(count).toBe(2 ** 31 + 2 ** 18);
  expect(sevens).toBe(times);
  expect(process.memoryUsage().rss - before).toBeLessThan(512 * 2 ** 20);
});
