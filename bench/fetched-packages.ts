/**
 * How packages get into a folder that git ignores. Data are pinned: figures are comparable only over the
 * same bytes.
 */

import { type ExecFileSyncOptions, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SOURCES = fileURLToPath(new URL("../.cubby/sources", import.meta.url));

/** The unpacked folder of a published npm package; nothing of it is run. */
export function npmPackage(name: string, version: string): string {
  const folder = join(SOURCES, `${name}-${version}`);
  if (!existsSync(join(folder, "package"))) {
    mkdirSync(folder, { recursive: true });
    run("npm", ["pack", `${name}@${version}`, "--silent", "--ignore-scripts"], folder);
    run("tar", ["xzf", `${name}-${version}.tgz`], folder);
  }
  return join(folder, "package");
}

/**
 * The unpacked folder of a Debian package, which is not installed. Without a version, of the newest
 * there was when it was fetched: servers are measured as Debian has them.
 */
export function debianPackage(name: string, version?: string): string {
  const folder = join(SOURCES, version === undefined ? name : `${name}-${version}`);
  const unpacked = join(folder, "unpacked");
  if (!existsSync(unpacked)) {
    mkdirSync(folder, { recursive: true });
    downloadDebian(name, version, folder);
    const file = readdirSync(folder).find((entry) => entry.endsWith(".deb"));
    if (file === undefined) throw new Error(`apt-get brought no file for ${name} ${version ?? ""}`);
    run("dpkg-deb", ["-x", file, unpacked], folder);
  }
  return unpacked;
}

let isUpdated = false;

function downloadDebian(name: string, version: string | undefined, folder: string): void {
  const wanted = version === undefined ? name : `${name}=${version}`;
  try {
    run("apt-get", ["download", "-qq", wanted], folder);
  } catch (error) {
    if (isUpdated) throw error;
    // A fresh machine has no list of packages yet.
    isUpdated = true;
    run("apt-get", ["update", "-qq"], folder);
    run("apt-get", ["download", "-qq", wanted], folder);
  }
}

/** The folder of an npm package below `folder`, into which it is put with what it needs. */
export function installedPackage(folder: string, name: string, version: string): string {
  const installed = join(folder, "node_modules", name);
  if (versionOf(installed) !== version) {
    mkdirSync(folder, { recursive: true });
    const options = ["--no-audit", "--no-fund", "--ignore-scripts", "--save-exact"];
    run("npm", ["install", "--prefix", folder, ...options, `${name}@${version}`], folder);
  }
  return installed;
}

function versionOf(folder: string): string | undefined {
  const file = join(folder, "package.json");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).version : undefined;
}

export function installedProgram(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(":");
  return folders.map((folder) => join(folder, name)).find((each) => existsSync(each));
}

/** What the program writes to its standard output. */
export function run(
  program: string,
  args: readonly string[],
  cwd: string,
  options: ExecFileSyncOptions = {},
): Uint8Array {
  const output = execFileSync(program, args, {
    cwd,
    maxBuffer: 1 << 30,
    stdio: ["pipe", "pipe", "pipe"],
    ...options,
  });
  return typeof output === "string" ? new TextEncoder().encode(output) : output;
}
