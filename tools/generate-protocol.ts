/**
 * Generates the TypeScript of the wire schema: `npm run generate`. With `--check` it writes nothing
 * and fails when the committed file is not what the schema gives.
 *
 * protoc comes from the system (Debian: protobuf-compiler), its plugin ts-proto from node_modules.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PROTO_DIRECTORY = join(ROOT, "packages/protocol/proto");
const GENERATED_FILE = join(ROOT, "packages/protocol/src/generated/cubby.ts");
const PLUGIN = join(ROOT, "node_modules/.bin/protoc-gen-ts_proto");

const OPTIONS = [
  // The versions of protoc and of the plugin would make the file differ from machine to machine.
  "annotateFilesWithVersion=false",
  // `enum` is not erasable.
  "enumsAsLiterals=true",
  "esModuleInterop=true",
  "exportCommonSymbols=false",
  "forceLong=number",
  "importSuffix=.ts",
  "oneof=unions-value",
  "outputServices=none",
  "unrecognizedEnum=false",
  "useExactTypes=false",
];

/** A part of what ts-proto writes that a pure package cannot keep, and what stands for it. */
type Replacement = {
  readonly what: string;
  readonly pattern: RegExp;
  readonly by: string;
};

const REPLACEMENTS: readonly Replacement[] = [
  {
    what: "the import of the wire runtime",
    pattern: /^import \{ BinaryReader, BinaryWriter \} from .*;$/m,
    by: `import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { fromBase64 as bytesFromBase64, toBase64 as base64FromBytes } from "@cubby/base";`,
  },
  {
    what: "the base64 decoder over Buffer and atob",
    pattern: /^function bytesFromBase64\(.*?^\}\n\n/ms,
    by: "",
  },
  {
    what: "the base64 encoder over Buffer and btoa",
    pattern: /^function base64FromBytes\(.*?^\}\n\n/ms,
    by: "",
  },
  {
    what: "the conversion of 64-bit integers by way of text",
    pattern: /globalThis\.Number\(int64\.toString\(\)\)/,
    by: "globalThis.Number(int64)",
  },
];

/** Runs protoc on the schema and makes the result fit for a pure package. */
export function generateProtocol(): string {
  assertProtoc();
  const directory = mkdtempSync(join(tmpdir(), "cubby-generate-"));
  try {
    const result = spawnSync(
      "protoc",
      [
        `--plugin=protoc-gen-ts_proto=${PLUGIN}`,
        `--ts_proto_out=${directory}`,
        `--ts_proto_opt=${OPTIONS.join(",")}`,
        `--proto_path=${PROTO_DIRECTORY}`,
        "cubby.proto",
      ],
      { encoding: "utf8" },
    );
    if (result.status !== 0) throw new Error(`protoc refused the schema:\n${result.stderr}`);
    return adapt(readFileSync(join(directory, "cubby.ts"), "utf8"));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Each replacement must match exactly once: a new ts-proto may write something else. */
export function adapt(generated: string): string {
  let text = generated;
  for (const { what, pattern, by } of REPLACEMENTS) {
    const count = [...text.matchAll(new RegExp(pattern, `${pattern.flags}g`))].length;
    if (count !== 1) {
      throw new Error(
        `${what}: expected once in what ts-proto wrote, found ${count} times. ` +
          "Look at its output and bring REPLACEMENTS in tools/generate-protocol.ts up to date.",
      );
    }
    text = text.replace(pattern, () => by);
  }
  return text;
}

function assertProtoc(): void {
  if (spawnSync("protoc", ["--version"]).status === 0) return;
  throw new Error("protoc is missing. On Debian: apt-get install -y protobuf-compiler");
}

function main(): void {
  const fresh = generateProtocol();
  if (!process.argv.includes("--check")) {
    writeFileSync(GENERATED_FILE, fresh);
    console.log("packages/protocol/src/generated/cubby.ts is written");
    return;
  }
  if (readFileSync(GENERATED_FILE, "utf8") !== fresh) {
    throw new Error("packages/protocol/src/generated/cubby.ts is stale: run `npm run generate`");
  }
  console.log("packages/protocol/src/generated/cubby.ts is current");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
