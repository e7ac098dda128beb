/** Names of looks, not of colors, so that a screen is described by what its parts mean. */
export type Look = "title" | "good" | "bad" | "busy" | "dim" | "strong";

const CODES: Readonly<Record<Look, string>> = {
  title: "1;36",
  good: "1;32",
  bad: "1;31",
  busy: "1;33",
  dim: "2",
  strong: "1",
};

export type Paint = (look: Look, text: string) => string;

export const paintAnsi: Paint = (look, text) => `\u001b[${CODES[look]}m${text}\u001b[0m`;
/** For pipes and files. */
export const paintNothing: Paint = (_look, text) => text;

export const CURSOR_HOME = "\u001b[H";
export const CLEAR_LINE_END = "\u001b[K";
export const CLEAR_BELOW = "\u001b[J";
export const HIDE_CURSOR = "\u001b[?25l";
export const SHOW_CURSOR = "\u001b[?25h";
/** The terminal's second screen: what was there before comes back when the demo ends. */
export const ENTER_SECOND_SCREEN = "\u001b[?1049h";
export const LEAVE_SECOND_SCREEN = "\u001b[?1049l";

// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence starts with one.
const ESCAPES = /(\u001b\[[0-9;?]*[A-Za-z])/g;

/** How many columns a line takes; all our text is of single-width characters. */
export function widthOf(line: string): number {
  return line.replace(ESCAPES, "").length;
}

export function padEnd(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - widthOf(text)));
}

export function padStart(text: string, columns: number): string {
  return " ".repeat(Math.max(0, columns - widthOf(text))) + text;
}

/** A line cut to so many columns; its colors end where they did. */
export function clip(line: string, columns: number): string {
  if (widthOf(line) <= columns) return line;
  let left = columns;
  return line
    .split(ESCAPES)
    .map((part, at) => {
      if (at % 2 === 1) return part;
      const kept = part.slice(0, left);
      left -= kept.length;
      return kept;
    })
    .join("");
}

/** Words in lines of at most `columns`, for the explanations on the screen. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  if (line !== "") lines.push(line);
  return lines;
}
