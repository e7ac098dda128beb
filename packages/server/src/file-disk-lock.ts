/**
 * One process per directory (reliability §5 rule 16). The file `lock` says who holds it, and on which
 * socket beside it that process listens. It appears complete or not at all, and when the socket
 * listens: written aside, then linked, which fails if the name is taken.
 */

import { randomBytes } from "node:crypto";
import { linkSync, readdirSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  decodeHolder,
  describeSelf,
  encodeHolder,
  type Holder,
  type Judgement,
  judge,
  readIfThere,
} from "./lock-holder.ts";
import { askSocket, type LockSocket, listenInDirectory, type SocketAnswer } from "./lock-socket.ts";
import { isFull, platformCode } from "./platform-errors.ts";

export type LockResult =
  | { readonly kind: "locked"; release(): void }
  | Held
  /** A process died in the middle of taking over, which leaves a file for the operator to remove. */
  | { readonly kind: "stuck"; readonly file: string };

type Held = {
  readonly kind: "held";
  /** Its number where it runs: "elsewhere" and "unseen" are not of this PID namespace; 0 if "changing". */
  readonly pid: number;
  readonly where: Extract<Judgement, { kind: "held" }>["where"] | "changing";
  readonly file: string;
};

const LOCK_FILE = "lock";
const TAKEOVER_FILE = "lock.takeover";
/** What one process puts beside the lock; no two use the same, since all may be process 1. */
const OWN_FILE = /^lock\.[0-9a-f]{16}(\.sock)?$/;
const SOCKET_SUFFIX = ".sock";
const SPARE_FILE = "lock.spare";
/** A block, of most file systems. */
const SPARE_BYTES = 4_096;
/** From one's own files to the lock takes milliseconds: older ones are of a process that was killed. */
const OWN_FILE_MS_MAX = 60_000;

/** Of a lock that changes hands while it is looked at. */
const LOOKS_MAX = 5;
const UNSETTLED = { kind: "held", pid: 0, where: "changing" } as const;

type Claim = {
  readonly directory: string;
  readonly content: string;
  /** Holds the content, to be linked. */
  readonly aside: string;
  readonly socket: LockSocket | undefined;
};

/** Rejects with what the file system throws: EACCES, ENOENT, EROFS, … */
export async function lockDirectory(directory: string): Promise<LockResult> {
  const name = `${LOCK_FILE}.${randomBytes(8).toString("hex")}`;
  const socketName = `${name}${SOCKET_SUFFIX}`;
  const socket = await listenInDirectory(directory, socketName);
  const content = encodeHolder(describeSelf(socket === undefined ? undefined : socketName));
  const claim: Claim = { directory, content, aside: join(directory, name), socket };
  let result: LockResult | undefined;
  try {
    writeAside(claim);
    result = await take(claim);
  } finally {
    unlinkIfThere(claim.aside);
    if (result?.kind !== "locked") socket?.close();
  }
  if (result.kind === "locked") removeLeftovers(directory, socketName);
  return result;
}

/**
 * Keeps the room that the next lock needs, for when the disk is full: without a lock no recovery gives
 * back what it could. What cannot be kept does no harm.
 */
export function keepSpare(directory: string): void {
  const file = join(directory, SPARE_FILE);
  attempt(() => {
    if (statSync(file, { throwIfNoEntry: false })?.size === SPARE_BYTES) return;
    writeFileSync(file, new Uint8Array(SPARE_BYTES), { mode: 0o600 });
  });
}

function writeAside({ directory, aside, content }: Claim): void {
  try {
    writeFileSync(aside, content, { mode: 0o600 });
  } catch (error) {
    if (!isFull(platformCode(error))) throw error;
    unlinkIfThere(join(directory, SPARE_FILE));
    writeFileSync(aside, content, { mode: 0o600 });
  }
}

async function take(claim: Claim): Promise<LockResult> {
  const file = join(claim.directory, LOCK_FILE);
  if (tryLink(claim.aside, file)) return locked(claim, file);
  const found = await look(claim.directory, file);
  return found.kind === "held" ? found : takeOver(claim, file);
}

/** Two processes may both find a dead holder: only one of them may remove its lock. */
async function takeOver(claim: Claim, file: string): Promise<LockResult> {
  const { directory } = claim;
  const guard = join(directory, TAKEOVER_FILE);
  if (!tryLink(claim.aside, guard)) {
    const other = await look(directory, guard);
    if (other.kind === "absent") return { ...UNSETTLED, file };
    return other.kind === "held" ? other : { kind: "stuck", file: guard };
  }
  try {
    const found = await look(directory, file);
    if (found.kind === "held") return found;
    if (found.kind === "left") removeLock(directory, file);
    return tryLink(claim.aside, file) ? locked(claim, file) : { ...UNSETTLED, file };
  } finally {
    unlinkIfThere(guard);
  }
}

function locked(claim: Claim, file: string): LockResult {
  let isReleased = false;
  const release = () => {
    // A failed start gives it back twice: by then its descriptor may be another file's.
    if (isReleased) return;
    isReleased = true;
    // While a socket that is closed is named in the lock, its holder counts as gone: so this order.
    // What stays, as on a disk that may only be read by now, is taken over once this process has ended.
    attempt(() => {
      if (readIfThere(file) === claim.content) unlinkIfThere(file);
    });
    claim.socket?.close();
  };
  return { kind: "locked", release };
}

/**
 * "left" is by one who is gone for certain, and was still there after that was found out: only who
 * has the guard may remove it, so that it stays until then.
 */
async function look(
  directory: string,
  file: string,
): Promise<Held | { readonly kind: "absent" } | { readonly kind: "left" }> {
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    const content = readIfThere(file);
    if (content === undefined) return { kind: "absent" };
    const holder = decodeHolder(content);
    const judgement =
      holder === undefined ? undefined : judge(holder, await ask(directory, holder));
    // Released while it was looked at, and perhaps taken by another.
    if (readIfThere(file) !== content) continue;
    return judgement?.kind === "held" ? { ...judgement, file } : { kind: "left" };
  }
  return { ...UNSETTLED, file };
}

async function ask(directory: string, { socket }: Holder): Promise<SocketAnswer> {
  return isSocketName(socket) ? askSocket(directory, socket) : "missing";
}

/** With the socket that its holder left behind. */
function removeLock(directory: string, file: string): void {
  const socket = decodeHolder(readIfThere(file) ?? "")?.socket ?? "";
  if (isSocketName(socket)) unlinkIfThere(join(directory, socket));
  unlinkIfThere(file);
}

/** What is read from the file becomes a path. */
function isSocketName(name: string): boolean {
  return OWN_FILE.test(name) && name.endsWith(SOCKET_SUFFIX);
}

/** Of processes that were killed before they had the lock. What cannot be removed does no harm. */
function removeLeftovers(directory: string, mine: string): void {
  attempt(() => {
    for (const name of readdirSync(directory)) {
      if (!OWN_FILE.test(name) || name === mine) continue;
      const path = join(directory, name);
      if (Date.now() - statSync(path).mtimeMs > OWN_FILE_MS_MAX) unlinkSync(path);
    }
  });
}

/** What may as well be left undone, when the system refuses it. */
function attempt(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (platformCode(error) === "") throw error;
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (platformCode(error) === "EEXIST") return false;
    throw error;
  }
}

function unlinkIfThere(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if (platformCode(error) !== "ENOENT") throw error;
  }
}
