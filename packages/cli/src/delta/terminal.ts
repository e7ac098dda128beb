/** What a command must know of where its words go. */
export type Terminal = {
  /** True when a person reads standard output, or standard error. */
  readonly isOut: boolean;
  readonly isError: boolean;
};

export function processTerminal(): Terminal {
  return { isOut: process.stdout.isTTY === true, isError: process.stderr.isTTY === true };
}
