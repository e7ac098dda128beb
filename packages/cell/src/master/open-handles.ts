import { equalBytes } from "@cubby/base";
import { type ErrorCode, quoted } from "@cubby/protocol";
import type { CellState } from "../state/cell-state.ts";
import { decodeHandleToken, type HandleToken } from "../state/handle-token.ts";
import type { Node } from "../state/node.ts";
import type { MasterSession } from "./master-session.ts";

/** Closed handles of earlier epochs that a session may have; beyond it HND-5 gives way. */
const CLOSED_HANDLES_MAX = 4096;
/** Tokens of earlier epochs cost their client nothing to keep: so many are remembered. */
const REBUILT_HANDLES_MAX = 4096;

/** A handle as this master knows it. */
export type OpenHandle = {
  readonly token: HandleToken;
  readonly bytes: Uint8Array;
  readonly node: Node;
};

/** A handle that is good, or why it is not. */
export type HandleCheck =
  | { readonly kind: "good"; readonly handle: OpenHandle }
  | {
      readonly kind: "bad";
      readonly code: ErrorCode;
      readonly detail: string;
      /** What it says, when it is a handle of this session at all. */
      readonly token: HandleToken | undefined;
    };

const FORGED: HandleCheck = {
  kind: "bad",
  code: "forged_handle",
  detail: "The handle was not made by this cell for this session.",
  token: undefined,
};

/**
 * HND-2, HND-3, HND-6: the token must be ours, of this session, not closed, and its node must still
 * be that instance. A handle of an earlier epoch is rebuilt from its token (FO-8).
 */
export function checkHandle(
  state: CellState,
  session: MasterSession,
  bytes: Uint8Array,
): HandleCheck {
  const token = decodeHandleToken(state.handleKey, bytes);
  if (token === undefined || token.sessionId !== session.id) return FORGED;
  if (token.epoch > state.clientEpoch) return FORGED;
  const known = session.handles?.get(token.handleId);
  if (known !== undefined && equalBytes(known.bytes, bytes)) return live(known);
  if (token.epoch === state.clientEpoch) return stale(token, "The handle was closed.");
  if (session.closedHandles?.has(token.handleId) === true)
    return stale(token, "The handle was closed.");
  const node = state.namespace.getInstance(token.path, token.instance);
  if (node === undefined) return deleted(token);
  const handle = { token, bytes: bytes.slice(), node };
  // One more is rebuilt each time that it is presented.
  const isRoom = (session.handles?.size ?? 0) < REBUILT_HANDLES_MAX;
  if (isRoom) rememberHandle(session, handle);
  return { kind: "good", handle };
}

export function rememberHandle(session: MasterSession, handle: OpenHandle): void {
  session.handles ??= new Map();
  session.handles.set(handle.token.handleId, handle);
}

/** From here on the handle is refused, for this whole epoch. */
export function forgetHandle(state: CellState, session: MasterSession, token: HandleToken): void {
  session.handles?.delete(token.handleId);
  if (session.handles?.size === 0) session.handles = undefined;
  // A handle of this epoch is refused because it is not among the open ones.
  if (token.epoch === state.clientEpoch) return;
  session.closedHandles ??= new Set();
  if (session.closedHandles.size < CLOSED_HANDLES_MAX) session.closedHandles.add(token.handleId);
}

function live(handle: OpenHandle): HandleCheck {
  return handle.node.isDeleted ? deleted(handle.token) : { kind: "good", handle };
}

function deleted(token: HandleToken): HandleCheck {
  return stale(token, `${quoted(token.path)} was deleted since it was opened.`);
}

function stale(token: HandleToken, detail: string): HandleCheck {
  return { kind: "bad", code: "stale_handle", detail, token };
}
