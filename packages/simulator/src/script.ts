import { EMPTY_BYTES, type Rng, utf8Encode } from "@cubby/base";
import type { Call, CallBody, SessionMachine } from "@cubby/client/core";
import { CreateMode, LockMode, NodeKind } from "@cubby/protocol";
import type { ClientProcess } from "./client-process.ts";
import type { Coverage } from "./coverage.ts";
import { type Plan, pick } from "./plan.ts";

/** What a script waits for next. */
export type Ask =
  | { readonly kind: "sleep"; readonly ms: number }
  | { readonly kind: "closeSession" }
  | CallAsk
  /** Makes the call, and goes on at once with it unsettled. */
  | { readonly kind: "start"; readonly ask: CallAsk }
  | { readonly kind: "settled"; readonly call: Call };

export type CallAsk = {
  readonly kind: "call";
  readonly body: CallBody;
  readonly guard: Uint8Array;
  readonly timeoutMs: number;
  readonly giveUpAfterMs: number | undefined;
  readonly about: About;
};

/** What a call is about, for those who check its answer. */
export type About = {
  readonly path: string;
  /** The node's instance as the handle has it; 0 where there is none yet. */
  readonly instance: number;
  /** Of the lock, where it is about a sequencer. */
  readonly generation?: number;
  readonly mode?: LockMode;
  /** Of the lock whose sequencer guards the call. */
  readonly guardedBy?: { readonly path: string; readonly generation: number };
};

/** An application as a coroutine: it asks, and goes on with the call, settled unless it only started it. */
export type Script = Generator<Ask, void, Call | undefined>;
export type ScriptStart = (process: ClientProcess, session: SessionMachine) => Script;

/** What scripts do beside calling the cell. */
export interface Stage {
  readonly plan: Plan;
  readonly coverage: Coverage;
  /** Scripts think so many times longer than planned. */
  readonly calm: number;
  /** A value that nobody writes twice. */
  uniqueText(): string;
  /** The script now believes that it holds a lock; the result says that it stops to. */
  onHolds(hold: Hold): () => void;
  /** Uses what the lock protects. */
  use(hold: Hold): void;
}

export type Hold = {
  readonly process: ClientProcess;
  readonly session: SessionMachine;
  readonly path: string;
  readonly instance: number;
  readonly mode: LockMode;
  readonly generation: number;
};

export type Opened = { readonly handle: Uint8Array; readonly about: About; generation: number };

/** Two of them are what plain objects have already (reliability P29). */
const FILES = ["f0", "__proto__", "constructor", "f3"];
const TIMEOUT_MS = 8_000;
/** As most programs wait for a lock: what went wrong on the way is not soon made good by a new call. */
export const PATIENT_MS = 600_000;
const FILE_BYTES_MAX = 300;
/** More than a write of the journal, and less than a segment or a message holds. */
const LONG_BYTES_MAX = 40_000;

/** `readsOfTen`: of ten uses of the file, how many read it. */
export function fileScript(stage: Stage, rng: Rng, readsOfTen = 5): ScriptStart {
  return () => {
    const path = `/ls/local/${FILES[rng.below(stage.plan.paths)] ?? "f"}`;
    return useAgainAndAgain(path, {}, function* (file) {
      yield { kind: "sleep", ms: think(stage, rng) };
      return yield* useFile(stage, rng, file, readsOfTen);
    });
  };
}

/** Opens it anew whenever a use says, by false, that the handle serves no more. */
export function* useAgainAndAgain(
  path: string,
  habits: OpenHabits,
  use: (opened: Opened) => Generator<Ask, boolean, Call | undefined>,
): Script {
  for (;;) {
    const opened = yield* open(path, habits);
    if (opened === undefined) yield { kind: "sleep", ms: 50 };
    else while (yield* use(opened));
  }
}

/** False when the handle serves no more. */
function* useFile(
  stage: Stage,
  rng: Rng,
  file: Opened,
  readsOfTen: number,
): Generator<Ask, boolean, Call | undefined> {
  const { handle, about } = file;
  const choice = file.generation === 0 ? 0 : rng.below(10);
  let call: Call | undefined;
  if (file.generation > 0 && rng.chance(0.05)) {
    call = yield ask({ $case: "getStat", value: { handle } }, about);
  } else if (choice < readsOfTen) {
    call = yield ask({ $case: "getContentsAndStat", value: { handle } }, about);
    const { result } = call ?? {};
    if (result?.$case === "getContentsAndStat") {
      file.generation = result.value.stat?.contentGeneration ?? 0;
    }
  } else {
    const isLong = rng.chance(stage.plan.longWriteRate);
    const contents = padded(
      stage.uniqueText(),
      rng.below(isLong ? LONG_BYTES_MAX : FILE_BYTES_MAX),
    );
    const hasIfGeneration = rng.below(10) < 6;
    const ifGeneration = hasIfGeneration ? file.generation : 0;
    const value = { handle, contents, hasIfGeneration, ifGeneration };
    call = yield ask({ $case: "setContents", value }, about);
    if (call?.result?.$case === "setContents") {
      file.generation = call.result.value.contentGeneration;
    }
  }
  if (call?.failure?.code === "generation_mismatch") file.generation = 0;
  return isServed(call);
}

