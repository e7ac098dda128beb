/** Who holds a directory: what a process writes of itself, and whether another may take its place. */

import { readFileSync, readlinkSync } from "node:fs";
import type { SocketAnswer } from "./lock-socket.ts";
import { platformCode } from "./platform-errors.ts";

/** "-" stands for what this system does not tell. */
export type Holder = {
  readonly pid: number;
  /** In ticks since the boot, so that a number used again is not taken for its first owner. */
  readonly startedAt: string;
  readonly boot: string;
  /** The PID namespace: in another one, as in another container, the number means another process. */
  readonly namespace: string;
  /** The file of its socket. */
  readonly socket: string;
};

export type Judgement =
  | { readonly kind: "gone" }
  /**
   * "unseen": it may be there, but nothing that can be looked at from here would show it; "numbered": some
   * process has its number, and that is all that this system tells.
   */
  | {
      readonly kind: "held";
      readonly pid: number;
      readonly where: "here" | "elsewhere" | "unseen" | "numbered";
    };

const UNKNOWN = "-";
const GONE: Judgement = { kind: "gone" };

export function describeSelf(socket: string | undefined): Holder {
  return {
    pid: process.pid,
    startedAt: startOf(process.pid) ?? UNKNOWN,
    boot: bootId(),
    namespace: pidNamespace(),
    socket: socket ?? UNKNOWN,
  };
}

export function encodeHolder(holder: Holder): string {
  const { pid, startedAt, boot, namespace, socket } = holder;
  return [pid, startedAt, boot, namespace, socket].join(" ");
}

/** Undefined of what is none: a power loss may leave the file and not its content. */
export function decodeHolder(content: string): Holder | undefined {
  const [number, startedAt, boot, namespace = UNKNOWN, socket = UNKNOWN] = content.split(" ");
  const pid = Number(number);
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  if (startedAt === undefined || boot === undefined) return undefined;
  return { pid, startedAt, boot, namespace, socket };
}

/**
 * In doubt it is held: the operator can remove a file, but nobody can undo two writers. Beyond the
 * kernel, to another machine or to a sandbox with a kernel of its own, nothing here can look: what
 * another boot has left counts as gone, or no replica would come back from a power loss by itself.
 */
export function judge(holder: Holder, answer: SocketAnswer): Judgement {
  const { pid } = holder;
  const boot = bootId();
  const isSameNamespace =
    holder.boot === boot && holder.namespace !== UNKNOWN && holder.namespace === pidNamespace();
  const areBootsKnown = holder.boot !== UNKNOWN && boot !== UNKNOWN;
  // Where there is no /proc there are no namespaces either, and the number alone can be asked for.
  const isNumberAll = process.platform !== "linux" && !areBootsKnown;
  if (answer === "listens") {
    return { kind: "held", pid, where: isSameNamespace || isNumberAll ? "here" : "elsewhere" };
  }
  if (isSameNamespace) {
    return startOf(pid) === holder.startedAt ? { kind: "held", pid, where: "here" } : GONE;
  }
  if (areBootsKnown && (holder.boot !== boot || answer === "refuses")) return GONE;
  // A socket that refuses is no sign: there it does so also when the queue of a stopped holder is full.
  if (isNumberAll) return isSignalable(pid) ? { kind: "held", pid, where: "numbered" } : GONE;
  return { kind: "held", pid, where: "unseen" };
}

function startOf(pid: number): string | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The second field is the command in parentheses and may hold anything, even parentheses.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  return state === "Z" || state === "X" ? undefined : fields[19];
}

function bootId(): string {
  return readIfThere("/proc/sys/kernel/random/boot_id")?.trim() ?? UNKNOWN;
}

function pidNamespace(): string {
  try {
    // A /proc of another namespace numbers this process otherwise, and so all that are asked for.
    if (readlinkSync("/proc/self") !== String(process.pid)) return UNKNOWN;
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return UNKNOWN;
  }
}

function isSignalable(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return platformCode(error) === "EPERM";
  }
}

export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    // ESRCH: the process ended between opening and reading its entry in /proc.
    if (platformCode(error) === "ENOENT" || platformCode(error) === "ESRCH") return undefined;
    throw error;
  }
}
