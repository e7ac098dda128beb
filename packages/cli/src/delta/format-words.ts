import type { TextFormat } from "./text-format.ts";
import type { TimeFormat } from "./time-text.ts";

/** A format in words, for people. */
export function formatWords(format: TextFormat): string {
  switch (format.kind) {
    case "integer": {
      const { width, affix } = format;
      return sign(width === 0 ? "whole numbers" : `whole numbers of ${width} digits`, affix);
    }
    case "decimal":
      return sign(
        `numbers with ${format.digits} decimal${format.digits === 1 ? "" : "s"}`,
        format.affix,
      );
    case "number":
      return format.style === "python" ? "numbers as Python writes them" : "numbers";
    case "bigint":
      return "whole numbers of 64 bits";
    case "boolean":
      return `${format.no} and ${format.yes}`;
    case "time":
      return timeWords(format.time);
    case "text":
      return "text";
    case "json":
      return "JSON of any kind";
  }
}

function sign(
  words: string,
  affix: { readonly prefix: string; readonly suffix: string } | undefined,
): string {
  return affix === undefined ? words : `${words} and ${`${affix.prefix}${affix.suffix}`.trim()}`;
}

function timeWords({ separator, seconds, fraction, zone }: TimeFormat): string {
  if (separator === "") return "YYYY-MM-DD";
  const part = fraction === 0 ? "" : `.${"s".repeat(fraction)}`;
  return `YYYY-MM-DD${separator}hh:mm${seconds ? ":ss" : ""}${part}${zone}`;
}
