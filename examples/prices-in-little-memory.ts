/**
 * A program that must keep a day of prices at hand, and in little memory: each new price is appended
 * to a series that stays encoded, any of them is read without decoding the rest, and at the end of
 * the day the bytes go into a file, from which they come back to the bit. Needs nothing but Node.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode, deltas, Series, undelta } from "@cubby/delta";

const SECONDS = 86_400;

/** What comes over the wire, second by second: 100.50, 100.75, … */
function* marketPrices(): Generator<number> {
  yield* [100.5, 100.75, 100.6, 101.1, 100.9];
  let cents = 10_090;
  for (let second = 5; second < SECONDS; second += 1) {
    cents += Math.round(8 * Math.sin(second * second));
    yield cents / 100;
  }
}

// By hand, for five of them: a first value, and the differences as a person would write them.
const five = [100.5, 100.75, 100.6, 101.1, 100.9];
const { base, deltas: steps } = deltas(five);
console.log(`${base}, then ${steps.map((step) => (step > 0 ? `+${step}` : step)).join(", ")}`);
console.log(`and back: ${undelta({ base, deltas: steps }).join(", ")}`);

// All day long.
const day = new Series({ type: "f64" });
for (const price of marketPrices()) day.append(price);
console.log(`${day.length} prices; the third is ${day.at(2)}`);

const noon = day.slice(SECONDS / 2, SECONDS / 2 + 60);
console.log(`${noon.length} of them around noon`);

// Into a file and back.
const directory = mkdtempSync(join(tmpdir(), "prices-"));
const path = join(directory, "day.cdl");
writeFileSync(path, day.toBytes());
const bytes = readFileSync(path);
const again = decode(bytes);
const isSame = [...marketPrices()].every((price, second) => Object.is(price, again[second]));
const share = bytes.length / (SECONDS * Float64Array.BYTES_PER_ELEMENT);
console.log(`from the file: ${isSame ? "the same to the bit" : "not the same"}`);
console.log(`of the doubles' memory it takes ${share < 0.1 ? "less than a tenth" : "too much"}`);
rmSync(directory, { recursive: true });
