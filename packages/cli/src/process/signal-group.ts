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
export class GroupWatch {
  readonly #group: number;
  /** One that was seen to run, by its id: to look at all processes takes long. */
  #seen: string | undefined;

  constructor(group: number) {
    this.#group = group;
  }

  isRunning(): boolean {
    try {
      process.kill(-this.#group, 0);
    } catch (error) {
      // EPERM: it is there, and another user's. On macOS also where all of it has ended.
      if (!isDenied(error) || process.platform !== "linux") return false;
    }
    if (this.#seen !== undefined && this.#stateOf(this.#seen) === "runs") return true;
    return this.#look();
  }

  /** True also where the system does not tell. */
  #look(): boolean {
    let hasEnded = false;
    for (const pid of processes()) {
      const state = this.#stateOf(pid);
      if (state === "runs") {
        this.#seen = pid;
        return true;
      }
      if (state === "ended") hasEnded = true;
    }
    return !hasEnded;
  }

  #stateOf(pid: string): "runs" | "ended" | "other" {
    const [state = "", , group] = statOf(pid);
    if (group !== String(this.#group)) return "other";
    return state === "Z" || state === "X" ? "ended" : "runs";
  }
}

function processes(): readonly string[] {
  try {
    return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
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
