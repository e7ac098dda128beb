import { equalBytes, utf8Encode } from "@cubby/base";
import { CubbyError, type ErrorCode, type Outcome } from "@cubby/protocol";
import type { CellSession } from "../cell-access.ts";
import { monotonicMs } from "../process/monotonic.ts";
import type { Scene } from "./scene.ts";
import { LOCK_PATH } from "./stage.ts";

/** What callers met while the cell had no quorum. */
export type Outage = {
  readonly errors: readonly { readonly call: string; readonly code: ErrorCode }[];
  readonly codes: readonly ErrorCode[];
  /** How many errors said what of the call's effect. */
  readonly outcomes: Readonly<Record<Outcome, number>>;
  /** Errors that do not tell a caller where it stands. */
  readonly unclear: readonly string[];
  /** Answers that were not true. */
  readonly wrong: readonly string[];
  /** True answers, given while the master's lease still lasted. */
  readonly right: number;
  /** Answers, true or not, that came when no lease can have been live any more. */
  readonly succeededLate: number;
};

/** The errors that say plainly: the cell cannot decide anything now. */
const CLEAR: readonly ErrorCode[] = [
  "no_quorum",
  "deadline_exceeded",
  "unreachable",
  "connection_lost",
  "session_jeopardy",
];
const ROUNDS = 3;
const CALL_MS = 1_000;
/** Well beyond any master lease and its clock margin. */
const LEASE_OVER_MS = 1_500;
const KNOWN = utf8Encode("known before the outage");

/** Calls of every sort, by a client with a session and by one that has none yet. */
export async function probeOutage(scene: Scene): Promise<Outage> {
  const begunAtMs = monotonicMs();
  const log = new OutageLog(() => monotonicMs() - begunAtMs > LEASE_OVER_MS);
  const session = await scene.session();
  for (let round = 0; round < ROUNDS; round += 1) {
    await Promise.all([
      log.probe("write", () => write(session, `/ls/local/demo/outage-${round}`)),
      log.probe("lock", () => tryLock(session)),
      log.probe("read", async () => {
        const { contents } = await (await session.open(KNOWN_PATH, {})).read();
        return equalBytes(contents, KNOWN)
          ? undefined
          : "a file has other contents than were written";
      }),
      log.probe("connect", async () => {
        const fresh = await scene.cells.connect(scene.stage.cell.url, { timeoutMs: CALL_MS });
        await fresh.close();
        return undefined;
      }),
    ]);
  }
  return log.outage();
}

const KNOWN_PATH = "/ls/local/demo/known";

/** Made before the outage, so that there is something to read. */
export async function writeKnownFile(session: CellSession): Promise<void> {
  const node = await session.open(KNOWN_PATH, { write: true, create: true });
  await node.write(KNOWN);
  await node.close();
}

async function write(session: CellSession, path: string): Promise<undefined> {
  const node = await session.open(path, { write: true, create: true });
  await node.write(KNOWN);
  return undefined;
}

/** The leader has it: to be granted it would be wrong, whatever else may be. */
async function tryLock(session: CellSession): Promise<string | undefined> {
  const node = await session.open(LOCK_PATH, { write: true });
  try {
    const lock = await node.acquire({ mode: "exclusive", waitMs: 0 });
    await lock.release();
    return "the leader's lock was granted to another";
  } catch (error) {
    // That it is held is the truth, as long as the master may answer at all.
    if (error instanceof CubbyError && error.code === "lock_held") return undefined;
    throw error;
  }
}

class OutageLog {
  readonly #leaseIsOver: () => boolean;
  readonly #errors: { call: string; code: ErrorCode }[] = [];
  readonly #outcomes: Record<Outcome, number> = { "not-applied": 0, unknown: 0 };
  readonly #unclear: string[] = [];
  readonly #wrong: string[] = [];
  #right = 0;
  #succeededLate = 0;

  constructor(leaseIsOver: () => boolean) {
    this.#leaseIsOver = leaseIsOver;
  }

  /** `call` answers what was wrong with its answer, or undefined. */
  async probe(name: string, call: () => Promise<string | undefined>): Promise<void> {
    try {
      const wrong = await call();
      if (wrong !== undefined) this.#wrong.push(wrong);
      else this.#right += 1;
      if (this.#leaseIsOver()) this.#succeededLate += 1;
    } catch (error) {
      if (!(error instanceof CubbyError) || !CLEAR.includes(error.code)) {
        this.#unclear.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
        return;
      }
      this.#errors.push({ call: name, code: error.code });
      this.#outcomes[error.outcome] += 1;
    }
  }

  outage(): Outage {
    return {
      errors: this.#errors,
      codes: [...new Set(this.#errors.map(({ code }) => code))],
      outcomes: this.#outcomes,
      unclear: this.#unclear,
      wrong: this.#wrong,
      right: this.#right,
      succeededLate: this.#succeededLate,
    };
  }
}
