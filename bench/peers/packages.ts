/**
 * The programs and clients that Cubby is measured next to. None is a dependency: Debian's packages
 * are unpacked and not installed, so that no service starts, and pinned npm packages go into a folder
 * that git ignores, on first use.
 */

import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { debianPackage, installedPackage, installedProgram } from "../fetched-packages.ts";

const NPM_FOLDER = fileURLToPath(new URL("../../.cubby/peers", import.meta.url));

export const NPM_VERSIONS = {
  antietcd: "1.3.1",
  etcd3: "1.1.2",
  ioredis: "5.11.1",
  "node-zookeeper-client": "1.1.3",
  redlock: "4.2.0",
} as const;

type NpmPackage = keyof typeof NPM_VERSIONS;

/** The folder of an npm package, which is fetched when it is not there. */
export function npmFolder(name: NpmPackage): string {
  return installedPackage(NPM_FOLDER, name, NPM_VERSIONS[name]);
}

/** What a CommonJS package exports. Its types are not installed: the caller says what it uses of it. */
export function load<T>(name: NpmPackage): T {
  npmFolder(name);
  return createRequire(join(NPM_FOLDER, "package.json"))(name) as T;
}

/** Where Debian puts what its packages have, all of them together. */
export type Unpacked = {
  /** For `java -cp`. */
  readonly classPath: string;
  /** For `LD_LIBRARY_PATH`. */
  readonly libraryPath: string;
};

export function debianFolders(names: readonly string[]): Unpacked {
  const roots = names.map((name) => debianPackage(name));
  const libraries = roots.flatMap((root) => {
    const folder = join(root, "usr/lib");
    if (!existsSync(folder)) return [];
    const triplets = readdirSync(folder).filter((entry) => entry.endsWith("-linux-gnu"));
    return triplets.map((entry) => join(folder, entry));
  });
  return {
    classPath: roots.map((root) => join(root, "usr/share/java/*")).join(":"),
    libraryPath: libraries.join(":"),
  };
}

/** The program of this name that was installed, or else that of the Debian package. */
export function program(name: string, debianName: string): string {
  const path = installedProgram(name) ?? join(debianPackage(debianName), "usr/bin", name);
  if (!existsSync(path)) throw new Error(`Debian's ${debianName} has no program ${name}.`);
  return path;
}
