import {
  type Element,
  isTyped,
  joinValues,
  newTyped,
  type TypedValues,
  type Values,
  type ValueType,
} from "./values.ts";

/** Room at first, which doubles. */
const ROOM_MIN = 64;

/**
 * The end of a series until it is a chunk. Typed values stand in an array of their type: a NaN may lose
 * bits where it is a number.
 */
export class SeriesTail {
  readonly #type: ValueType;
  readonly #plain: Element[] = [];
  #typed: TypedValues | undefined;
  #length = 0;

  constructor(type: ValueType) {
    this.#type = type;
    if (isTyped(type)) this.#typed = newTyped(type, ROOM_MIN);
  }

  get length(): number {
    return this.#length;
  }

  /** As a view, good until more is added. */
  get values(): Values {
    return this.#typed?.subarray(0, this.#length) ?? (this.#plain as Values);
  }

  at(index: number): Element {
    return (this.#typed ?? this.#plain)[index] as Element;
  }

  push(value: Element): void {
    if (this.#typed === undefined) this.#plain.push(value);
    else {
      if (this.#length === this.#typed.length) this.#grow(2 * this.#length);
      (this.#typed as Float64Array)[this.#length] = value as number;
    }
    this.#length += 1;
  }

  /** Values of the series' type, which the tail of a typed series can hold. */
  put(values: readonly Element[] | TypedValues): void {
    const length = this.#length + values.length;
    if (this.#typed === undefined) for (const value of values) this.#plain.push(value);
    else {
      if (length > this.#typed.length) this.#grow(Math.max(length, 2 * this.#typed.length));
      (this.#typed as Float64Array).set(values as Float64Array, this.#length);
    }
    this.#length = length;
  }

  /** What it would hold with these values of its type too, in memory of its own. */
  with(values: Values): Values {
    return joinValues([this.values, values]);
  }

  #grow(room: number): void {
    if (!isTyped(this.#type)) return;
    const grown = newTyped(this.#type, room) as Float64Array;
    grown.set(this.values as Float64Array);
    this.#typed = grown;
  }
}
