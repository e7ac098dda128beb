import { toBase64, utf8Decode, utf8Encode } from "@cubby/base";
import type { DirectoryChild, NodeStat } from "@cubby/client";
import { parseCellAddress } from "@cubby/client/core";
import { baseName, CubbyError, cellRoot, FILE_BYTES_MAX, parentOf } from "@cubby/protocol";
import type { Command } from "commander";
import type { CellSession } from "../cell-access.ts";
import type { Context } from "../context.ts";
import {
  type CellOptions,
  cellUrl,
  parseCount,
  printJson,
  withCellOptions,
  withExamples,
  withSession,
} from "../options.ts";
import { formatTable } from "../table.ts";
import { visible } from "../visible.ts";

/** `ls`, `cat`, `put`, `mkdir`, `rm`, `stat`. */
export function addFileCommands(program: Command, context: Context): void {
  addLs(program, context);
  addCat(program, context);
  addPut(program, context);
  addMkdir(program, context);
  addRm(program, context);
  addStat(program, context);
}

function addLs(program: Command, context: Context): void {
  const command = program.command("ls").description("list a directory");
  withCellOptions(command)
    .argument("[path]", "a directory, or a file to list alone (default: the cell's root)")
    .option("-l, --long", "with generations, size and lock")
    .action(async (path: string | undefined, options: CellOptions & { long?: boolean }) => {
      const children = await withSession(context, options, (session) =>
        list(session, path ?? rootOf(cellUrl(context, options))),
      );
      if (options.json === true) printJson(context, children);
      else context.writeOut(options.long === true ? longListing(children) : shortListing(children));
    });
  withExamples(command, "cubby ls /ls/local", "cubby ls -l /ls/local/web --json");
}

function rootOf(url: string): string {
  const { cellName } = parseCellAddress(url);
  if (cellName !== "") return cellRoot(cellName);
  const detail = `The address "${url}" does not name its cell. Write cubby://host:port/cell, or give a path.`;
  throw new CubbyError("invalid_argument", detail);
}

async function list(session: CellSession, path: string): Promise<readonly DirectoryChild[]> {
  const node = await session.open(path, {});
  const stat = await node.stat();
  return stat.kind === "directory" ? node.list() : [{ name: baseName(path), stat }];
}

function shortListing(children: readonly DirectoryChild[]): string {
  return children
    .map(({ name, stat }) => `${visible(name)}${stat.kind === "directory" ? "/" : ""}\n`)
    .join("");
}

function longListing(children: readonly DirectoryChild[]): string {
  const header = ["kind", "size", "instance", "content", "lock gen", "lock", "checksum", "name"];
  const rows = children.map(({ name, stat }) => [
    stat.ephemeral ? "ephemeral" : stat.kind,
    String(stat.kind === "directory" ? stat.childCount : stat.sizeBytes),
    String(stat.instance),
    String(stat.contentGeneration),
    String(stat.lockGeneration),
    lockText(stat),
    stat.checksum,
    name,
  ]);
  const rightAligned = ["size", "instance", "content", "lock gen"];
  return `${formatTable(header, rows, { rightAligned })}\n`;
}

function lockText(stat: NodeStat): string {
  if (stat.lockDelayed) return "delayed";
  return stat.lock === "shared" ? `shared by ${stat.lockHolders}` : stat.lock;
}

function addCat(program: Command, context: Context): void {
  const command = program.command("cat").description("write a file's contents to standard output");
  withCellOptions(command)
    .argument("<path>", "a file")
    .action(async (path: string, options: CellOptions) => {
      const { contents, stat } = await withSession(context, options, async (session) =>
        (await session.open(path, {})).read(),
      );
      if (options.json !== true) return context.writeOut(contents);
      printJson(context, { path, ...contentsAsJson(contents), stat });
    });
  withExamples(command, "cubby cat /ls/local/greeting");
}

/** Text where it is text; base64 where it is not. */
function contentsAsJson(contents: Uint8Array): { text: string } | { base64: string } {
  try {
    return { text: utf8Decode(contents) };
  } catch {
    return { base64: toBase64(contents) };
  }
}

