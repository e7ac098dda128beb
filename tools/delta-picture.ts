/**
 * Draws docs/images/delta.svg: prices, their deltas, and the bits that these take, block by block.
 * `npm run docs`; with `--check` it writes nothing and fails when the committed picture is not what
 * the code gives.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { deltas, encode, inspect } from "@cubby/delta";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
export const PICTURE = "docs/images/delta.svg";

const BLOCK_VALUES = 128;
const BLOCKS = 12;
/** The README's example, with which the day begins. */
const FIRST_PRICES = [100.5, 100.75, 100.6, 101.1, 100.9];
/** How much the price moves, in cents, block by block: a quiet night, an opening, a shock. */
const SWINGS = [3, 2, 2, 4, 14, 22, 12, 7, 5, 40, 18, 6];

const WIDTH = 840;
const HEIGHT = 470;
const LEFT = 64;
const RIGHT = WIDTH - 24;
/** Values that share a place on the x-axis. */
const STEP = 3;

type Panel = { readonly title: string; readonly top: number; readonly bottom: number };
const PRICES: Panel = { title: "prices", top: 52, bottom: 160 };
const DELTAS: Panel = { title: "deltas: each price less the one before", top: 206, bottom: 306 };
const BITS: Panel = {
  title: `bits per delta, in blocks of ${BLOCK_VALUES}`,
  top: 352,
  bottom: 418,
};

const STYLE = `
  .card { fill: #ffffff; stroke: #d0d7de; }
  text { font: 13px system-ui, sans-serif; fill: #57606a; }
  .title { font-weight: 600; fill: #24292f; }
  .axis { stroke: #8c959f; stroke-width: 1; }
  .price { fill: none; stroke: #0969da; stroke-width: 1.5; stroke-linejoin: round; }
  .delta { fill: none; stroke: #bc4c00; stroke-width: 1.3; }
  .bits { fill: #1a7f37; }
  .end { text-anchor: end; }
  .middle { text-anchor: middle; }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #30363d; }
    text { fill: #9198a1; }
    .title { fill: #f0f6fc; }
    .axis { stroke: #656c76; }
    .price { stroke: #58a6ff; }
    .delta { stroke: #f0883e; }
    .bits { fill: #3fb950; }
  }
`;

/** A walk in cents; the same at each run. */
function examplePrices(): number[] {
  const cents = FIRST_PRICES.map((price) => Math.round(price * 100));
  let state = 7;
  const random = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
  while (cents.length < BLOCKS * BLOCK_VALUES) {
    const swing = SWINGS[Math.floor(cents.length / BLOCK_VALUES)] ?? 0;
    const move = Math.round((random() + random() + random() - 1.5) * swing);
    cents.push((cents.at(-1) ?? 0) + move);
  }
  return cents.map((cent) => cent / 100);
}

export function drawPicture(): string {
  const prices = examplePrices();
  const steps = [0, ...deltas(prices).deltas];
  const bytes = encode(Float64Array.from(prices), { backend: "fast" });
  const report = inspect(bytes);
  const chunks = report.kind === "series" ? report.chunks : [];
  const bits = chunks.flatMap(({ blocks }) => blocks.map((block) => block.bits));
  const sizes = `${number(prices.length)} prices: ${number(prices.length * 8)} bytes as doubles, ${number(bytes.length)} bytes encoded`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="Prices, the deltas between them, and the bits that the deltas take">
<style>${STYLE}</style>
<rect class="card" x="0.5" y="0.5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="8"/>
${drawPrices(prices)}
${drawDeltas(steps)}
${drawBits(bits)}
<text x="${LEFT}" y="${HEIGHT - 18}">${sizes}</text>
</svg>
`;
}

function drawPrices(prices: readonly number[]): string {
  const least = Math.min(...prices);
  const most = Math.max(...prices);
  const y = scale(least, most, PRICES);
  const points = everyStep(prices).map(
    (price, place) => `${round(x(place * STEP, prices.length))},${round(y(price))}`,
  );
  return [
    title(PRICES),
    label(most.toFixed(2), y(most)),
    label(least.toFixed(2), y(least)),
    `<polyline class="price" points="${points.join(" ")}"/>`,
  ].join("\n");
}

function drawDeltas(steps: readonly number[]): string {
  const most = Math.max(...steps.map(Math.abs));
  const y = scale(-most, most, DELTAS);
  let path = "";
  for (let i = 0; i < steps.length; i += STEP) {
    const part = steps.slice(i, i + STEP);
    const [low, high] = [Math.min(0, ...part), Math.max(0, ...part)];
    if (low < high) path += `M${round(x(i, steps.length))} ${round(y(low))}V${round(y(high))}`;
  }
  return [
    title(DELTAS),
    label(`+${most.toFixed(2)}`, y(most)),
    label("0", y(0)),
    label(`−${most.toFixed(2)}`, y(-most)),
    `<path class="axis" d="M${LEFT} ${y(0)}H${RIGHT}"/>`,
    `<path class="delta" d="${path}"/>`,
  ].join("\n");
}

function drawBits(bits: readonly number[]): string {
  const most = Math.max(...bits);
  const y = scale(0, most, BITS);
  const width = (RIGHT - LEFT) / bits.length;
  const bars = bits.map((each, block) => {
    const left = LEFT + block * width;
    const top = round(y(each));
    return [
      `<rect class="bits" x="${round(left + 3)}" y="${top}" width="${round(width - 6)}" height="${round(BITS.bottom - top)}" rx="2"/>`,
      `<text class="middle" x="${round(left + width / 2)}" y="${round(top - 5)}">${each}</text>`,
    ].join("\n");
  });
  return [title(BITS), ...bars, `<path class="axis" d="M${LEFT} ${BITS.bottom}H${RIGHT}"/>`].join(
    "\n",
  );
}

function title({ title: text, top }: Panel): string {
  return `<text class="title" x="${LEFT}" y="${top - 22}">${text}</text>`;
}

function label(text: string, y: number): string {
  return `<text class="end" x="${LEFT - 8}" y="${round(y + 4)}">${text}</text>`;
}

function x(index: number, count: number): number {
  return LEFT + (index / count) * (RIGHT - LEFT);
}

/** From a value to its height on the page. */
function scale(least: number, most: number, { top, bottom }: Panel): (value: number) => number {
  return (value) => bottom - ((value - least) / (most - least)) * (bottom - top);
}

function everyStep(values: readonly number[]): number[] {
  return values.filter((_, index) => index % STEP === 0);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function number(value: number): string {
  return value.toLocaleString("en-US");
}

function main(): void {
  const fresh = drawPicture();
  const path = join(ROOT, PICTURE);
  if (!process.argv.includes("--check")) {
    writeFileSync(path, fresh);
    console.log(`${PICTURE} is written`);
    return;
  }
  if (readFileSync(path, "utf8") !== fresh) {
    throw new Error(`${PICTURE} is stale: run \`npm run docs\``);
  }
  console.log(`${PICTURE} is current`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
