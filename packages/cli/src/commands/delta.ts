import { type Command, Option } from "commander";
import type { Context } from "../context.ts";
import { type BenchFileOptions, benchFile } from "../delta/bench-file.ts";
import { type DecodeFileOptions, decodeFile } from "../delta/decode-file.ts";
import { type EncodeFileOptions, encodeFile, type World } from "../delta/encode-file.ts";
import { type InspectFileOptions, inspectFile } from "../delta/inspect-file.ts";
import { diffFiles, type PatchFileOptions, patchFile } from "../delta/patch-file.ts";
import { processTerminal, type Terminal } from "../delta/terminal.ts";
import { TEXT_SOURCES } from "../delta/text-source.ts";
import { withExamples } from "../options.ts";
import type { OnExitCode } from "../program.ts";

/** `cubby delta`: files of numbers, and versions of files, as differences. */
export function addDeltaCommands(
  program: Command,
  context: Context,
  onExitCode: OnExitCode,
  terminal: Terminal = processTerminal(),
): void {
  const delta = program
    .command("delta")
    .description("columns of numbers, and versions of files, as exact differences")
    .helpCommand(false);
  const world: World = { context, terminal };
  const endWith = (exitCode: number | undefined): void => {
    if (exitCode !== undefined) onExitCode(exitCode);
  };
  addEncode(delta, world, endWith);
  addDecode(delta, world, endWith);
  addInspect(delta, world);
  addBench(delta, world);
  addDiff(delta, world, endWith);
  addPatch(delta, world, endWith);
}

type EndWith = (exitCode: number | undefined) => void;

function withOutput(command: Command): Command {
  return command
    .option("-o, --output <file>", "the file to make (default: standard output)")
    .option("--force", "write over a file that is there already")
    .option("--json", "print JSON");
}

/** How text is to be read, where it does not show. */
function withTextOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--from <kind>", "what the file is; else its name and its text tell").choices(
        TEXT_SOURCES,
      ),
    )
    .option("--raw <type>", "raw numbers, lowest byte first: f64, f32, i8, u8, i16, …, i64, u64")
    .option(
      "--delimiter <char>",
      "between the fields of CSV (default: tab in .tsv; else , ; or tab, as found)",
    )
    .option("--header", "the first line of CSV names the columns (default: as found)")
    .option("--no-header", "it does not")
    .option("--null <text>", "what stands in CSV for a missing value (default: nothing)");
}

function addEncode(delta: Command, world: World, endWith: EndWith): void {
  const command = delta
    .command("encode")
    .description("turn CSV, JSON lines or raw numbers into a file of deltas");
  command.argument("<file>", "what to encode; - for standard input");
  withOutput(withTextOptions(command))
    .option("--columns <names>", "only these, with commas between")
    .option(
      "--type <column=type>",
      "instead of what is found: f64, i32, …, number, bigint, date, boolean, string",
      collect,
    )
    .addOption(
      new Option("--backend <name>", "how deltas are written (default: as suits)").choices([
        "fast",
        "small",
        "handoff",
      ]),
    )
    .option("--exact", "fail if decoding would not give the same text to the byte")
    .action(async (file: string, options: EncodeFileOptions) => {
      endWith(await encodeFile(world, file, options));
    });
  withExamples(
    command,
    "cubby delta encode prices.csv -o prices.cdl",
    "cubby delta encode prices.csv -o prices.cdl --type volume=i64 --backend small --json",
    "cubby delta encode samples.bin --raw i16 -o samples.cdl",
  );
}

function addDecode(delta: Command, world: World, endWith: EndWith): void {
  const command = delta
    .command("decode")
    .description("turn a file of deltas into what it was made from");
  command.argument("<file>", "what to decode; - for standard input");
  withOutput(command)
    .addOption(
      new Option(
        "--format <kind>",
        "what to make (default: as the output's name says, or as it was)",
      ).choices([...TEXT_SOURCES, "raw"]),
    )
    .option("--columns <names>", "only these, with commas between")
    .action(async (file: string, options: DecodeFileOptions) => {
      endWith(await decodeFile(world, file, options));
    });
  withExamples(
    command,
    "cubby delta decode prices.cdl -o prices.csv",
    "cubby delta decode prices.cdl --columns time,price --format jsonl",
    "cubby delta decode prices.cdl --columns price --json",
  );
}

function addInspect(delta: Command, world: World): void {
  const command = delta.command("inspect").description("show how a file is encoded, and why so");
  command
    .argument("<file>", "a file of deltas; - for standard input")
    .option("--column <name>", "the chunks and plots of this column")
    .option("--json", "print JSON")
    .action(async (file: string, options: InspectFileOptions) => inspectFile(world, file, options));
  withExamples(
    command,
    "cubby delta inspect prices.cdl",
    "cubby delta inspect prices.cdl --column price --json",
  );
}

function addBench(delta: Command, world: World): void {
  const command = delta
    .command("bench")
    .description("compare with gzip, brotli, zstd and xz on a file of yours");
  command.argument("<file>", "CSV, JSON lines or raw numbers; - for standard input");
  withTextOptions(command)
    .option("--thorough", "with the levels that take long: brotli -q 11, zstd -19, xz -9")
    .option("--json", "print JSON")
    .action(async (file: string, options: BenchFileOptions) => benchFile(world, file, options));
  withExamples(
    command,
    "cubby delta bench prices.csv",
    "cubby delta bench samples.bin --raw i16 --thorough --json",
  );
}

function addDiff(delta: Command, world: World, endWith: EndWith): void {
  const command = delta
    .command("diff")
    .description("make a patch that leads from one version of a file to another");
  command
    .argument("<old>", "the version that the other side has")
    .argument("<new>", "the version that it wants");
  withOutput(command).action(async (before: string, after: string, options: PatchFileOptions) => {
    endWith(await diffFiles(world, [before, after], options));
  });
  withExamples(command, "cubby delta diff app-1.0.js app-1.1.js -o app.patch");
}

function addPatch(delta: Command, world: World, endWith: EndWith): void {
  const command = delta.command("patch").description("apply a patch to the old version of a file");
  command
    .argument("<old>", "the very version that the patch was made for")
    .argument("<patch>", "what diff made");
  withOutput(command).action(async (before: string, file: string, options: PatchFileOptions) => {
    endWith(await patchFile(world, [before, file], options));
  });
  withExamples(command, "cubby delta patch app-1.0.js app.patch -o app-1.1.js");
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
