import {
  type CheckSequencer,
  CubbyError,
  DIRECTORY_PAGE_ENTRIES_MAX,
  type DirectoryEntry,
  decodeSequencer,
  LockMode,
  NodeKind,
  quoted,
  type ReadDir,
  type SequencerToken,
} from "@cubby/protocol";
import type { CellState } from "../state/cell-state.ts";
import type { Node } from "../state/node.ts";
import { failure, type Result } from "../state/result.ts";
import { sequencerOf, sequencerProblem } from "../state/sequencer.ts";
import type { Session } from "../state/session.ts";

/** What one page may have to be read for, which keeps the master from all else: some 20 ms. */
const PAGE_READ_BYTES = 4 * 1024 * 1024;

/** API-4. */
export function contentsAndStat(node: Node): Result {
  if (node.kind !== NodeKind.FILE) {
    return failure("is_a_directory", `${quoted(node.path)} is a directory.`);
  }
  return {
    $case: "getContentsAndStat",
    value: { contents: node.contents, stat: node.stat() },
  };
}

/** API-5. */
export function stat(node: Node): Result {
  return { $case: "getStat", value: node.stat() };
}

/** API-6: names and metadata, a page at a time, which after a restore may be a short one. */
export function directory(node: Node, call: ReadDir): Result {
  if (node.kind !== NodeKind.DIRECTORY) {
    return failure("not_a_directory", `${quoted(node.path)} is a file.`);
  }
  const entries: DirectoryEntry[] = [];
  let readBytes = 0;
  for (const [name, child] of node.children?.entriesAfter(call.after) ?? []) {
    if (entries.length >= DIRECTORY_PAGE_ENTRIES_MAX || readBytes >= PAGE_READ_BYTES) {
      return { $case: "readDir", value: { entries, more: true } };
    }
    readBytes += child.unreadBytes;
    entries.push({ name, stat: child.stat() });
  }
  return { $case: "readDir", value: { entries, more: false } };
}

/** API-13, SEQ-2. */
export function sequencer(session: Session, handleId: number): Result {
  const record = session.handles?.get(handleId);
  if (record === undefined || record.holds === LockMode.FREE) {
    return failure("lock_not_held", "This handle does not hold its lock.");
  }
  return { $case: "getSequencer", value: { sequencer: sequencerOf(record.node) } };
}

/** API-15, SEQ-3. Lock holder and generation are never cached, so this is always asked here. */
export function sequencerChecked(state: CellState, call: CheckSequencer): Result {
  let token: SequencerToken;
  try {
    token = decodeSequencer(call.sequencer);
  } catch (error) {
    if (error instanceof CubbyError) {
      return failure("sequencer_malformed", "These bytes are no sequencer.");
    }
    throw error;
  }
  const reason = checkProblem(state, call, token) ?? "";
  return { $case: "checkSequencer", value: { valid: reason === "", reason } };
}

function checkProblem(
  state: CellState,
  call: CheckSequencer,
  token: SequencerToken,
): string | undefined {
  if (call.name !== "" && call.name !== token.name) {
    return `the sequencer is for ${quoted(token.name)}`;
  }
  if (call.mode !== LockMode.FREE && call.mode !== token.mode) {
    return "the sequencer is for the other mode";
  }
  return sequencerProblem(state, token);
}
