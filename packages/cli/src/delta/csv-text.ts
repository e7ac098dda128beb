/**
 * CSV as RFC 4180 has it, and telling two things that CSV packages do not tell, or only at a crawl:
 * whether a field stood in quotes (which keeps "" apart from nothing), and on which line a record
 * began. Without them a file could not come back as it was.
 */

import { CubbyError } from "@cubby/protocol";
import { RECORD_CHARS_MAX } from "./text-table.ts";

export type CsvRecord = {
  readonly fields: readonly string[];
  /** One for each field: whether it stood in quotes. */
  readonly quoted: readonly boolean[];
  /** Whether a carriage return stands before the line feed. */
  readonly hasReturn: boolean;
  /** Counted from 1. */
  readonly line: number;
};

const QUOTE = '"';
const NEVER = Number.POSITIVE_INFINITY;

/** Cuts text, which comes in pieces, into records. */
export class CsvReader {
  readonly #delimiter: string;
  #text = "";
  #at = 0;
  #line = 1;
  /** Where the next of each stands, at or behind #at; found once and used until it is passed. */
  #nextDelimiter = -1;
  #nextNewline = -1;
  /** Nothing new can be said about a record that was cut off before there is so much text. */
  #wanted = 0;

  constructor(delimiter: string) {
    this.#delimiter = delimiter;
  }

  /** The records that end in what has come so far; with `isLast`, all that are left. */
  *read(piece: string, isLast: boolean): Generator<CsvRecord> {
    this.#text = this.#at === 0 ? this.#text + piece : this.#text.slice(this.#at) + piece;
    this.#at = 0;
    this.#nextDelimiter = -1;
    this.#nextNewline = -1;
    if (this.#text.length < this.#wanted && !isLast) return;
    while (this.#at < this.#text.length) {
      const record = this.#record(isLast);
      if (record === undefined) {
        const left = this.#text.length - this.#at;
        if (left > RECORD_CHARS_MAX) throw this.#malformed("a record does not end");
        // Doubled, so that a long record is not read again with each piece of it.
        this.#wanted = left * 2;
        return;
      }
      this.#wanted = 0;
      yield record;
    }
  }

  /** The record at #at, behind which #at then stands; undefined if it may go on in the next piece. */
  #record(isLast: boolean): CsvRecord | undefined {
    const fields: string[] = [];
    const quoted: boolean[] = [];
    const line = this.#line;
    let newlines = 0;
    let hasReturn = false;
    let at = this.#at;
    for (;;) {
      let end: number;
      if (this.#text[at] === QUOTE) {
        const close = this.#closingQuote(at + 1);
        if (close === undefined) {
          if (isLast) throw this.#malformed("a quote is not closed");
          return undefined;
        }
        const inner = this.#text.slice(at + 1, close);
        newlines += count(inner, "\n");
        fields.push(inner.includes(QUOTE) ? inner.replaceAll('""', QUOTE) : inner);
        quoted.push(true);
        end = this.#fieldEnd(close + 1);
        hasReturn = this.#text.slice(close + 1, end) === "\r";
        if (end > close + 1 && !hasReturn) {
          // What ends with the piece may be a quote that goes on as "" in the next.
          if (end === this.#text.length && !isLast) return undefined;
          throw this.#malformed("a field goes on behind its closing quote");
        }
      } else {
        end = this.#fieldEnd(at);
        const isLastField = this.#text[end] !== this.#delimiter;
        hasReturn = isLastField && end > at && this.#text[end - 1] === "\r";
        fields.push(this.#text.slice(at, hasReturn ? end - 1 : end));
        quoted.push(false);
      }
      if (end === this.#text.length && !isLast) return undefined;
      at = end + 1;
      if (this.#text[end] === this.#delimiter) continue;
      this.#at = Math.min(at, this.#text.length);
      this.#line += newlines + 1;
      return { fields, quoted, hasReturn, line };
    }
  }

  /** The next delimiter, newline, or the end. */
  #fieldEnd(from: number): number {
    if (this.#nextDelimiter < from) this.#nextDelimiter = this.#find(this.#delimiter, from);
    if (this.#nextNewline < from) this.#nextNewline = this.#find("\n", from);
    return Math.min(this.#nextDelimiter, this.#nextNewline, this.#text.length);
  }

  #find(what: string, from: number): number {
    const at = this.#text.indexOf(what, from);
    return at === -1 ? NEVER : at;
  }

  #closingQuote(from: number): number | undefined {
    let at = from;
    for (;;) {
      const quote = this.#text.indexOf(QUOTE, at);
      if (quote === -1) return undefined;
      if (this.#text[quote + 1] !== QUOTE) return quote;
      at = quote + 2;
    }
  }

  #malformed(what: string): CubbyError {
    return new CubbyError("file_malformed", `Line ${this.#line}: ${what}.`);
  }
}

function count(text: string, what: string): number {
  let found = 0;
  for (let at = text.indexOf(what); at !== -1; at = text.indexOf(what, at + 1)) found += 1;
  return found;
}

/** What a field must stand in quotes for. */
export function mustQuote(delimiter: string): RegExp {
  const escaped = delimiter.replace(/[\\\]^-]/, "\\$&");
  return new RegExp(`["\\r\\n${escaped}]`);
}

/** One field as it is written. */
export function csvField(text: string, must: RegExp, always: boolean): string {
  return always || must.test(text) ? `"${text.replaceAll(QUOTE, '""')}"` : text;
}
