import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { platformCode } from "./platform-errors.ts";

/**
 * With those above it that are missing, each durable in the one above it (reliability §5 rule 6). One that
 * was there is the business of who made it: what is above it may not even be readable.
 */
export function makeDirectory(path: string): void {
  for (const made of makeMissing(path).reverse()) syncDirectory(dirname(made));
}

/**
 * Those that it made, the highest first. Node's own recursive mkdir goes round for ever where the one above
 * is there and nothing can be made in it, as in /proc.
 */
function makeMissing(path: string): string[] {
  const above = dirname(path);
  const made = above === path || existsSync(above) ? [] : makeMissing(above);
  try {
    mkdirSync(path, { mode: 0o700 });
    made.push(path);
  } catch (error) {
    const isThere = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    if (platformCode(error) !== "EEXIST" || !isThere) throw error;
  }
  return made;
}

function syncDirectory(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
