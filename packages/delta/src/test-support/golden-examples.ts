import { encode, encodeTable } from "../complete.ts";
import { diff } from "../diff.ts";
import type { Values } from "../values.ts";
import { EXAMPLES, NARROW_EXAMPLES } from "./series-examples.ts";

/** Enough for several blocks; a long series has several classes of blocks. */
const SHORT = 600;
const LONG = ["integers", "outliers", "grid", "runs"];

export type Golden = {
  /** `kind/name/back end`. */
  readonly name: string;
  /** What the file holds. */
  readonly make: () => unknown;
  /** Writes it as this version does; golden files were written so once. */
  readonly write: () => Uint8Array;
};

const OLD = Uint8Array.from("exact delta encoding, ".repeat(30), (c) => c.charCodeAt(0));
const NEW = Uint8Array.from([...OLD.subarray(0, 300), 1, 2, 3, ...OLD.subarray(290)]);

/** Every way of writing, with the content that must come back for ever. */
export function goldenExamples(): Golden[] {
  const series = Object.entries(EXAMPLES).flatMap(([name, example]) => {
    const make = (): Values => {
      const values = example();
      return LONG.includes(name) ? values : (values.slice(0, SHORT) as Values);
    };
    return (["fast", "small", "handoff"] as const).map((backend) => {
      const write = (): Uint8Array => encode(make(), { backend, compressor: "deflate" });
      return { name: `series/${name}/${backend}`, make, write };
    });
  });
  const columns = {
    price: Float64Array.of(100.5, 100.75),
    name: ["a", null],
    at: [new Date(0), null],
  };
  const metadata = { unit: "EUR" };
  return [
    ...series,
    {
      name: "table/prices/default",
      make: () => columns,
      write: () => encodeTable(columns, { metadata }),
    },
    { name: "patch/text/default", make: () => NEW, write: () => diff(OLD, NEW) },
    ...["cents", "singles", "unsignedPairs", "nullableNumbers", "nullableStrings"].map((name) => {
      const make = EXAMPLES[name] as () => Values;
      const chunkValues = Math.ceil(make().length / 3);
      const write = (): Uint8Array => encode(make(), { backend: "fast", chunkValues });
      return { name: `chunks/${name}/fast`, make, write };
    }),
    ...Object.entries(NARROW_EXAMPLES).map(([name, make]) => {
      const write = (): Uint8Array => encode(make(), { backend: "fast", chunkValues: 250 });
      return { name: `chunks/${name}/fast`, make, write };
    }),
  ];
}

/** The file that the golden patch is for. */
export const PATCHED: Uint8Array = OLD;