function addPut(program: Command, context: Context): void {
  const command = program.command("put").description("write a whole file, creating it if need be");
  withCellOptions(command)
    .argument("<path>", "a file, made when missing")
    .argument("[value]", "the contents; standard input when left out or -")
    .option("--if-generation <n>", "write only over this content generation; never create")
    .action(
      async (
        path: string,
        value: string | undefined,
        options: CellOptions & { ifGeneration?: string },
      ) => {
        const ifGeneration =
          options.ifGeneration === undefined
            ? undefined
            : parseCount(options.ifGeneration, "--if-generation", 0, Number.MAX_SAFE_INTEGER);
        const contents =
          value === undefined || value === "-"
            ? await context.readInput(FILE_BYTES_MAX)
            : utf8Encode(value);
        assertFits(path, contents);
        const stat = await withSession(context, options, (session) =>
          put(session, path, contents, ifGeneration),
        );
        if (options.json === true) printJson(context, { path, stat });
        else context.writeOut(`${visible(path)}: content generation ${stat.contentGeneration}\n`);
      },
    );
  withExamples(
    command,
    "cubby put /ls/local/greeting hello",
    "cubby put /ls/local/config --if-generation 12 < config.json",
  );
}

async function put(
  session: CellSession,
  path: string,
  contents: Uint8Array,
  ifGeneration: number | undefined,
): Promise<NodeStat> {
  const request = { write: true, kind: "file" } as const;
  if (ifGeneration !== undefined) {
    const node = await session.open(path, { ...request, create: false });
    return node.write(contents, ifGeneration);
  }
  // Made with its contents: an empty file must not be left where they cannot be written.
  const node = await session.open(path, { ...request, create: true, contents });
  return node.created ? node.stat() : node.write(contents);
}

function assertFits(path: string, { length }: Uint8Array): void {
  if (length <= FILE_BYTES_MAX) return;
  const detail = `${path} would have more than ${FILE_BYTES_MAX} bytes.`;
  throw new CubbyError("file_too_large", detail);
}

function addMkdir(program: Command, context: Context): void {
  const command = program.command("mkdir").description("make a directory");
  withCellOptions(command)
    .argument("<path>", "the directory")
    .option("-p, --parents", "make missing parents too; an existing directory is fine")
    .action(async (path: string, options: CellOptions & { parents?: boolean }) => {
      const stat = await withSession(context, options, async (session) => {
        const paths = options.parents === true ? [...ancestorsOf(path), path] : [path];
        let made: NodeStat | undefined;
        for (const each of paths) {
          const mustCreate = options.parents !== true;
          const request = { write: true, create: true, mustCreate, kind: "directory" } as const;
          made = await (await session.open(each, request)).stat();
        }
        return made;
      });
      if (options.json === true) printJson(context, { path, stat });
    });
  withExamples(command, "cubby mkdir /ls/local/web", "cubby mkdir -p /ls/local/web/eu/leader");
}

/** Below the cell's root, outermost first. */
function ancestorsOf(path: string): string[] {
  const ancestors: string[] = [];
  for (let at = parentOf(path); at !== undefined && parentOf(at) !== undefined; at = parentOf(at)) {
    ancestors.unshift(at);
  }
  return ancestors;
}

function addRm(program: Command, context: Context): void {
  const command = program.command("rm").description("delete files and empty directories");
  withCellOptions(command)
    .argument("<path...>", "deleted in this order; the first that cannot be ends the command")
    .action(async (paths: readonly string[], options: CellOptions) => {
      await withSession(context, options, async (session) => {
        for (const path of paths) {
          const node = await session.open(path, { write: true });
          await node.delete();
          // A session has so many handles and no more, also of what is gone.
          await node.close();
        }
      });
      if (options.json === true) printJson(context, { deleted: paths });
    });
  withExamples(command, "cubby rm /ls/local/greeting");
}

function addStat(program: Command, context: Context): void {
  const command = program.command("stat").description("show a node's metadata");
  withCellOptions(command)
    .argument("<path>", "a file or directory")
    .action(async (path: string, options: CellOptions) => {
      const stat = await withSession(context, options, async (session) =>
        (await session.open(path, {})).stat(),
      );
      if (options.json === true) return printJson(context, { path, stat });
      context.writeOut(`${statText(path, stat)}\n`);
    });
  withExamples(command, "cubby stat /ls/local/web/leader");
}

function statText(path: string, stat: NodeStat): string {
  const size =
    stat.kind === "directory"
      ? count(stat.childCount, "child", "children")
      : count(stat.sizeBytes, "byte", "bytes");
  return [
    `${visible(path)}: ${stat.ephemeral ? "ephemeral " : ""}${stat.kind}, ${size}`,
    `  instance            ${stat.instance}`,
    `  content generation  ${stat.contentGeneration}`,
    `  lock generation     ${stat.lockGeneration}`,
    `  ACL generation      ${stat.aclGeneration}`,
    `  checksum            ${stat.checksum}`,
    `  lock                ${lockText(stat)}`,
  ].join("\n");
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}
