import { randomBytes } from "node:crypto";
import { CubbyError } from "@cubby/protocol";
import type { DiskCompletion, DiskTask } from "./core/disk.ts";
import { endOfDisk } from "./core/disk-end.ts";
import type { DirectoryIdentity, ExpectedIdentity } from "./core/identity.ts";
import { describeDamage } from "./core/journal-damage.ts";
import { format } from "./core/journal-format.ts";
import { type RecoverResult, recover } from "./core/journal-recovery.ts";
import { FileDisk } from "./file-disk.ts";

export type Recovered = Extract<RecoverResult, { kind: "recovered" }>;

export type FormatRequest = {
  readonly dataDir: string;
  readonly cellName: string;
  readonly replicaId: number;
  /** 32 hex digits; drawn at random if left out, which suits a cell's first replica alone. */
  readonly cellId?: string;
  readonly segmentBytes: number;
};

/** A directory that this process holds, with the disk that carries out what is asked of it. */
export class ReplicaDirectory {
  readonly path: string;
  readonly #disk: FileDisk;
  #onCompletion: (completion: DiskCompletion) => void = () => undefined;

  private constructor(path: string) {
    this.path = path;
    this.#disk = new FileDisk(path, (completion) => this.#onCompletion(completion));
  }

  /** Throws directory_in_use, directory_denied or not_formatted (when it is not there). */
  static open(path: string): ReplicaDirectory {
    return new ReplicaDirectory(path);
  }

  submit(requests: Parameters<FileDisk["submit"]>[0]): void {
    this.#disk.submit(requests);
  }

  onCompletion(handler: (completion: DiskCompletion) => void): void {
    this.#onCompletion = handler;
  }

  /** Carries a task's requests out, one round after the other. */
  run<T>(task: DiskTask<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let waitingFor: readonly number[] = [];
      let completions: DiskCompletion[] = [];
      const advance = (): void => {
        const inOrder = waitingFor.flatMap((id) => completions.filter((done) => done.id === id));
        completions = [];
        try {
          const step = task.next(inOrder);
          if (step.done) {
            resolve(step.value);
            return;
          }
          waitingFor = step.value.map((request) => request.id);
          this.#disk.submit(step.value);
        } catch (error) {
          reject(error);
        }
      };
      this.#onCompletion = (completion) => {
        completions.push(completion);
        if (completions.length === waitingFor.length) advance();
      };
      advance();
    });
  }

  close(): void {
    this.#disk.close();
  }
}

/** Makes a directory a replica's (`cubby init`). Throws already_formatted, directory_in_use, …. */
export async function formatDirectory(request: FormatRequest): Promise<DirectoryIdentity> {
  const directory = ReplicaDirectory.open(request.dataDir);
  try {
    const identity: DirectoryIdentity = {
      cellId: request.cellId ?? randomBytes(16).toString("hex"),
      cellName: request.cellName,
      replica: request.replicaId,
      incarnation: randomBytes(16).toString("hex"),
    };
    const result = await directory.run(format({ identity, segmentBytes: request.segmentBytes }));
    switch (result.kind) {
      case "formatted":
        return identity;
      case "alreadyFormatted":
        throw new CubbyError(
          "already_formatted",
          `${request.dataDir} is the directory of replica ${result.identity.replica} of cell ` +
            `${result.identity.cellName}. Use another directory, or remove this one by hand.`,
        );
      case "notEmpty":
        throw new CubbyError(
          "already_formatted",
          `${request.dataDir} holds ${result.file}, somebody's state. Use another directory.`,
        );
      case "failed":
        throw failure(result.failed);
    }
  } finally {
    directory.close();
  }
}

/** Opens and recovers a directory, or throws what is wrong with it, by name. */
export async function openDirectory(
  dataDir: string,
  expected: ExpectedIdentity,
): Promise<{ directory: ReplicaDirectory; recovered: Recovered }> {
  const directory = ReplicaDirectory.open(dataDir);
  try {
    const result = await directory.run(recover({ expected }));
    if (result.kind === "recovered") return { directory, recovered: result };
    throw refusal(dataDir, result);
  } catch (error) {
    directory.close();
    throw error;
  }
}

function refusal(dataDir: string, result: Exclude<RecoverResult, { kind: "recovered" }>) {
  switch (result.kind) {
    case "unformatted":
    case "partlyFormatted":
      return new CubbyError(
        "not_formatted",
        `${dataDir} is not formatted. Run \`cubby init --data ${dataDir}\`. If a replica lived ` +
          "here, its state is lost, and the cell must get a new member in its place.",
      );
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
      const [first] = result.damages;
      const what = first === undefined ? "unknown damage" : describeDamage(first);
      const more = result.damages.length > 1 ? ` (and ${result.damages.length - 1} more)` : "";
      return new CubbyError(
        "data_damaged",
        `${dataDir}: ${what}${more}. The replica does not start, since it may have promised or ` +
          "accepted what was lost here.",
      );
    }
    case "failed":
      return failure(result.failed);
  }
}

function failure(failed: Parameters<typeof endOfDisk>[0]): CubbyError {
  const { code, detail } = endOfDisk(failed);
  return new CubbyError(code, detail);
}
