/** Plots of block characters, for a terminal of 80 columns. */

const EIGHTHS = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] as const;
const PLOT_ROWS = 6;

/** What a plot shows at one place: the least and the most of all the values that fall there. */
type Span = { readonly least: number; readonly most: number };

/** One line of bars from 0 up to `most`; each stands for the mean of the values that fall there. */
export function barLine(values: readonly number[], width: number, most: number): string {
  const places = Math.min(width, values.length);
  let line = "";
  for (let place = 0; place < places; place += 1) {
    const part = values.slice(...rangeOf(place, places, values.length));
    const mean = part.reduce((sum, value) => sum + value, 0) / part.length;
    const eighths = most > 0 ? Math.ceil((mean / most) * 8) : 0;
    line += EIGHTHS[Math.max(0, Math.min(8, eighths))];
  }
  return line;
}

/** Bars from 0 to the least and the most that fall at a place. Lines from top to bottom. */
export function signedPlot(values: ArrayLike<number>, width: number): string[] {
  const spans = spansOf(values, width);
  const least = Math.min(0, ...spans.map((span) => span.least));
  const most = Math.max(0, ...spans.map((span) => span.most));
  const steps = PLOT_ROWS * 2;
  const below = stepsBelow(least, most, steps);
  // Without steps a side has no values either.
  const unit = Math.max(most / Math.max(1, steps - below), -least / Math.max(1, below));
  const lines: string[] = [];
  for (let row = PLOT_ROWS - 1; row >= 0; row -= 1) {
    // Each row has two steps; step 0 stands right above the 0.
    const low = row * 2 - below;
    lines.push(
      spans.map((span) => cell(isIn(span, low, unit), isIn(span, low + 1, unit))).join(""),
    );
  }
  return withScale(lines, { least, most, zero: PLOT_ROWS - 1 - below / 2 });
}

/** How many steps are for what is negative: whole rows, and one at least for a side with values. */
function stepsBelow(least: number, most: number, steps: number): number {
  if (least === 0) return 0;
  if (most === 0) return steps;
  return Math.max(2, Math.min(steps - 2, 2 * Math.round((PLOT_ROWS * -least) / (most - least))));
}

/** Whether the bar of a place reaches into a step. */
function isIn({ least, most }: Span, step: number, unit: number): boolean {
  return step >= 0 ? most > step * unit : least < (step + 1) * unit;
}

function cell(hasLow: boolean, hasHigh: boolean): string {
  if (hasLow) return hasHigh ? "█" : "▄";
  return hasHigh ? "▀" : " ";
}

/** The scale on the left, with 0 where it belongs. */
function withScale(
  lines: readonly string[],
  at: { readonly least: number; readonly most: number; readonly zero: number },
): string[] {
  const labels = lines.map((_, row) => {
    if (row === 0 && at.most > 0) return brief(at.most);
    if (row === lines.length - 1 && at.least < 0) return brief(at.least);
    return row === Math.max(0, at.zero) ? "0" : "";
  });
  const width = Math.max(...labels.map((label) => label.length));
  return lines.map((line, row) => {
    const label = labels[row] ?? "";
    return `${label.padStart(width)} ${label === "" ? "│" : "┤"}${line}`.trimEnd();
  });
}

function spansOf(values: ArrayLike<number>, width: number): Span[] {
  const places = Math.min(width, values.length);
  return Array.from({ length: places }, (_, place) => {
    const [from, to] = rangeOf(place, places, values.length);
    let least = Number.POSITIVE_INFINITY;
    let most = Number.NEGATIVE_INFINITY;
    for (let i = from; i < to; i += 1) {
      const value = values[i] ?? 0;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    return { least, most };
  });
}

function rangeOf(place: number, places: number, count: number): [from: number, to: number] {
  return [Math.floor((place * count) / places), Math.floor(((place + 1) * count) / places)];
}

/** A number in few characters. */
export function brief(value: number): string {
  const plain = String(Number(value.toPrecision(3)));
  return plain.length <= 8 ? plain : value.toExponential(1);
}