/** False when the handle that it was made with serves no more. */
export function isServed(call: Call | undefined): boolean {
  return call?.failure?.code !== "stale_handle";
}

export type LockHabits = {
  readonly path: string;
  readonly holdMs: number;
  readonly lockDelayMs: number;
  /** Of ten acquisitions, how many are shared. */
  readonly sharedOfTen: number;
  readonly waitsOfTen: number;
  readonly givesUpOfTen: number;
};

export function lockScript(stage: Stage, rng: Rng, habits: LockHabits): ScriptStart {
  return (process, session) => {
    const past = { sequencer: EMPTY_BYTES };
    return useAgainAndAgain(habits.path, { lockDelayMs: habits.lockDelayMs }, function* (lock) {
      yield { kind: "sleep", ms: think(stage, rng) };
      return yield* lockOnce(stage, rng, habits, { process, session, lock, past });
    });
  };
}

type Locker = {
  readonly process: ClientProcess;
  readonly session: SessionMachine;
  readonly lock: Opened;
  /** What it held last: stale, most likely, when it guards a call. */
  readonly past: { sequencer: Uint8Array };
};

function* lockOnce(
  stage: Stage,
  rng: Rng,
  habits: LockHabits,
  { process, session, lock, past }: Locker,
): Generator<Ask, boolean, Call | undefined> {
  const { handle, about } = lock;
  const mode = rng.below(10) < habits.sharedOfTen ? LockMode.SHARED : LockMode.EXCLUSIVE;
  const wait = rng.below(10) < habits.waitsOfTen;
  const giveUpAfterMs = rng.below(10) < habits.givesUpOfTen ? rng.below(400) : undefined;
  const timeoutMs = rng.chance(0.3) ? PATIENT_MS : TIMEOUT_MS;
  const value = { handle, mode, wait };
  const guard = rng.chance(0.05) ? past.sequencer : EMPTY_BYTES;
  const call = yield ask({ $case: "acquire", value }, about, { guard, giveUpAfterMs, timeoutMs });
  if (call?.result?.$case !== "acquire") return isServed(call);
  const { sequencer, lockGeneration: generation } = call.result.value;
  const stale = past.sequencer;
  past.sequencer = sequencer;
  const hold: Hold = { process, session, ...about, mode, generation };
  const letGo = stage.onHolds(hold);
  const uses = rng.between(1, 3);
  for (let i = 0; i < uses; i += 1) {
    yield { kind: "sleep", ms: (habits.holdMs * (50 + rng.below(100))) / 100 / uses };
    stage.use(hold);
    if (rng.chance(0.2)) yield* askAboutSequencer(sequencer, mode, { ...about, generation });
    const guardedBy = { path: about.path, generation };
    if (rng.chance(0.2)) yield* writeGuarded(stage, sequencer, guardedBy);
    if (rng.chance(0.1)) yield ask({ $case: "getStat", value: { handle } }, about);
    const token = { ...about, generation, mode };
    if (rng.chance(0.1)) yield ask({ $case: "getSequencer", value: { handle } }, token);
  }
  letGo();
  const isClosed = rng.chance(0.2);
  const body: CallBody = isClosed
    ? { $case: "close", value: { handle } }
    : { $case: "release", value: { handle } };
  // API-2: no guard keeps a handle open.
  yield ask(body, about, isClosed ? { guard: stale } : {});
  if (rng.chance(0.2)) yield* askAboutSequencer(sequencer, mode, { ...about, generation });
  return !isClosed;
}

function* askAboutSequencer(
  sequencer: Uint8Array,
  mode: LockMode,
  about: About,
): Generator<Ask, void, Call | undefined> {
  yield ask({ $case: "checkSequencer", value: { sequencer, mode, name: about.path } }, about);
}

/** SEQ-7: a write that counts only while the lock is held. */
function* writeGuarded(
  stage: Stage,
  guard: Uint8Array,
  guardedBy: NonNullable<About["guardedBy"]>,
): Generator<Ask, void, Call | undefined> {
  const file = yield* open("/ls/local/guarded", {});
  if (file === undefined) return;
  const contents = utf8Encode(stage.uniqueText());
  const value = { handle: file.handle, contents, hasIfGeneration: false, ifGeneration: 0 };
  yield ask({ $case: "setContents", value }, { ...file.about, guardedBy }, { guard });
}

