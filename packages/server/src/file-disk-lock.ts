/**
 * One process per directory (reliability §5 rule 16). The file `lock` names its holder by process
 * id, start time and boot, so that a number used again by another process is not taken for it.
 * It appears complete or not at all: written aside, then linked, which fails if the name is taken.
 */

import { linkSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export type LockResult =
  | { readonly kind: "locked"; release(): void }
  | { readonly kind: "held"; readonly pid: number; readonly file: string }
  /** A process died in the middle of taking over, which leaves a file for the operator to remove. */
  | { readonly kind: "stuck"; readonly file: string };

const LOCK_FILE = "lock";
const TAKEOVER_FILE = "lock.takeover";

/** Throws what the file system throws: EACCES, ENOENT, EROFS, … */
export function lockDirectory(directory: string): LockResult {
  const file = join(directory, LOCK_FILE);
  const mine = describeProcess(process.pid) ?? `${process.pid} unknown unknown`;
  const aside = join(directory, `${LOCK_FILE}.${process.pid}`);
  writeFileSync(aside, mine, { mode: 0o600 });
  try {
    if (tryLink(aside, file)) return locked(file, mine);
    const holder = aliveHolder(file);
    if (holder !== undefined) return { kind: "held", pid: holder, file };
    return takeOver(directory, aside, mine);
  } finally {
    unlinkSync(aside);
  }
}

/** Two processes may both find a dead holder: only one of them may remove its lock. */
function takeOver(directory: string, aside: string, mine: string): LockResult {
  const file = join(directory, LOCK_FILE);
  const guard = join(directory, TAKEOVER_FILE);
  if (!tryLink(aside, guard)) {
    const pid = aliveHolder(guard);
    return pid === undefined ? { kind: "stuck", file: guard } : { kind: "held", pid, file };
  }
  try {
    const holder = aliveHolder(file);
    if (holder !== undefined) return { kind: "held", pid: holder, file };
    unlinkIfThere(file);
    if (tryLink(aside, file)) return locked(file, mine);
    return { kind: "held", pid: aliveHolder(file) ?? 0, file };
  } finally {
    unlinkSync(guard);
  }
}

function locked(file: string, mine: string): LockResult {
  const release = () => {
    if (readIfThere(file) === mine) unlinkIfThere(file);
  };
  return { kind: "locked", release };
}

/** The holder's process id, if the very process that took the lock is still there. */
function aliveHolder(file: string): number | undefined {
  const content = readIfThere(file);
  if (content === undefined) return undefined;
  const pid = Number(content.split(" ")[0]);
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  const now = describeProcess(pid);
  // Without /proc only the number can be asked for.
  if (now === undefined) return hasProc() ? undefined : signalable(pid);
  return now === content ? pid : undefined;
}

/** Process id, start time in ticks since boot, and the boot; undefined if there is none (or no /proc). */
function describeProcess(pid: number): string | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  const boot = readIfThere("/proc/sys/kernel/random/boot_id");
  if (stat === undefined || boot === undefined) return undefined;
  // The second field is the command in parentheses and may hold anything, even parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  if (state === "Z" || state === "X") return undefined;
  return `${pid} ${fields[19]} ${boot.trim()}`;
}

function hasProc(): boolean {
  return readIfThere("/proc/self/stat") !== undefined;
}

function signalable(pid: number): number | undefined {
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    return codeOf(error) === "EPERM" ? pid : undefined;
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    // ESRCH: the process ended between opening and reading its entry in /proc.
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ESRCH") return undefined;
    throw error;
  }
}

function unlinkIfThere(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
