import { type CubbySession, connect, type Handle } from "@cubby/client";
import { parseCellAddress } from "@cubby/client/core";
import { CubbyError } from "@cubby/protocol";
import { askReplicas } from "./ask-replica.ts";
import type { AcquireRequest, CellAccess, CellSession, HeldLock, OpenNode } from "./cell-access.ts";

/** How long a cell may take to show that it is there. */
const ASK_MS = 1_000;

/** Cells as the client package reaches them. */
export const clientCells: CellAccess = {
  connect: async (url, options) => {
    const session = await connect(url, {
      connectTimeoutMs: options.timeoutMs,
      requestTimeoutMs: options.timeoutMs,
      ...(options.leaseMs === undefined ? {} : { leaseMs: options.leaseMs }),
      ...(options.signal && { signal: options.signal }),
    });
    return new ClientSession(session);
  },
  statuses: (url, { timeoutMs }) => askReplicas(parseCellAddress(url).endpoints, timeoutMs),
};

class ClientSession implements CellSession {
  readonly #session: CubbySession;

  constructor(session: CubbySession) {
    this.#session = session;
  }

  get over(): boolean {
    return this.#session.state === "expired" || this.#session.state === "closed";
  }

  get jeopardyMs(): number | undefined {
    return this.#session.jeopardyMs;
  }

  open: CellSession["open"] = async (path, request) => {
    const { create, mustCreate, kind, lockDelayMs, contents, write, signal } = request;
    const handle = await this.#session.open(path, {
      write: write ?? false,
      create: mustCreate === true ? "must" : (create ?? false),
      ...(kind === undefined ? {} : { directory: kind === "directory" }),
      ...(lockDelayMs === undefined ? {} : { lockDelay: lockDelayMs }),
      ...(contents === undefined ? {} : { contents }),
      ...(signal && { signal }),
    });
    return new ClientNode(handle);
  };

  elect: CellSession["elect"] = (path, { value, lockDelayMs, signal }, lead) =>
    this.#session.elect(
      path,
      { value, signal, ...(lockDelayMs === undefined ? {} : { lockDelay: lockDelayMs }) },
      ({ lock, signal }) =>
        lead({
          sequencerText: lock.sequencerText,
          lockGeneration: lock.lockGeneration,
          signal,
          assertHeld: () => lock.assertHeld(),
        }),
    );

  onState: CellSession["onState"] = (listener) => this.#session.onState(listener);

  checkSequencer: CellSession["checkSequencer"] = (path, sequencerText, options) =>
    this.#session.checkSequencer(path, sequencerText, options);

  close(): Promise<void> {
    return this.#session.close();
  }
}

class ClientNode implements OpenNode {
  readonly #handle: Handle;

  constructor(handle: Handle) {
    this.#handle = handle;
  }

  get created(): boolean {
    return this.#handle.created;
  }

  read: OpenNode["read"] = () => this.#handle.getContentsAndStat();
  stat: OpenNode["stat"] = () => this.#handle.getStat();
  list: OpenNode["list"] = () => this.#handle.readDir();
  delete: OpenNode["delete"] = () => this.#handle.delete();
  close: OpenNode["close"] = () => this.#handle.close();

  write: OpenNode["write"] = (contents, ifGeneration) =>
    this.#handle.setContents(contents, { ifGeneration });

  acquire: OpenNode["acquire"] = async ({
    mode,
    waitMs,
    signal,
  }: AcquireRequest): Promise<HeldLock> => {
    if (waitMs === 0) {
      const lock = await this.#handle.tryAcquire({ mode, signal });
      return lock === undefined ? this.#busy("is held, or in its lock-delay") : lock;
    }
    if (waitMs === undefined) {
      return this.#handle.acquire({ mode, signal, timeoutMs: Number.POSITIVE_INFINITY });
    }
    try {
      return await this.#handle.acquire({ mode, signal, timeoutMs: waitMs });
    } catch (error) {
      // What ran out is the time that the user gave it; the client has cancelled the request.
      if (!(error instanceof CubbyError) || error.code !== "deadline_exceeded") throw error;
      // A cell that is away has said of the lock neither that it is free nor that it is not.
      const isAway = await this.#handle.getStat({ timeoutMs: ASK_MS, signal }).then(
        () => false,
        () => true,
      );
      if (isAway) throw error;
      return this.#busy(`was not free within ${waitMs} ms`);
    }
  };

  #busy(how: string): never {
    throw new CubbyError("lock_held", `The lock of ${this.#handle.path} ${how}.`);
  }
}
