import { CubbyError, ERROR_CODES } from "@cubby/protocol";
import { CommanderError } from "commander";
import { helpLineOf } from "./help-lines.ts";
import { visible } from "./visible.ts";

/** As sysexits has it: the command was used wrongly. */
export const EXIT_USAGE = ERROR_CODES.invalid_argument.exitCode;
const EXIT_INTERNAL = ERROR_CODES.internal.exitCode;

/** How commander's codes begin when what it wrote was help. */
const HELP = "commander.help";

/** The exit code for whatever ended a command. */
export function exitCodeFor(error: unknown): number {
  if (error instanceof CubbyError) return ERROR_CODES[error.code].exitCode;
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  return EXIT_INTERNAL;
}

/** What the user reads on standard error; "" when commander has said it already. */
export function describeError(error: unknown, json: boolean): string {
  if (error instanceof CommanderError) {
    if (!json || error.exitCode === 0 || error.code.startsWith(HELP)) return "";
    const wrong = error.message.replace(/^error: /, "").replace(/\.?$/, ".");
    return describeError(new CubbyError("invalid_argument", wrong), json);
  }
  if (!(error instanceof CubbyError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return json
      ? `${JSON.stringify({ error: { code: "internal", message: text } })}\n`
      : `${text}\n`;
  }
  const { code, message, outcome, retryable } = error;
  const help = helpLineOf(error);
  if (json) {
    return `${JSON.stringify({ error: { code, message, outcome, retryable, help } })}\n`;
  }
  const fate = outcome === "unknown" ? " It may or may not have taken effect." : "";
  return `cubby: ${visible(message)}${fate}\n  ${help}\n`;
}
