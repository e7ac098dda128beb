/** To every process of the group that `pid` leads. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group has ended: there is nobody to tell.
  }
}