/** Deletes a node that others lock and write, and makes it anew. */
export function recreateScript(stage: Stage, rng: Rng, path: string): ScriptStart {
  return function* (): Script {
    for (;;) {
      yield { kind: "sleep", ms: 10 * think(stage, rng) };
      const node = yield* open(path, {});
      if (node === undefined) continue;
      yield ask({ $case: "delete", value: { handle: node.handle } }, node.about);
      yield { kind: "sleep", ms: think(stage, rng) };
    }
  };
}

const CREATES = [
  ...new Array<CreateMode>(4).fill(CreateMode.IF_ABSENT),
  CreateMode.MUST_CREATE,
  CreateMode.NEVER,
] as const;

/** A node that lives while it is open (NS-5), and goes with its session; some are locked. */
export function ephemeralScript(stage: Stage, rng: Rng): ScriptStart {
  const lockRng = rng.fork("locks");
  const isLocked = lockRng.chance(0.3);
  const lockDelayMs = isLocked ? 400 : 0;
  return function* (process): Script {
    for (;;) {
      const path = `/ls/local/e-${process.name}-${rng.below(3)}`;
      const create = pick(rng, CREATES);
      const contents = rng.chance(0.5) ? utf8Encode(stage.uniqueText()) : EMPTY_BYTES;
      const node = yield* open(path, { ephemeral: true, create, contents, lockDelayMs });
      if (node !== undefined && rng.chance(0.5)) {
        yield ask({ $case: "getStat", value: { handle: node.handle } }, node.about);
      }
      if (node !== undefined && isLocked) {
        const mode = lockRng.chance(0.3) ? LockMode.SHARED : LockMode.EXCLUSIVE;
        const value = { handle: node.handle, mode, wait: lockRng.chance(0.5) };
        yield ask({ $case: "acquire", value }, node.about);
      }
      yield { kind: "sleep", ms: 8 * think(stage, rng) };
      if (node !== undefined && isLocked && lockRng.chance(0.3)) {
        yield ask({ $case: "release", value: { handle: node.handle } }, node.about);
      }
      if (node === undefined || rng.chance(0.3)) continue;
      yield ask({ $case: "close", value: { handle: node.handle } }, node.about);
    }
  };
}

/** U1: ends its session on purpose now and then; the process opens the next. */
export function churnScript(stage: Stage, rng: Rng): ScriptStart {
  return function* (): Script {
    yield { kind: "sleep", ms: 20 * think(stage, rng) + rng.below(3_000) };
    yield { kind: "closeSession" };
  };
}

type OpenHabits = {
  readonly lockDelayMs?: number;
  readonly ephemeral?: boolean;
  readonly create?: CreateMode;
  readonly contents?: Uint8Array;
  readonly kind?: NodeKind;
  /** Handle of the node's directory, which makes the name a relative one. */
  readonly directory?: Uint8Array | undefined;
};

export function* open(
  path: string,
  habits: OpenHabits,
): Generator<Ask, Opened | undefined, Call | undefined> {
  const { lockDelayMs = 0, ephemeral = false, create = CreateMode.IF_ABSENT } = habits;
  const { contents = EMPTY_BYTES, kind = NodeKind.FILE, directory } = habits;
  const value = {
    name: directory === undefined ? path : path.slice(path.lastIndexOf("/") + 1),
    directory: directory ?? EMPTY_BYTES,
    read: true,
    write: true,
    changeAcl: false,
    create,
    kind,
    ephemeral,
    initialContents: contents,
    lockDelayMs,
    hasLockDelay: true,
  };
  const call = yield ask({ $case: "open", value }, { path, instance: 0 });
  if (call?.result?.$case !== "open") return undefined;
  const { handle, stat } = call.result.value;
  const { instance = 0, contentGeneration = 0 } = stat ?? {};
  return { handle, about: { path, instance }, generation: contentGeneration };
}

export function ask(
  body: CallBody,
  about: About,
  options: Partial<Pick<CallAsk, "guard" | "timeoutMs" | "giveUpAfterMs">> = {},
): CallAsk {
  const { guard = EMPTY_BYTES, timeoutMs = TIMEOUT_MS, giveUpAfterMs } = options;
  return { kind: "call", body, guard, timeoutMs, giveUpAfterMs, about };
}

export function think(stage: Stage, rng: Rng): number {
  return (stage.plan.thinkMs * stage.calm * (1 + rng.below(200))) / 100;
}

export function padded(text: string, extra: number): Uint8Array {
  return utf8Encode(text + "x".repeat(extra));
}

/** How this seed's clients spend their time. */
export function drawHabits(rng: Rng, plan: Plan): LockHabits {
  return {
    path: `/ls/local/l${rng.below(plan.paths)}`,
    holdMs: pick(rng, [2, 20, 200, 1_500]),
    lockDelayMs: pick(rng, [0, 400, 2_000]),
    sharedOfTen: pick(rng, [0, 0, 2, 6]),
    waitsOfTen: pick(rng, [3, 8, 10]),
    givesUpOfTen: pick(rng, [0, 2, 5]),
  };
}
