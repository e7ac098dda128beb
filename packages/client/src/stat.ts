import { CubbyError, NodeKind, quoted, type Stat, LockMode as WireLockMode } from "@cubby/protocol";

export type LockMode = "exclusive" | "shared";

/** Metadata of a node. */
export type NodeStat = {
  readonly kind: "file" | "directory";
  /** META-2: these numbers only rise. */
  readonly instance: number;
  readonly contentGeneration: number;
  readonly lockGeneration: number;
  readonly aclGeneration: number;
  /** META-3: 16 hexadecimal digits. */
  readonly checksum: string;
  readonly sizeBytes: number;
  readonly childCount: number;
  readonly ephemeral: boolean;
  readonly lock: "free" | LockMode;
  readonly lockHolders: number;
  /** The last holder failed, and the lock-delay is not over (LCK-7). */
  readonly lockDelayed: boolean;
};

export type DirectoryChild = { readonly name: string; readonly stat: NodeStat };

export type Contents = { readonly contents: Uint8Array; readonly stat: NodeStat };

export function nodeStatOf(stat: Stat | undefined): NodeStat {
  if (stat === undefined) throw new CubbyError("internal", "The answer lacks its metadata.");
  return {
    kind: stat.kind === NodeKind.DIRECTORY ? "directory" : "file",
    instance: stat.instance,
    contentGeneration: stat.contentGeneration,
    lockGeneration: stat.lockGeneration,
    aclGeneration: stat.aclGeneration,
    checksum: stat.checksum,
    sizeBytes: stat.sizeBytes,
    childCount: stat.childCount,
    ephemeral: stat.ephemeral,
    lock: lockOf(stat.lockMode),
    lockHolders: stat.lockHolders,
    lockDelayed: stat.lockDelayed,
  };
}

/** Throws `CubbyError` invalid_argument: a slip of the pen must not become the weaker mode. */
export function wireModeOf(mode: LockMode): WireLockMode {
  if (mode === "exclusive") return WireLockMode.EXCLUSIVE;
  if (mode === "shared") return WireLockMode.SHARED;
  throw new CubbyError(
    "invalid_argument",
    `The mode ${quoted(String(mode))} is neither "exclusive" nor "shared".`,
  );
}

function lockOf(mode: WireLockMode): NodeStat["lock"] {
  if (mode === WireLockMode.EXCLUSIVE) return "exclusive";
  return mode === WireLockMode.SHARED ? "shared" : "free";
}
