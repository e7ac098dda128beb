import { createInterface, type Interface } from "node:readline";
import {
  CLEAR_BELOW,
  CLEAR_LINE_END,
  CURSOR_HOME,
  ENTER_SECOND_SCREEN,
  HIDE_CURSOR,
  LEAVE_SECOND_SCREEN,
  paintAnsi,
  paintNothing,
  SHOW_CURSOR,
} from "./ansi.ts";
import { type DemoView, drawCellLine, drawScreen, type Happening } from "./drawing.ts";

/** Where the demo is seen, and where its keys come from. */
export interface Display extends Disposable {
  show(view: DemoView): void;
  tell(happening: Happening): void;
  onKey(handler: (key: string) => void): void;
}

/** A screen where there is a terminal, lines where there is none. `quit` answers q and Ctrl-C. */
export function openDisplay(quit: () => void): Display {
  const { stdin, stdout } = process;
  return stdin.isTTY && stdout.isTTY ? new ScreenDisplay(quit) : new LineDisplay(quit);
}

class ScreenDisplay implements Display {
  readonly #quit: () => void;
  #onKey: (key: string) => void = () => undefined;
  #lastDrawn = "";

  constructor(quit: () => void) {
    this.#quit = quit;
    process.stdout.write(ENTER_SECOND_SCREEN + HIDE_CURSOR);
    process.stdin.setRawMode(true);
    process.stdin.setEncoding("utf8");
    process.stdin.on("data", this.#onData);
  }

  show(view: DemoView): void {
    const { columns, rows } = process.stdout;
    const lines = drawScreen(view, { columns, rows }, paintAnsi);
    // Cleared first: behind a line that fills its row, the cursor still stands on the last letter.
    const text = lines.map((line) => CLEAR_LINE_END + line).join("\r\n");
    const drawn = lines.length < rows ? `${text}\r\n${CLEAR_BELOW}` : text;
    // One write, over what is there: no flicker.
    if (drawn !== this.#lastDrawn) process.stdout.write(CURSOR_HOME + drawn);
    this.#lastDrawn = drawn;
  }

  tell(): void {
    // The screen shows what happened with everything else.
  }

  onKey(handler: (key: string) => void): void {
    this.#onKey = handler;
  }

  [Symbol.dispose](): void {
    process.stdin.off("data", this.#onData);
    process.stdin.setRawMode(false);
    process.stdin.pause();
    process.stdout.write(SHOW_CURSOR + LEAVE_SECOND_SCREEN);
  }

  readonly #onData = (data: unknown): void => {
    for (const key of String(data)) {
      // In raw mode Ctrl-C is a character like any other.
      if (key === "q" || key === "\u0003") this.#quit();
      else this.#onKey(key);
    }
  };
}

class LineDisplay implements Display {
  readonly #input: Interface;
  #onKey: (key: string) => void = () => undefined;
  #lastCell = "";

  constructor(quit: () => void) {
    process.stdout.write(
      "No terminal here: plain lines. Keys are lines: m, l, p, r, q (see cubby demo --help).\n",
    );
    this.#input = createInterface({ input: process.stdin });
    this.#input.on("line", (line) => {
      const key = line.trim();
      if (key === "q") quit();
      else this.#onKey(key);
    });
  }

  show(view: DemoView): void {
    // The positions change all the time; a line is worth printing when the cell itself changes.
    const states = view.replicas.map(({ replica, state, role }) => `${replica} ${state} ${role}`);
    const cell = states.join();
    if (cell === this.#lastCell || cell === "") return;
    this.#lastCell = cell;
    process.stdout.write(`${drawCellLine(view.replicas, paintNothing)}\n`);
  }

  tell({ atMs, what, why }: Happening): void {
    process.stdout.write(`${formatHappening(atMs, what, why)}\n`);
  }

  onKey(handler: (key: string) => void): void {
    this.#onKey = handler;
  }

  [Symbol.dispose](): void {
    this.#input.close();
    process.stdin.pause();
  }
}

/** One happening as plain lines. */
export function formatHappening(atMs: number, what: string, why: string): string {
  const time = `${(atMs / 1_000).toFixed(1).padStart(6)} s`;
  return why === "" ? `${time}  ${what}` : `${time}  ${what}\n          ${why}`;
}
