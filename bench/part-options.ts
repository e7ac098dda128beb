/** The command line of a benchmark that has parts. */

import { parseArgs } from "node:util";

export type PartOptions<Part extends string> = {
  readonly json: boolean;
  readonly quick: boolean;
  /** The parts to run, in their order. */
  readonly parts: readonly Part[];
};

/** Throws a TypeError for what is none of its options, or of its parts; without `--only` all of them. */
export function partOptions<Part extends string>(
  args: readonly string[],
  all: readonly Part[],
): PartOptions<Part> {
  const options = {
    json: { type: "boolean" },
    quick: { type: "boolean" },
    only: { type: "string", multiple: true },
  } as const;
  const { values } = parseArgs({ args: [...args], options, strict: true });
  const { json = false, quick = false, only = all } = values;
  const wrong = only.find((part) => !all.some((each) => each === part));
  if (wrong !== undefined) throw new TypeError(`There is no part "${wrong}".`);
  return { json, quick, parts: all.filter((part) => only.includes(part)) };
}
