import type { DirectoryChild, NodeStat } from "@cubby/client";
import type { Status } from "@cubby/protocol";

/*
 * What the commands need of a cell. The client package has all of it and more; a test gives a fake.
 */

export type OpenRequest = {
  readonly write?: boolean;
  readonly create?: boolean;
  readonly mustCreate?: boolean;
  readonly kind?: "file" | "directory";
  readonly lockDelayMs?: number;
  readonly contents?: Uint8Array;
  readonly signal?: AbortSignal;
};

export type AcquireRequest = {
  readonly mode: "exclusive" | "shared";
  /** 0 tries once; undefined waits without end. Throws lock_held when the time is over. */
  readonly waitMs: number | undefined;
  /** Gives up waiting, at the master too. */
  readonly signal?: AbortSignal;
};

export type ElectRequest = {
  readonly value: Uint8Array;
  readonly lockDelayMs?: number;
  /** Gives up the candidacy. */
  readonly signal: AbortSignal;
};

export interface OpenNode {
  readonly created: boolean;
  read(): Promise<{ readonly contents: Uint8Array; readonly stat: NodeStat }>;
  stat(): Promise<NodeStat>;
  list(): Promise<readonly DirectoryChild[]>;
  write(contents: Uint8Array, ifGeneration?: number): Promise<NodeStat>;
  delete(): Promise<void>;
  acquire(request: AcquireRequest): Promise<HeldLock>;
  close(): Promise<void>;
}

/** A lock in hand, as far as a command that runs under it is concerned. */
export type Hold = {
  readonly sequencerText: string;
  /** Rises each time that a free lock of this name is taken. */
  readonly lockGeneration: number;
  /** Aborts when the lock is lost. */
  readonly signal: AbortSignal;
  /** Throws lock_lost once it is lost, and session_jeopardy while nobody knows. */
  assertHeld(): void;
};

export type HeldLock = Hold & {
  /** True when the cell has said so; never throws. */
  release(): Promise<boolean>;
};

export interface CellSession {
  /** Expired or closed: nothing can be done with it any more. */
  readonly over: boolean;
  /**
   * For how long it has been in jeopardy, as the clock has it now, whatever `onState` has told of it:
   * undefined while it is not, Infinity where nobody knows.
   */
  readonly jeopardyMs: number | undefined;
  open(path: string, request: OpenRequest): Promise<OpenNode>;
  /** Waits to be elected, then runs `lead` and gives its answer. */
  elect<T>(path: string, request: ElectRequest, lead: (hold: Hold) => Promise<T>): Promise<T>;
  /** Hears "jeopardy", "safe" and whatever else the session comes to; returns what ends that. */
  onState(listener: (state: string) => void): () => void;
  checkSequencer(
    path: string,
    sequencerText: string,
    options?: { readonly timeoutMs?: number | undefined },
  ): Promise<{ readonly valid: boolean; readonly reason: string }>;
  close(): Promise<void>;
}

export type ReplicaAnswer = {
  readonly address: string;
  /** Undefined when the replica could not be asked; `problem` says why. */
  readonly status: Status | undefined;
  readonly problem: string;
};

export interface CellAccess {
  connect(
    url: string,
    options: {
      readonly timeoutMs: number;
      readonly leaseMs?: number;
      readonly signal?: AbortSignal;
    },
  ): Promise<CellSession>;
  /** Asks every replica that the url names, or that one of those names. */
  statuses(url: string, options: { readonly timeoutMs: number }): Promise<ReplicaAnswer[]>;
}
