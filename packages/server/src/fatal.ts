/**
 * How a replica ends when it cannot go on: one line for the operator, and an exit status that says
 * which of the reasons it was. Reasons, statuses and advice are rows of the one error table, so a
 * supervisor, the docs and `cubby` agree on them.
 */

import { CubbyError, ERROR_CODES, type ErrorCode } from "@cubby/protocol";

/** Why a replica ends or does not start, as a code of the error table. */
export const FATAL_CODES = [
  "config_invalid",
  "not_formatted",
  "already_formatted",
  "wrong_directory",
  "directory_in_use",
  "directory_denied",
  "address_in_use",
  "data_damaged",
  "disk_failed",
  "disk_full",
  "identity_refused",
  "unsupported",
  "internal",
] as const satisfies readonly ErrorCode[];

export type FatalCode = (typeof FATAL_CODES)[number];

export type Fatal = { readonly code: ErrorCode; readonly detail: string };

export function exitStatusOf(code: ErrorCode): number {
  return ERROR_CODES[code].exitCode;
}

/** What happened, then what to do, in one line, whatever the detail holds. */
export function operatorLine({ code, detail }: Fatal): string {
  const { exitCode, help } = ERROR_CODES[code];
  const text = `[${code}] ${detail} ${help}`;
  return `${oneLine(text)} (exit status ${exitCode})`;
}

/** Of anything that was thrown: what is no CubbyError is a fault of this program. */
export function fatalOf(error: unknown): Fatal {
  if (error instanceof CubbyError) {
    const prefix = `[${error.code}] `;
    const { message } = error;
    const detail = message.startsWith(prefix) ? message.slice(prefix.length) : message;
    return { code: error.code, detail };
  }
  const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { code: "internal", detail };
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
