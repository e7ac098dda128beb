import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import {
  CubbyError,
  compareSequencers,
  decodeSequencer,
  LockMode,
  type SequencerToken,
  sequencerFromText,
} from "@cubby/protocol";

/** One finished background task, as a leader hands it in. */
export type JobResult = {
  /** Jobs are numbered from 1, and done in that order. */
  readonly job: number;
  readonly worker: string;
  /** The sequencer of the lock under which the work was done, as text. */
  readonly sequencer: string;
};

export type Answer =
  | { readonly kind: "stored"; readonly job: number; readonly lockGeneration: number }
  /** A repeat of what is stored already, for instance because the first answer was lost. */
  | { readonly kind: "alreadyStored"; readonly job: number; readonly lockGeneration: number }
  | { readonly kind: "refused"; readonly reason: string; readonly lockGeneration: number };

export type JobStoreState = {
  readonly nextJob: number;
  /** Generation of the greatest sequencer ever seen; 0 before the first. */
  readonly greatestGeneration: number;
  readonly lastWorker: string;
  readonly refused: number;
};

/**
 * The resource that the lock protects. It never talks to the cell: it keeps the greatest sequencer
 * it has seen, on disk, and refuses a smaller one (SEQ-4, the second way). That is enough to stop a
 * leader that was paused, lost its lock meanwhile, and does not know it.
 *
 * All file calls are synchronous on purpose: one result at a time, nothing between check and write.
 */
export class JobStore {
  readonly #directory: string;
  readonly #lockPath: string;
  readonly #checksSequencers: boolean;
  readonly #jobsFile: number;
  readonly #jobs: JobResult[];
  #greatest: SequencerToken | undefined;
  #refused = 0;
  /** Of the file of jobs, what is whole and on the disk. */
  #durableBytes: number;

  /** `checksSequencers: false` is the sabotage that shows what the check is for. */
  constructor(options: {
    readonly directory: string;
    readonly lockPath: string;
    readonly checksSequencers?: boolean;
  }) {
    this.#directory = options.directory;
    this.#lockPath = options.lockPath;
    this.#checksSequencers = options.checksSequencers ?? true;
    mkdirSync(this.#directory, { recursive: true });
    this.#greatest = this.#readGreatest();
    this.#jobsFile = openSync(join(this.#directory, "jobs.jsonl"), "a+");
    this.#jobs = this.#readJobs();
    this.#durableBytes = fstatSync(this.#jobsFile).size;
  }

  state(): JobStoreState {
    return {
      nextJob: this.#jobs.length + 1,
      greatestGeneration: this.#greatest?.lockGeneration ?? 0,
      lastWorker: this.#jobs.at(-1)?.worker ?? "",
      refused: this.#refused,
    };
  }

  /** The jobs in order. */
  jobs(): readonly JobResult[] {
    return this.#jobs;
  }

  /** Stores a result durably, or refuses it. Throws `CubbyError` for what is no proper request. */
  store(result: JobResult): Answer {
    const token = decodeSequencer(sequencerFromText(result.sequencer));
    const { lockGeneration } = token;
    const problem = this.#checksSequencers ? this.#problem(token) : undefined;
    if (problem !== undefined) {
      this.#refused += 1;
      return { kind: "refused", reason: problem, lockGeneration };
    }
    if (this.#greatest === undefined || compareSequencers(token, this.#greatest) > 0) {
      // Safety: durable before the first result under it is accepted. If a crash could take it
      // back, an older holder would be let in again (SEQ-5).
      this.#writeGreatest(result.sequencer);
      this.#greatest = token;
    }
    const { job } = result;
    if (job <= this.#jobs.length) return { kind: "alreadyStored", job, lockGeneration };
    if (job !== this.#jobs.length + 1) {
      throw new CubbyError("invalid_argument", `The next job is ${this.#jobs.length + 1}.`);
    }
    this.#append(`${JSON.stringify(result)}\n`);
    this.#jobs.push(result);
    return { kind: "stored", job, lockGeneration };
  }

  /** Whole and durable, or not at all: a disk that is nearly full takes a part, which has to go first. */
  #append(line: string): void {
    const { size } = fstatSync(this.#jobsFile);
    if (size !== this.#durableBytes) ftruncateSync(this.#jobsFile, this.#durableBytes);
    writeFileSync(this.#jobsFile, line);
    fdatasyncSync(this.#jobsFile);
    this.#durableBytes += Buffer.byteLength(line);
  }

  close(): void {
    closeSync(this.#jobsFile);
  }

  /** SEQ-3: right lock, right mode, and no later holder seen. */
  #problem(token: SequencerToken): string | undefined {
    if (token.name !== this.#lockPath) return `The sequencer is for ${token.name}.`;
    if (token.mode !== LockMode.EXCLUSIVE) return "The lock must be held exclusively.";
    if (this.#greatest !== undefined && compareSequencers(token, this.#greatest) < 0) {
      return `Generation ${token.lockGeneration} is stale: generation ${this.#greatest.lockGeneration} was seen.`;
    }
    return undefined;
  }

  #readGreatest(): SequencerToken | undefined {
    let text: string;
    try {
      text = readFileSync(join(this.#directory, "greatest-sequencer"), "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    }
    return decodeSequencer(sequencerFromText(text.trim()));
  }

  /** Written aside and renamed, so that a crash leaves the old one or the new one. */
  #writeGreatest(sequencer: string): void {
    const path = join(this.#directory, "greatest-sequencer");
    writeFileSync(`${path}.new`, `${sequencer}\n`, { flush: true });
    renameSync(`${path}.new`, path);
    const directory = openSync(this.#directory, "r");
    fsyncSync(directory);
    closeSync(directory);
  }

  /** A last line without an end was never acknowledged: cut off, so that the next one is whole. */
  #readJobs(): JobResult[] {
    const text = readFileSync(this.#jobsFile, "utf8");
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    if (whole.length < text.length) ftruncateSync(this.#jobsFile, Buffer.byteLength(whole));
    return whole
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as JobResult);
  }
}
