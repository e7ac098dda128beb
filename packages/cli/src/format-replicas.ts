import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { CubbyError } from "@cubby/protocol";
import { formatDirectory } from "@cubby/server";

const CELL_FILE = "cell.json";

/** What was made in the directory of a local cell, and cannot be changed afterwards. */
type LocalCellFile = {
  readonly cellId: string;
  readonly cellName: string;
  readonly replicas: number;
};

/**
 * Formats the directories of a new local cell, all at once. On a cell made before it only checks
 * that the same cell is meant: a directory that was lost since is not quietly made anew, for its
 * replica may have promised what it would no longer know.
 */
export async function formatReplicas(request: {
  readonly directory: string;
  readonly cellName: string;
  readonly segmentBytes: number;
  readonly dataDirectories: readonly string[];
}): Promise<void> {
  const { directory, cellName, segmentBytes, dataDirectories } = request;
  const cellFile = join(directory, CELL_FILE);
  const replicas = dataDirectories.length;
  if (existsSync(cellFile)) {
    const made = readCellFile(cellFile);
    if (made.cellName === cellName && made.replicas === replicas) return;
    throw new CubbyError(
      "wrong_directory",
      `${directory} has a cell "${made.cellName}" of ${made.replicas} replicas, not "${cellName}" of ${replicas}. Remove it, or use another directory.`,
    );
  }
  const cellId = randomBytes(16).toString("hex");
  await Promise.all(
    dataDirectories.map(async (dataDir, index) => {
      await formatDirectory({ dataDir, cellName, cellId, segmentBytes, replicaId: index + 1 });
    }),
  );
  const made: LocalCellFile = { cellId, cellName, replicas };
  // Last: without it nothing has been made. And whole, or not there.
  writeFileSync(`${cellFile}.new`, `${JSON.stringify(made)}\n`);
  renameSync(`${cellFile}.new`, cellFile);
}

function readCellFile(path: string): LocalCellFile {
  const text = readFileSync(path, "utf8");
  try {
    const { cellId, cellName, replicas } = JSON.parse(text) as Partial<LocalCellFile>;
    if (cellId !== undefined && cellName !== undefined && replicas !== undefined) {
      return { cellId, cellName, replicas };
    }
  } catch {
    // Said below, like every other way in which it is not what was written.
  }
  const detail = `${path} does not tell any more which cell was made there. Remove ${dirname(path)} and with it what the cell holds, or use another directory.`;
  throw new CubbyError("config_invalid", detail);
}
