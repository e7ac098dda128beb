import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";

/** The writing end of a pipe whose reader has gone; for the caller to close. */
export function brokenPipe(path: string): number {
  execFileSync("mkfifo", [path]);
  const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const write = openSync(path, constants.O_WRONLY);
  closeSync(read);
  return write;
}
