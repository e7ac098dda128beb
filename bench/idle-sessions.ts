/**
 * What sessions cost that do nothing but stay alive, at the master. Memory: growth of the resident
 * set (VmRSS) after full garbage collections, once every session's KeepAlive has been answered and is
 * held again. CPU: user and system time of the master's process over a window, less that of the same
 * cell before and after. Both are divided by the number of sessions that were added.
 */

import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { SESSION_LEASE_MS_DEFAULT } from "@cubby/protocol";
import type { LocalCell } from "cubby";
import { nextMessage, startProcess } from "./child-process.ts";
import type { Scope } from "./scope.ts";

/** Opened before anything is measured, so that code and buffers are there already. */
const WARM_SESSIONS = 200;
const CLOCK_TICKS_PER_SECOND = 100;
const GARBAGE_MS = 500;
const EXPIRED_AFTER_LEASES = 1.5;

export type IdleSessionFigures = {
  readonly sessions: number;
  readonly bytesPerSession: number;
  /** Of one core, for all of them together. */
  readonly cpuPercent: number;
  /** Of the cell without them, with its heartbeats and leases: what was taken off. */
  readonly emptyCpuPercent: number;
  readonly cpuMicrosPerSessionSecond: number;
  readonly masterRssBytes: number;
};

export type IdleSessionsPlan = {
  readonly counts: readonly number[];
  /** From the last session's opening to the first look. */
  readonly settleMs: number;
  readonly windowMs: number;
  /** Whether the empty cell's CPU is also measured at the end, once the sessions have expired. */
  readonly emptyAgain: boolean;
};

/** What replicas must be started with. */
export const IDLE_SESSIONS_NODE_OPTIONS = `--require ${JSON.stringify(
  fileURLToPath(new URL("collect-garbage.cjs", import.meta.url)),
)}`;

export async function measureIdleSessions(
  scope: Scope,
  cell: LocalCell,
  plan: IdleSessionsPlan,
): Promise<IdleSessionFigures[]> {
  const master = await cell.waitReady();
  const pid = cell.pid(master);
  if (pid === undefined) throw new Error("The master is not running.");
  const holder = startProcess(scope, "session-holder.ts", [cell.url]);
  const openUntil = async (total: number): Promise<void> => {
    holder.send(total);
    const { safe } = await nextMessage<{ safe: number }>(holder);
    if (safe !== total) throw new Error(`${safe} of ${total} sessions are safe.`);
  };
  const look = async (settleMs: number): Promise<Look> => {
    await delay(settleMs);
    return lookAt(pid, plan.windowMs);
  };
  await openUntil(WARM_SESSIONS);
  const before = await look(2_000);
  const looks: { sessions: number; look: Look }[] = [];
  for (const sessions of plan.counts) {
    scope.signal.throwIfAborted();
    await openUntil(WARM_SESSIONS + sessions);
    looks.push({ sessions, look: await look(plan.settleMs) });
    // Still all of them: sessions that were lost would be cheap.
    await openUntil(WARM_SESSIONS + sessions);
  }
  holder.disconnect();
  const expiredMs = SESSION_LEASE_MS_DEFAULT * EXPIRED_AFTER_LEASES;
  const after = plan.emptyAgain ? await look(expiredMs) : before;
  if ((await cell.master())?.replica !== master) throw new Error("The master changed.");
  const emptyPart = (before.cpuPart + after.cpuPart) / 2;
  return looks.map(({ sessions, look }) => {
    const cpuPart = look.cpuPart - emptyPart;
    return {
      sessions,
      bytesPerSession: (look.rssBytes - before.rssBytes) / sessions,
      cpuPercent: cpuPart * 100,
      emptyCpuPercent: emptyPart * 100,
      cpuMicrosPerSessionSecond: (cpuPart * 1_000_000) / sessions,
      masterRssBytes: look.rssBytes,
    };
  });
}

type Look = { readonly rssBytes: number; readonly cpuPart: number };

async function lookAt(pid: number, windowMs: number): Promise<Look> {
  const start = performance.now();
  const startSeconds = cpuSeconds(pid);
  await delay(windowMs);
  const cpuPart = (cpuSeconds(pid) - startSeconds) / ((performance.now() - start) / 1_000);
  process.kill(pid, "SIGUSR2");
  await delay(GARBAGE_MS);
  return { rssBytes: residentBytes(pid), cpuPart };
}

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // Field 2, the name, may hold anything; what follows its last parenthesis starts with field 3.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return ticks / CLOCK_TICKS_PER_SECOND;
}

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kib === undefined) throw new Error(`/proc/${pid}/status names no VmRSS.`);
  return Number(kib) * 1_024;
}
