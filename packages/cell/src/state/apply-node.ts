import { utf8Length } from "@cubby/base";
import {
  type CloseHandle,
  CreateMode,
  type DeleteNode,
  FILE_BYTES_MAX,
  NodeKind,
  type OpenNode,
  pathProblem,
  quoted,
  type WriteContents,
} from "@cubby/protocol";
import type { CellState } from "./cell-state.ts";
import { handleGrowthFailure, treeGrowthFailure } from "./growth.ts";
import { handleBytesOf } from "./handle-record.ts";
import { encodeHandleToken } from "./handle-token.ts";
import { beginOpener, closeRecord, deleteNode, recordOf } from "./handles.ts";
import type { Node } from "./node.ts";
import { done, failure, handleQuotaFailure, type Result } from "./result.ts";
import type { Session } from "./session.ts";

/** API-1, where something comes to be: a node, or an ephemeral node's opener. */
export function applyOpenNode(
  state: CellState,
  session: Session,
  number: number,
  body: OpenNode,
): Result {
  const known = session.handles?.get(number);
  if (known !== undefined && known.node.path !== body.path) {
    // An Open that needed no command has no result. Nothing may come to be that nobody has open.
    return failure("invalid_argument", `Request ${number} opened another node before.`);
  }
  const directory = body.directoryPath;
  if (
    directory !== "" &&
    state.namespace.getInstance(directory, body.directoryInstance) === undefined
  ) {
    return failure("stale_handle", `${quoted(directory)} was deleted since it was opened.`);
  }
  const existing = state.namespace.get(body.path);
  if (existing !== undefined) {
    const problem = openFailure(existing, body.create, body.kind);
    if (problem !== undefined) return problem;
    return opened(state, session, number, body, { node: existing, created: false });
  }
  const created = createNode(state, session, body);
  if ("$case" in created) return created;
  return opened(state, session, number, body, { node: created, created: true });
}

/** Why an existing node cannot be opened like this. */
export function openFailure(node: Node, create: CreateMode, kind: NodeKind): Result | undefined {
  if (create === CreateMode.MUST_CREATE) {
    return failure("already_exists", `${quoted(node.path)} exists already.`);
  }
  if (kind === NodeKind.FILE && node.kind !== NodeKind.FILE) {
    return failure("is_a_directory", `${quoted(node.path)} is a directory.`);
  }
  if (kind === NodeKind.DIRECTORY && node.kind !== NodeKind.DIRECTORY) {
    return failure("not_a_directory", `${quoted(node.path)} is a file.`);
  }
  return undefined;
}

/** API-2. Never fails. */
export function applyCloseHandle(state: CellState, session: Session, body: CloseHandle): Result {
  const record = session.handles?.get(body.handleId);
  if (record !== undefined) closeRecord(state, session, record);
  return done("close");
}

/** API-7: the whole file, atomically; with a generation only if it is current. */
export function applyWriteContents(state: CellState, body: WriteContents): Result {
  const node = state.namespace.getInstance(body.path, body.instance);
  if (node === undefined) return deletedFailure(body.path);
  if (node.kind !== NodeKind.FILE) {
    return failure("is_a_directory", `${quoted(body.path)} is a directory.`);
  }
  if (body.contents.length > FILE_BYTES_MAX) return tooLarge(body.path, body.contents.length);
  if (body.hasIfGeneration && body.ifGeneration !== node.contentGeneration) {
    return failure(
      "generation_mismatch",
      `${quoted(body.path)} is at content generation ${node.contentGeneration}, not ${body.ifGeneration}.`,
    );
  }
  const problem = treeGrowthFailure(state, body.contents.length - node.contents.length);
  if (problem !== undefined) return problem;
  state.namespace.setContents(node, body.contents);
  node.contentGeneration += 1;
  return { $case: "setContents", value: node.stat() };
}

