import { readdirSync, readFileSync } from "node:fs";

/** To every process of the group that `pid` leads. False if all of them are another user's, as under `sudo`. */
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal);
    return true;
  } catch (error) {
    // Else the group has ended: there is nobody to tell.
    return !isDenied(error) || process.platform !== "linux";
  }
}

function isDenied(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPERM";
}

/** Whether anything of the group still runs. What has ended, and what nobody reaps, does not. */
export function isGroupRunning(pid: number): boolean {
  try {
    process.kill(-pid, 0);
  } catch (error) {
    // EPERM: it is there, and another user's. On macOS also where all of it has ended.
    if (!isDenied(error) || process.platform !== "linux") return false;
  }
  const states = statesOfGroup(pid);
  return states.length === 0 || states.some((state) => state !== "Z" && state !== "X");
}

/** None where the system does not tell. */
function statesOfGroup(pid: number): readonly string[] {
  try {
    return readdirSync("/proc").flatMap((name) => {
      const [state = "", , group] = /^\d+$/.test(name) ? statOf(name) : [];
      return group === String(pid) ? [state] : [];
    });
  } catch {
    return [];
  }
}

/** State, parent, group, …: what stands behind the command, which may hold anything. */
function statOf(pid: string): readonly string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    // It has ended meanwhile.
    return [];
  }
}
