import { CubbyError, SESSION_LEASE_MS_MAX, SESSION_LEASE_MS_MIN } from "@cubby/protocol";
import type { Command } from "commander";
import type { CellSession } from "./cell-access.ts";
import type { Context } from "./context.ts";
import { parseDurationMs, TIMER_MS_MAX } from "./duration.ts";

/** Where `dev` puts its replicas when it is not told otherwise: 7070, 7080, … */
export const PORT_BASE_DEFAULT = 7_070;
export const PORT_STEP = 10;
export const CELL_NAME_DEFAULT = "local";
const REPLICAS_DEFAULT = 5;

/** The url of a cell as `dev` starts it. */
export function loopbackUrl(
  ports: readonly number[] = defaultPorts(),
  cellName: string = CELL_NAME_DEFAULT,
): string {
  return `cubby://${ports.map((port) => `127.0.0.1:${port}`).join(",")}/${cellName}`;
}

function defaultPorts(): number[] {
  return Array.from({ length: REPLICAS_DEFAULT }, (_, i) => PORT_BASE_DEFAULT + i * PORT_STEP);
}

export type CellOptions = { readonly cell?: string; readonly timeout?: string; json?: boolean };

/** The options of every command that speaks to a cell. */
export function withCellOptions(command: Command, timeoutDefault = "10s"): Command {
  return command
    .option(
      "--cell <url>",
      "the cell's URL, cubby://host:port,…/name (or CUBBY_CELL); init and serve take the bare name",
    )
    .option("--timeout <duration>", "how long the cell may take to answer", timeoutDefault)
    .option("--json", "print JSON");
}

/** The cell that is meant: the option, the environment, or the local one. */
export function cellUrl(context: Context, options: CellOptions): string {
  if (options.cell !== undefined) return options.cell;
  const named = context.env["CUBBY_CELL"];
  // A script's variable that was not set must not have it write to the local cell.
  if (named === "") {
    throw new CubbyError("invalid_argument", "CUBBY_CELL is empty. Name a cell, or unset it.");
  }
  return named ?? loopbackUrl();
}

/**
 * Opens a session for as long as `use` takes, and ends it, which frees what it held. The signal
 * gives up connecting, and nothing else.
 */
export async function withSession<T>(
  context: Context,
  options: CellOptions & { readonly sessionLease?: string },
  use: (session: CellSession) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const { sessionLease } = options;
  const session = await context.cells.connect(cellUrl(context, options), {
    timeoutMs: timeoutMs(options),
    ...(signal && { signal }),
    ...(sessionLease === undefined ? {} : { leaseMs: leaseMsOf(sessionLease) }),
  });
  try {
    return await use(session);
  } finally {
    // A cell that cannot be told ends the session by itself, and its error must not hide ours.
    await session.close().catch(() => undefined);
  }
}

function leaseMsOf(text: string): number {
  const leaseMs = parseDurationMs(text, "--session-lease");
  if (leaseMs >= SESSION_LEASE_MS_MIN && leaseMs <= SESSION_LEASE_MS_MAX) return leaseMs;
  const [least, most] = [SESSION_LEASE_MS_MIN / 1_000, SESSION_LEASE_MS_MAX / 1_000];
  throw new CubbyError("invalid_argument", `A session lease is from ${least}s to ${most}s.`);
}

export function timeoutMs(options: CellOptions): number {
  return Math.min(TIMER_MS_MAX, parseDurationMs(options.timeout ?? "10s", "--timeout"));
}

export function parseCount(text: string, what: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw new CubbyError(
    "invalid_argument",
    `${what} "${text}" is no whole number from ${least} to ${most}.`,
  );
}

/** Nothing would be the directory in which the command runs, or a failure of the system's. */
export function parseDirectory(text: string, what: string): string {
  if (text !== "") return text;
  throw new CubbyError("invalid_argument", `${what} "" names no directory.`);
}

/** Help text of a command: an example or two below the options. */
export function withExamples(command: Command, ...examples: readonly string[]): Command {
  const lines = examples.map((example) => `  $ ${example}`);
  return command.addHelpText("after", `\nExamples:\n${lines.join("\n")}\n`);
}

/** Integers of 64 bits, and numbers that JSON does not know, are printed as text. */
export function printJson(context: Context, value: unknown): void {
  const asText = (_: string, each: unknown): unknown => {
    const isNumber = typeof each === "number" || typeof each === "bigint";
    return isNumber && !Number.isFinite(each) ? String(each) : each;
  };
  context.writeOut(`${JSON.stringify(value, asText)}\n`);
}
