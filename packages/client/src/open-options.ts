import { EMPTY_BYTES } from "@cubby/base";
import {
  CreateMode,
  CubbyError,
  LOCK_DELAY_MS_MAX,
  NodeKind,
  type Open,
  quoted,
} from "@cubby/protocol";
import { checkBoolean, contentsBytes } from "./arguments.ts";
import { type Duration, durationMs } from "./duration.ts";
import type { CallOptions } from "./pending-call.ts";

export type OpenOptions = CallOptions & {
  /** True unless said otherwise. */
  readonly read?: boolean;
  /**
   * Write and lock (LCK-4). True by default when the node may be created or a lock-delay is given,
   * false otherwise.
   */
  readonly write?: boolean;
  /** True creates the node if it is absent; "must" fails with already_exists if it is not. */
  readonly create?: boolean | "must";
  /** What is to be created, or must be found: true a directory, false a file. */
  readonly directory?: boolean;
  /** NS-5: the node is deleted when no client has it open. */
  readonly ephemeral?: boolean;
  /** Of a file that this open creates. */
  readonly contents?: Uint8Array | string;
  /** LCK-8: how long the lock stays closed if its holder fails. The default is 10 s. */
  readonly lockDelay?: Duration;
  /**
   * API-14, from this open on: a node is not made either once the sequencer is stale. Below a handle that
   * has a sequencer of its own, that one alone decides of the open.
   */
  readonly sequencer?: Uint8Array | string;
};

/** Throws `CubbyError` invalid_argument or file_too_large. */
export function openMessage(name: string, directory: Uint8Array, options: OpenOptions): Open {
  for (const what of ["read", "write", "directory", "ephemeral"] as const) {
    checkBoolean(what, options[what]);
  }
  const create = createModeOf(options.create);
  const { lockDelay, contents } = options;
  const mayCreate = create !== CreateMode.NEVER;
  if (!mayCreate && (options.ephemeral === true || contents !== undefined)) {
    throw new CubbyError(
      "invalid_argument",
      "ephemeral and contents need create: the node is made.",
    );
  }
  return {
    name,
    directory,
    read: options.read ?? true,
    write: options.write ?? (mayCreate || lockDelay !== undefined),
    changeAcl: false,
    create,
    kind: kindOf(options.directory),
    ephemeral: options.ephemeral ?? false,
    initialContents: contents === undefined ? EMPTY_BYTES : contentsBytes(contents),
    lockDelayMs: lockDelay === undefined ? 0 : lockDelayMsOf(lockDelay),
    hasLockDelay: lockDelay !== undefined,
  };
}

function createModeOf(create: OpenOptions["create"]): CreateMode {
  if (create === undefined || create === false) return CreateMode.NEVER;
  if (create === true) return CreateMode.IF_ABSENT;
  if (create === "must") return CreateMode.MUST_CREATE;
  throw new CubbyError(
    "invalid_argument",
    `create is ${quoted(String(create))}. Give true, false or "must".`,
  );
}

function kindOf(directory: boolean | undefined): NodeKind {
  if (directory === undefined) return NodeKind.NODE_KIND_UNSPECIFIED;
  return directory ? NodeKind.DIRECTORY : NodeKind.FILE;
}

function lockDelayMsOf(lockDelay: Duration): number {
  const ms = durationMs(lockDelay, "lockDelay");
  if (ms <= LOCK_DELAY_MS_MAX) return ms;
  throw new CubbyError(
    "invalid_argument",
    `A lock-delay of ${ms} ms is over the limit of ${LOCK_DELAY_MS_MAX} ms.`,
  );
}
