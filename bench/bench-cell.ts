import { LocalCell } from "cubby";
import type { Scope } from "./scope.ts";

export const REPLICAS = 5;
/** Of a replica in use, and not of one in a demo. */
const SEGMENT_BYTES = 64 * 1024 * 1024;

/** A new cell of five; `nodeOptions` are for its processes alone. Ends with the scope. */
export async function startCell(
  scope: Scope,
  directory: string,
  nodeOptions = "",
): Promise<LocalCell> {
  const cell = await LocalCell.create({
    directory,
    replicas: REPLICAS,
    segmentBytes: SEGMENT_BYTES,
    settings: { logLevel: "warn" },
    onExit: (replica, exit, asked) => {
      if (!asked) scope.stop(`replica ${replica} ended with ${exit.code ?? exit.signal}`);
    },
  });
  scope.onEnd(() => cell.close());
  const before = process.env["NODE_OPTIONS"];
  // The replicas' processes take their environment from this one.
  process.env["NODE_OPTIONS"] = `${before ?? ""} ${nodeOptions}`.trim();
  try {
    await cell.startAll();
  } finally {
    if (before === undefined) delete process.env["NODE_OPTIONS"];
    else process.env["NODE_OPTIONS"] = before;
  }
  await cell.waitReady();
  return cell;
}
