import { visible } from "./visible.ts";

/** A table of text: columns as wide as their widest cell, two spaces between, no trailing spaces. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  options: { readonly rightAligned?: readonly string[] } = {},
): string {
  const lines = [header, ...rows].map((line) => line.map(visible));
  const widths = header.map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? "").length)),
  );
  const right = header.map((name) => options.rightAligned?.includes(name) ?? false);
  return lines
    .map((line) =>
      widths
        .map((width, column) => {
          const cell = line[column] ?? "";
          return right[column] ? cell.padStart(width) : cell.padEnd(width);
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
