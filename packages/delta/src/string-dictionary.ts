import { DeltaError } from "./delta-error.ts";

/** A column of few different strings: each once, and for each place which of them. */
export type StringDictionary = {
  /** In the order in which they first appear. */
  readonly distinct: readonly string[];
  readonly indices: Int32Array;
};

/** Past this share of different strings a dictionary saves nothing worth its indices. */
const DISTINCT_PER_STRING_MAX = 1 / 2;

/** Undefined if more than half of the strings are different: then they are better coded as they are. */
export function splitStrings(strings: readonly string[]): StringDictionary | undefined {
  const most = Math.floor(strings.length * DISTINCT_PER_STRING_MAX);
  const places = new Map<string, number>();
  const indices = new Int32Array(strings.length);
  const distinct: string[] = [];
  for (let at = 0; at < strings.length; at += 1) {
    const text = strings[at] as string;
    let place = places.get(text);
    if (place === undefined) {
      if (distinct.length === most) return undefined;
      place = distinct.length;
      places.set(text, place);
      distinct.push(text);
    }
    indices[at] = place;
  }
  return { distinct, indices };
}

/** The strings that `splitStrings` was given; `corrupt` if an index points outside. */
export function joinStrings(dictionary: StringDictionary): string[] {
  const { distinct, indices } = dictionary;
  const strings: string[] = [];
  for (let at = 0; at < indices.length; at += 1) {
    const text = distinct[indices[at] as number];
    if (text === undefined) {
      throw new DeltaError("corrupt", `a string that is not among ${distinct.length}`, at);
    }
    strings.push(text);
  }
  return strings;
}