/** API-9: only without children. GAP-8: locked nodes too, and the lock goes with the instance. */
export function applyDeleteNode(state: CellState, body: DeleteNode): Result {
  const node = state.namespace.getInstance(body.path, body.instance);
  if (node === undefined) return deletedFailure(body.path);
  if (node.parent === undefined) {
    return failure("invalid_argument", "The root of the cell cannot be deleted.");
  }
  if (node.childCount > 0) {
    return failure("not_empty", `${quoted(body.path)} is not empty: it holds ${node.childCount}.`);
  }
  deleteNode(state, node);
  return done("delete");
}

export function tooLarge(path: string, sizeBytes: number): Result {
  return failure(
    "file_too_large",
    `${quoted(path)} would have ${sizeBytes} bytes, ${FILE_BYTES_MAX} are allowed.`,
  );
}

function deletedFailure(path: string): Result {
  return failure("stale_handle", `${quoted(path)} was deleted since it was opened.`);
}

/** The new node, or why there is none. */
function createNode(state: CellState, session: Session, body: OpenNode): Node | Result {
  const problem = creationFailure(state, session, body);
  if (problem !== undefined) return problem;
  const parent = state.namespace.parentFor(body.path);
  if (parent === undefined) {
    return failure("not_found", `There is no directory for ${quoted(body.path)}.`);
  }
  if (parent.kind !== NodeKind.DIRECTORY) {
    return failure("not_a_directory", `${quoted(parent.path)} is a file.`);
  }
  if (parent.childCount >= state.quotas.childrenMax) {
    return failure(
      "quota_exceeded",
      `${quoted(parent.path)} has ${parent.childCount} children, as many as the quota allows.`,
    );
  }
  const kind = body.kind === NodeKind.DIRECTORY ? NodeKind.DIRECTORY : NodeKind.FILE;
  const node = state.namespace.create(body.path, kind, parent, body.ephemeral);
  state.namespace.setContents(node, body.initialContents);
  return node;
}

function creationFailure(state: CellState, session: Session, body: OpenNode): Result | undefined {
  if (body.create === CreateMode.NEVER) {
    return failure("not_found", `${quoted(body.path)} does not exist.`);
  }
  const problem = pathProblem(body.path);
  if (problem !== undefined) {
    return failure("invalid_name", `The name ${quoted(body.path)} ${problem}.`);
  }
  if (body.initialContents.length > FILE_BYTES_MAX) {
    return tooLarge(body.path, body.initialContents.length);
  }
  if (body.kind === NodeKind.DIRECTORY && body.initialContents.length > 0) {
    return failure("invalid_argument", "A directory has no contents.");
  }
  if (state.namespace.size >= state.quotas.nodesMax) {
    return failure(
      "quota_exceeded",
      `The cell has ${state.namespace.size} nodes, as many as its quota allows.`,
    );
  }
  if (body.ephemeral && session.openerCount >= state.quotas.handlesPerSessionMax) {
    return handleQuotaFailure(state);
  }
  // A name in delay counts already.
  const nameBytes = state.namespace.delayMarkers.has(body.path) ? 0 : utf8Length(body.path);
  return (
    treeGrowthFailure(state, nameBytes + body.initialContents.length) ??
    handleGrowthFailure(state, body.ephemeral ? handleBytesOf(body.path) : 0)
  );
}

function opened(
  state: CellState,
  session: Session,
  number: number,
  body: OpenNode,
  outcome: { node: Node; created: boolean },
): Result {
  const node = outcome.node;
  if (node.isEphemeral) {
    if (session.openerCount >= state.quotas.handlesPerSessionMax) return handleQuotaFailure(state);
    const grownBy = session.handles?.has(number) ? 0 : handleBytesOf(node.path);
    const problem = outcome.created ? undefined : handleGrowthFailure(state, grownBy);
    if (problem !== undefined) return problem;
    const record = recordOf(state, session, number, node);
    if (record === undefined) return failure("internal", "The handle is of another node.");
    beginOpener(session, record);
  }
  const handle = encodeHandleToken(state.handleKey, {
    sessionId: session.id,
    handleId: number,
    path: node.path,
    instance: node.instance,
    access: body.access & 7,
    lockDelayMs: body.lockDelayMs,
    epoch: state.clientEpoch,
    isEphemeral: node.isEphemeral,
  });
  return { $case: "open", value: { handle, created: outcome.created, stat: node.stat() } };
}
