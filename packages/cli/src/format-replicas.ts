import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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
 * Formats the directories of a new local cell. On a cell made before it only checks that the same
 * cell is meant: a directory that was lost since is not quietly made anew, for its replica may have
 * promised what it would no longer know.
 */
export async function formatReplicas(request: {
  readonly directory: string;
  readonly cellName: string;
  readonly segmentBytes: number;
  readonly dataDirectories: readonly string[];
}): Promise<void> {
  const { directory, cellName, segmentBytes, dataDirectories } = request;
  const cellFile = join(directory, CELL_FILE);
  const beginning = `${cellFile}.new`;
  const replicas = dataDirectories.length;
  const isMeant = (cell: LocalCellFile): boolean =>
    cell.cellName === cellName && cell.replicas === replicas;
  const refuseOther = (cell: LocalCellFile): void => {
    if (isMeant(cell)) return;
    throw new CubbyError(
      "wrong_directory",
      `${directory} has a cell "${cell.cellName}" of ${cell.replicas} replicas, not "${cellName}" of ${replicas}. Remove it, or use another directory.`,
    );
  };
  const made = readCellFile(cellFile);
  if (made === "torn") {
    const detail = `${cellFile} does not tell any more which cell was made there. ${wayOut(directory)}`;
    throw new CubbyError("config_invalid", detail);
  }
  if (made !== undefined) return refuseOther(made);
  // Killed, or out of disk, before all were formatted: none of them has run yet.
  const left = readCellFile(beginning);
  const before = left === "torn" ? undefined : left;
  // A record that was begun for a name that no cell may have, and nothing else, is no cell.
  const isThere = dataDirectories.some((each) => existsSync(each));
  if (before !== undefined && isThere) refuseOther(before);
  const begun = before !== undefined && isMeant(before) ? before : undefined;
  const cell = begun ?? { cellId: randomBytes(16).toString("hex"), cellName, replicas };
  if (begun === undefined) writeFileSync(beginning, `${JSON.stringify(cell)}\n`);
  const { cellId } = cell;
  const results = await Promise.allSettled(
    dataDirectories.map(async (dataDir, index) => {
      await formatDirectory({ dataDir, cellName, cellId, segmentBytes, replicaId: index + 1 });
    }),
  );
  // Told when none is under way any more, so that the caller may try again.
  const errors = results.flatMap((each): unknown[] =>
    each.status === "rejected" ? [each.reason] : [],
  );
  const formattedBefore = errors.find(isAlreadyFormatted);
  if (begun === undefined && formattedBefore !== undefined) {
    // The record must not tell of replicas that were there before it.
    rmSync(beginning, { force: true });
    const detail = `${directory} has replicas, and no ${CELL_FILE} that tells of which cell. ${wayOut(directory)}`;
    throw new CubbyError("already_formatted", detail, { cause: formattedBefore });
  }
  for (const error of errors) if (!isAlreadyFormatted(error)) throw error;
  // Last: without it no replica has been started. And whole, or not there.
  // Another process that went on with the same cell may have been first.
  if (!existsSync(cellFile)) renameSync(beginning, cellFile);
}

function isAlreadyFormatted(error: unknown): boolean {
  return error instanceof CubbyError && error.code === "already_formatted";
}

function wayOut(directory: string): string {
  return `Remove ${directory} and with it what the cell holds, or use another directory.`;
}

function readCellFile(path: string): LocalCellFile | "torn" | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, "utf8");
  try {
    const { cellId, cellName, replicas } = JSON.parse(text) as Partial<LocalCellFile>;
    if (cellId !== undefined && cellName !== undefined && replicas !== undefined) {
      return { cellId, cellName, replicas };
    }
  } catch {
    // Said by the caller, like every other way in which it is not what was written.
  }
  return "torn";
}
