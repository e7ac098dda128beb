import { unreachable } from "@cubby/base";
import type { WorkerReport } from "./worker-report.ts";

export type Words = { readonly what: string; readonly why: string };

/** What a web server's report means, in words; undefined for everyday news. */
export function wordsFor(report: WorkerReport): Words | undefined {
  const { worker } = report;
  switch (report.kind) {
    case "started":
    case "working":
    case "stored":
      return undefined;
    case "waiting":
      return undefined;
    case "leading":
      return {
        what: `${worker} has the lock and leads, with sequencer generation ${report.generation}.`,
        why: "The generation rises with each new holder. It goes along with every job, so that the job store can tell an old leader from the new one.",
      };
    case "refused":
      return {
        what: `The job store REFUSES ${worker}: ${report.reason}`,
        why: `${worker} was not running when it lost the lock, so it went on where it had stopped. The store has seen a greater sequencer and lets nothing older in.`,
      };
    case "steppedDown":
      return { what: `${worker} steps down.`, why: report.why };
    case "jeopardy":
      return {
        what: `${worker} is in jeopardy: its session's lease ran out and was not renewed.`,
        why: "The cell has no master now, or this process itself was asleep. A leader holds its work: for 45 seconds the session may still be saved.",
      };
    case "safe":
      return {
        what: `${worker} is safe again.`,
        why: "The master, perhaps a new one, knows its session and its locks from the log.",
      };
    case "expired":
      return { what: `${worker}'s session has expired; it opens another.`, why: report.why };
    default:
      return unreachable(report);
  }
}

export function wordsForKill(target: "master" | "leader", name: string, facts: Facts): Words {
  switch (target) {
    case "master":
      return {
        what: `${name}, the master, is killed (-9).`,
        why: "The others may not promise their votes to another until its lease is over, well under a second. Then one of them is elected, reads sessions and locks from the log, and goes on.",
      };
    case "leader":
      return {
        what: `${name}, the leader, is killed (-9).`,
        why: `Nobody else may lead until its session has run out (${seconds(facts.sessionLeaseMs)} at most) and the lock-delay is over (${seconds(facts.lockDelayMs)}): what it sent last may still be on its way.`,
      };
    default:
      return unreachable(target);
  }
}

export type Facts = { readonly sessionLeaseMs: number; readonly lockDelayMs: number };

export function wordsForPause(name: string): Words {
  return {
    what: `${name}, the leader, is paused (SIGSTOP). p lets it go on.`,
    why: "It cannot renew its session, and cannot notice it either. Wait until another leads, then let it go on: it will try to write.",
  };
}

export function wordsForResume(name: string): Words {
  return {
    what: `${name} goes on (SIGCONT), in the middle of what it did.`,
    why: "If its session has expired meanwhile, its next write shows a stale sequencer.",
  };
}

export function wordsForMaster(
  master: number | undefined,
  ballot: string,
  replicasUp: number,
): Words {
  if (master !== undefined) {
    return {
      what: `Replica ${master} is master, by ballot ${ballot}.`,
      why: `A quorum, three of five, promised to follow it; ${replicasUp} of five are up.`,
    };
  }
  return {
    what: "The cell has no master.",
    why:
      replicasUp >= 3
        ? "The old master's lease must end before another may be elected."
        : `${replicasUp} of five are no quorum: nothing can be decided, and nothing is. r restarts the dead.`,
  };
}

function seconds(ms: number): string {
  return `${ms / 1_000} s`;
}
