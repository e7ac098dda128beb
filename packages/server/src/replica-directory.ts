import { randomBytes } from "node:crypto";
import { CubbyError } from "@cubby/protocol";
import { type SettingName, settingOf } from "./config.ts";
import { endOfDisk } from "./core/disk-end.ts";
import type { DirectoryIdentity, ExpectedIdentity } from "./core/identity.ts";
import { describeDamage } from "./core/journal-damage.ts";
import { format } from "./core/journal-format.ts";
import { type RecoverResult, recover } from "./core/journal-recovery.ts";
import type { FailedOperation } from "./core/journal-task.ts";
import type { Recovered } from "./core/replica-start.ts";
import { driveOnDirectory } from "./file-disk-drive.ts";
import { keepSpare, type LockResult, lockDirectory } from "./file-disk-lock.ts";
import { makeDirectory } from "./make-directory.ts";
import { directoryError, isDenied, platformCode } from "./platform-errors.ts";

/** Of a directory that is refused: the first may follow from the others, so they are named too. */
const DAMAGES_SHOWN = 4;

export type FormatRequest = {
  readonly dataDir: string;
  readonly cellName: string;
  readonly replicaId: number;
  /** 32 hex digits; drawn at random if left out, which suits a cell's first replica alone. */
  readonly cellId?: string;
  readonly segmentBytes: number;
};

type DirectoryLock = Extract<LockResult, { kind: "locked" }>;

/** A directory that this process holds, and what was found in it, all of it whole and durable. */
export type OpenDirectory = { readonly recovered: Recovered; readonly lock: DirectoryLock };

/** Makes a directory a replica's (`cubby init`). Throws already_formatted, directory_in_use, …. */
export async function formatDirectory(request: FormatRequest): Promise<DirectoryIdentity> {
  const { dataDir } = request;
  checkSetting("cellName", request.cellName);
  checkSetting("replicaId", request.replicaId);
  try {
    makeDirectory(dataDir);
  } catch (error) {
    throw directoryError(dataDir, error);
  }
  const lock = await lockOrThrow(dataDir);
  try {
    const identity: DirectoryIdentity = {
      cellId: request.cellId ?? randomBytes(16).toString("hex"),
      cellName: request.cellName,
      replica: request.replicaId,
      incarnation: randomBytes(16).toString("hex"),
    };
    const task = format({ identity, segmentBytes: request.segmentBytes });
    const result = await driveOnDirectory(dataDir, task);
    switch (result.kind) {
      case "formatted":
        return identity;
      case "alreadyFormatted":
        throw new CubbyError(
          "already_formatted",
          `${dataDir} is the directory of replica ${result.identity.replica} of cell ` +
            `${result.identity.cellName}. Use another directory, or remove this one by hand.`,
        );
      case "notEmpty":
        throw new CubbyError(
          "already_formatted",
          `${dataDir} holds ${result.file}, somebody's state. Use another directory.`,
        );
      case "failed":
        throw failure(dataDir, result.failed);
    }
  } finally {
    lock.release();
  }
}

/** What is written into the directory for good must be what `serve` can be told. */
function checkSetting(name: SettingName, value: unknown): void {
  const parsed = settingOf(name).kind.parse(value);
  if (parsed.ok) return;
  const detail = `${name} is ${JSON.stringify(value)}, but must be ${parsed.wanted}.`;
  throw new CubbyError("config_invalid", detail);
}

/** Locks and recovers a directory, or throws what is wrong with it, by name. */
export async function openDirectory(
  dataDir: string,
  expected: ExpectedIdentity,
): Promise<OpenDirectory> {
  const lock = await lockOrThrow(dataDir);
  try {
    const result = await driveOnDirectory(dataDir, recover({ expected }));
    if (result.kind !== "recovered") throw refusal(dataDir, result);
    keepSpare(dataDir);
    return { lock, recovered: result };
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function lockOrThrow(dataDir: string): Promise<DirectoryLock> {
  let result: LockResult;
  try {
    result = await lockDirectory(dataDir);
  } catch (error) {
    // A directory that is not there has not been formatted either.
    if (platformCode(error) === "ENOENT") throw notFormatted(dataDir);
    throw directoryError(dataDir, error);
  }
  switch (result.kind) {
    case "locked":
      return result;
    case "held":
      throw new CubbyError("directory_in_use", `${dataDir} ${describeHolder(result)}`);
    case "stuck":
      throw new CubbyError(
        "directory_in_use",
        `A process died while it took ${dataDir} over. Make sure that none uses it, then remove ` +
          `${result.file}.`,
      );
  }
}

function describeHolder({ pid, where, file }: Extract<LockResult, { kind: "held" }>): string {
  switch (where) {
    case "here":
      return `is in use by process ${pid} (${file}). Stop it first.`;
    case "elsewhere":
      return `is in use by process ${pid} of another container or PID namespace (${file}). Stop it first.`;
    case "changing":
      return `is being taken by another process (${file}). Stop it first.`;
    case "numbered":
      return (
        `may be in use by process ${pid}, which has the number of its last holder. Stop it, or, if it ` +
        `is no replica, remove ${file}.`
      );
    case "unseen":
      return (
        `may be in use by process ${pid} of another container or PID namespace, which cannot be ` +
        `seen from here. Make sure that no replica runs on it, then remove ${file}.`
      );
  }
}

function notFormatted(dataDir: string): CubbyError {
  return new CubbyError(
    "not_formatted",
    `${dataDir} is not formatted. For a new replica run \`cubby init --data ${dataDir}\`. If one ` +
      "lived here, see that its disk is mounted. If it is lost, do not format it again: the cell " +
      "would refuse it, and runs on with the others.",
  );
}

function refusal(
  dataDir: string,
  result: Exclude<RecoverResult, { kind: "recovered" }>,
): CubbyError {
  switch (result.kind) {
    case "unformatted":
    case "partlyFormatted":
      return notFormatted(dataDir);
    case "mismatch": {
      const { what, expected, found } = result.mismatch;
      return new CubbyError(
        "wrong_directory",
        `${dataDir} has ${what} ${found}, but ${expected} was asked for.`,
      );
    }
    case "otherVersion":
      return new CubbyError(
        "unsupported",
        `${dataDir}/${result.file} has format version ${result.version}, which this version of ` +
          "Cubby cannot read.",
      );
    case "damaged": {
      const { damages } = result;
      const what = damages.slice(0, DAMAGES_SHOWN).map(describeDamage).join("; ");
      const left = damages.length - DAMAGES_SHOWN;
      const more = left > 0 ? ` (and ${left} more)` : "";
      return new CubbyError(
        "data_damaged",
        `${dataDir}: ${what}${more}. The replica does not start, since it may have promised or ` +
          "accepted what was lost here.",
      );
    }
    case "failed":
      return failure(dataDir, result.failed);
  }
}

/** Before a replica runs, a file that it may not open is no sign of a broken disk: nothing was written. */
function failure(dataDir: string, failed: FailedOperation): CubbyError {
  const { operation, file, error } = failed;
  if (isDenied(error.code)) {
    return new CubbyError(
      "directory_denied",
      `${operation} of ${file} in ${dataDir} failed: ${error.message}. Give the directory and all ` +
        "files in it to the user that runs the replica, and see that they may be written.",
    );
  }
  const { code, detail } = endOfDisk(failed);
  return new CubbyError(code, detail);
}
