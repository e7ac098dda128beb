import { isWellFormed, utf8Length } from "@cubby/base";
import { CubbyError } from "./errors.ts";
import { NAME_BYTES_MAX } from "./limits.ts";

/** NS-1: every name starts here; the next part is the cell. */
export const ROOT = "/ls";

/** `/ls/<cell>`. */
export function cellRoot(cellName: string): string {
  return `${ROOT}/${cellName}`;
}

/**
 * Why `name` cannot be a path of the cell, or undefined when it can. Parts are separated by one
 * slash; empty parts, `.`, `..` and control characters are refused, as are lone surrogates.
 */
export function pathProblem(path: string): string | undefined {
  // The cheap bound first: a UTF-16 unit is at least one byte.
  if (path.length > NAME_BYTES_MAX || utf8Length(path) > NAME_BYTES_MAX) {
    return `is longer than ${NAME_BYTES_MAX} bytes`;
  }
  if (!path.startsWith(`${ROOT}/`)) return `does not start with ${ROOT}/<cell>`;
  return partsProblem(path.slice(1));
}

/** Why `name` cannot be relative to a directory handle (API-1), or undefined when it can. */
export function relativeNameProblem(name: string): string | undefined {
  if (name.startsWith("/")) return "is not relative";
  return partsProblem(name);
}

function partsProblem(joined: string): string | undefined {
  if (!isWellFormed(joined)) return "is not well-formed Unicode";
  for (const part of joined.split("/")) {
    if (part === "") return "has an empty part";
    if (part === "." || part === "..") return `has a part "${part}"`;
    for (let i = 0; i < part.length; i += 1) {
      const unit = part.charCodeAt(i);
      if (unit < 0x20 || unit === 0x7f) return "has a control character";
    }
  }
  return undefined;
}

/** The path, or a `CubbyError` invalid_name that says what is wrong with it. */
export function checkPath(path: string): string {
  const problem = pathProblem(path);
  if (problem !== undefined) {
    throw new CubbyError("invalid_name", `The name ${quoted(path)} ${problem}.`);
  }
  return path;
}

/** Parent of a path below the cell's root, or undefined for the cell's root itself. */
export function parentOf(path: string): string | undefined {
  const slash = path.lastIndexOf("/");
  return slash <= ROOT.length ? undefined : path.slice(0, slash);
}

/** Last part of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** A name as it may appear in a message: bounded, with control characters made visible. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 77)}...` : name);
}
