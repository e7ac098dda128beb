/** What moves a terminal's cursor or colors, or turns the order of what is read. */
const UNSEEN = /[\p{Cc}\p{Bidi_Control}]/gu;

/** A name of anybody's making as people may be shown it: `\u{1b}` where it has an escape. */
export function visible(name: string): string {
  return name.replace(UNSEEN, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}
