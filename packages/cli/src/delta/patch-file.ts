import { diff, patch } from "@cubby/delta";
import { CubbyError } from "@cubby/protocol";
import { printJson } from "../options.ts";
import { visible } from "../visible.ts";
import { onFile } from "./delta-failure.ts";
import type { World } from "./encode-file.ts";
import { INPUT_BYTES_MAX, readInput, STANDARD } from "./input-file.ts";
import { Output } from "./output-file.ts";

export type PatchFileOptions = {
  readonly output?: string;
  readonly force?: boolean;
  readonly json?: boolean;
};

/** `cubby delta diff OLD NEW`: what leads from the old version to the new one. */
export async function diffFiles(
  world: World,
  [oldPath, newPath]: readonly [string, string],
  options: PatchFileOptions,
): Promise<number | undefined> {
  return make(world, [oldPath, newPath], options, (before, after) =>
    onFile(newPath, () => diff(before, after)),
  );
}

/** `cubby delta patch OLD PATCH`: the new version again. */
export async function patchFile(
  world: World,
  [oldPath, patchPath]: readonly [string, string],
  options: PatchFileOptions,
): Promise<number | undefined> {
  return make(world, [oldPath, patchPath], options, (before, delta) =>
    onFile(patchPath, () => patch(before, delta, { maxBytes: INPUT_BYTES_MAX })),
  );
}

async function make(
  { context, terminal }: World,
  paths: readonly [string, string],
  options: PatchFileOptions,
  work: (first: Uint8Array, second: Uint8Array) => Uint8Array,
): Promise<number | undefined> {
  const output = await Output.at(context, options.output ?? STANDARD, options.force === true);
  if (output.isStandard && (terminal.isOut || options.json === true)) {
    throw new CubbyError("invalid_argument", "Name the file to make: -o FILE.");
  }
  if (paths.every((path) => path === STANDARD)) {
    throw new CubbyError("invalid_argument", "Only one of the files can be standard input.");
  }
  const [first, second] = [await readInput(context, paths[0]), await readInput(context, paths[1])];
  const bytes = work(first, second);
  const written = await output.write([bytes]);
  if ("exitCode" in written) return written.exitCode;
  const report = {
    inputs: paths,
    output: output.path,
    inputBytes: [first.length, second.length],
    outputBytes: bytes.length,
  };
  if (options.json === true) printJson(context, report);
  else if (!output.isStandard) {
    context.writeOut(`${visible(output.path)}: ${bytes.length.toLocaleString("en-US")} bytes\n`);
  }
  return undefined;
}
