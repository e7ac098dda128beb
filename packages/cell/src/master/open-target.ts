import {
  CreateMode,
  LOCK_DELAY_MS_DEFAULT,
  LOCK_DELAY_MS_MAX,
  NodeKind,
  type Open,
  type OpenNode,
  pathProblem,
  quoted,
  relativeNameProblem,
} from "@cubby/protocol";
import type { CellState } from "../state/cell-state.ts";
import { ACCESS_CHANGE_ACL, ACCESS_READ, ACCESS_WRITE } from "../state/handle-token.ts";
import { failure, type Result } from "../state/result.ts";
import type { OpenHandle } from "./open-handles.ts";

/** What an Open asks for, as a command; or why it cannot be asked for. */
export function openTarget(
  state: CellState,
  open: Open,
  directory: OpenHandle | undefined,
): OpenNode | Result {
  const path = directory === undefined ? open.name : `${directory.token.path}/${open.name}`;
  // A path that exists has been checked when it was created.
  if (state.namespace.get(path) === undefined) {
    const problem = nameProblem(state, open.name, path, directory);
    if (problem !== undefined) {
      return failure("invalid_name", `The name ${quoted(open.name)} ${problem}.`);
    }
  }
  const lockDelayMs = open.hasLockDelay ? open.lockDelayMs : LOCK_DELAY_MS_DEFAULT;
  if (lockDelayMs > LOCK_DELAY_MS_MAX) {
    return failure("invalid_argument", `A lock-delay is at most ${LOCK_DELAY_MS_MAX} ms.`);
  }
  if (!isOneOf(CreateMode, open.create)) {
    return failure("invalid_argument", `There is no create mode ${Number(open.create)}.`);
  }
  if (!isOneOf(NodeKind, open.kind)) {
    return failure("invalid_argument", `There is no kind of node ${Number(open.kind)}.`);
  }
  return {
    path,
    access: accessOf(open),
    create: open.create,
    kind: open.kind,
    ephemeral: open.ephemeral,
    initialContents: open.initialContents,
    lockDelayMs,
    directoryPath: directory?.token.path ?? "",
    directoryInstance: directory?.token.instance ?? 0,
  };
}

function nameProblem(
  state: CellState,
  name: string,
  path: string,
  directory: OpenHandle | undefined,
): string | undefined {
  if (directory !== undefined) {
    const problem = relativeNameProblem(name);
    if (problem !== undefined) return problem;
  }
  const problem = pathProblem(path);
  if (problem !== undefined) return problem;
  const root = state.namespace.root.path;
  return path.startsWith(`${root}/`) ? undefined : `is not of this cell, ${root}`;
}

function accessOf(open: Open): number {
  return (
    (open.read ? ACCESS_READ : 0) |
    (open.write ? ACCESS_WRITE : 0) |
    (open.changeAcl ? ACCESS_CHANGE_ACL : 0)
  );
}

function isOneOf(values: Readonly<Record<string, number>>, value: number): boolean {
  return Object.values(values).includes(value);
}
