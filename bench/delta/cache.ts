/** The folder of the data that `npm run bench -- delta` is about, fetched and made, which git ignores. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { debianPackage, installedProgram } from "../fetched-packages.ts";

export const DATA_FOLDER = fileURLToPath(new URL("../../.cubby/delta-data", import.meta.url));

const UNINSTALLED: ReadonlyMap<string, string> = new Map([["bsdiff", "4.3-23"]]);

/** The program of this name, installed or else from its Debian package; undefined without both. */
export function programPath(name: string): string | undefined {
  const path = installedProgram(name);
  const version = UNINSTALLED.get(name);
  if (path !== undefined || version === undefined) return path;
  try {
    return join(debianPackage(name, version), "usr/bin", name);
  } catch {
    return undefined;
  }
}
