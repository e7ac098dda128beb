import type { CellAccess } from "./cell-access.ts";
import { readStandardInput } from "./standard-input.ts";
import { writeStandardOutput } from "./standard-output.ts";

/** Everything that a command touches of the world, so that tests can give it another one. */
export type Context = {
  readonly env: Readonly<Record<string, string | undefined>>;
  writeOut(data: string | Uint8Array): void;
  writeError(text: string): void;
  /** All of standard input; of more than `bytesMax`, enough to see that it is more. */
  readInput(bytesMax: number): Promise<Uint8Array>;
  readonly cells: CellAccess;
};

export function processContext(cells: CellAccess): Context {
  return {
    env: process.env,
    writeOut: writeStandardOutput,
    writeError: (text) => {
      process.stderr.write(text);
    },
    readInput: readStandardInput,
    cells,
  };
}
