import type { Values, ValueType } from "@cubby/delta";
import { readNumber } from "./any-number.ts";
import { type ColumnRequest, seriesOf } from "./column-type.ts";
import {
  type Cell,
  codecOf,
  detectFormat,
  isNullable,
  type TextCodec,
  type TextFormat,
} from "./text-format.ts";

export type BuiltColumn = {
  readonly format: TextFormat;
  readonly type: ValueType;
  readonly values: Values;
};

/** So many texts are looked at before the first choice of a format. */
const SAMPLE_TEXTS = 1_024;

type Choice = {
  readonly format: TextFormat;
  readonly codec: TextCodec;
  readonly nullable: boolean;
};

/**
 * Takes a column's texts one by one and keeps values. When a text comes that the format does not
 * fit, all texts so far are written out again, which formats do without loss, and another format is
 * chosen that fits them all.
 */
export class ColumnBuilder {
  readonly #request: ColumnRequest;
  #texts: (string | null)[] = [];
  #cells: (Cell | null)[] = [];
  #choice: Choice | undefined;

  constructor(request: ColumnRequest) {
    this.#request = request;
  }

  get length(): number {
    return this.#choice === undefined ? this.#texts.length : this.#cells.length;
  }

  /** False if no format that is asked for fits any more; `misfit` tells where. */
  add(text: string | null): boolean {
    if (this.#choice !== undefined) {
      const cell = cellOf(text, this.#choice);
      if (cell !== undefined) {
        this.#cells.push(cell);
        return true;
      }
      this.#texts = this.texts();
      this.#cells = [];
      this.#choice = undefined;
      this.#texts.push(text);
      return this.#choose();
    }
    this.#texts.push(text);
    return this.#texts.length < SAMPLE_TEXTS || this.#choose();
  }

  /** All texts so far. */
  texts(): (string | null)[] {
    const { codec } = this.#choice ?? {};
    if (codec === undefined) return this.#texts;
    return this.#cells.map((cell) => (cell === null ? null : (codec.write(cell) ?? null)));
  }

  /** The first text that cannot be had with those before it, and in words why not. */
  misfit(): { readonly index: number; readonly why: string } {
    const index = this.#misfitIndex() ?? 0;
    const text = this.texts()[index] ?? null;
    const what = text === null ? "an empty value" : JSON.stringify(text);
    const { lenient, type } = this.#request;
    const isNumber = lenient && text !== null && text.trim() !== "" && !Number.isNaN(Number(text));
    const why = isNumber
      ? `would be another number as ${type}. Ask for string, or for bigint if all are whole, or leave --type out.`
      : "is not of the type that was asked for.";
    return { index, why: `${what} ${why}` };
  }

  /** Undefined if all texts can be had. */
  #misfitIndex(): number | undefined {
    if (this.#choice !== undefined || this.#choose()) return undefined;
    let fitting = 0;
    let failing = this.#texts.length;
    while (failing - fitting > 1) {
      const middle = (fitting + failing) >> 1;
      if (this.#detect(this.#texts.slice(0, middle)) === undefined) failing = middle;
      else fitting = middle;
    }
    return failing - 1;
  }

  /** Undefined if no format fits. */
  finish(): BuiltColumn | undefined {
    if (this.#choice === undefined && !this.#choose()) return undefined;
    if (this.#choice === undefined) return undefined;
    const { format } = this.#choice;
    return { format, ...seriesOf(this.#cells, format, this.#request.type) };
  }

  #choose(): boolean {
    const choice = this.#detect(this.#texts);
    if (choice === undefined) return false;
    this.#cells = this.#texts.map((text) => cellOf(text, choice) ?? null);
    this.#texts = [];
    this.#choice = choice;
    return true;
  }

  #detect(texts: readonly (string | null)[]): Choice | undefined {
    const { kinds, lenient } = this.#request;
    const parse = (text: string): number | undefined => readNumber(text, !kinds.has("number"));
    const format = detectFormat(texts, kinds);
    if (format !== undefined) {
      return { format, codec: codecOf(format), nullable: isNullable(format) };
    }
    if (!lenient || !texts.every((text) => text === null || parse(text) !== undefined)) {
      return undefined;
    }
    const shortest: TextFormat = { kind: "number", style: "js" };
    return {
      format: shortest,
      codec: { parse, write: codecOf(shortest).write },
      nullable: true,
    };
  }
}

function cellOf(text: string | null, { codec, nullable }: Choice): Cell | null | undefined {
  if (text !== null) return codec.parse(text);
  return nullable ? null : undefined;
}
