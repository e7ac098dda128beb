import { CubbyError } from "@cubby/protocol";

export type JsonKind = "null" | "boolean" | "number" | "string" | "nested";

/** A value in JSON text, as it stands there: numbers are not read, since reading may round them. */
export type JsonToken = {
  readonly kind: JsonKind;
  /** The source text of the value. */
  readonly raw: string;
};

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SPACE = /[ \t\r\n]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON strings hold none, unless escaped.
const NEEDS_CHECK = /[\\\u0000-\u001f]/;
const NESTED = /[[\]{}"]/g;
const WORDS = { n: "null", t: "true", f: "false" } as const;

/** Takes one line of JSON apart. */
export class JsonScan {
  readonly #text: string;
  readonly #line: number;
  #at = 0;

  constructor(text: string, line: number) {
    this.#text = text;
    this.#line = line;
  }

  /** The members of an object. */
  object(): Map<string, JsonToken> {
    const members = new Map<string, JsonToken>();
    this.#expect("{");
    if (this.#next() === "}") this.#at += 1;
    else {
      do {
        if (this.#next() !== '"') throw this.#malformed("a key is expected");
        const key = JSON.parse(this.#string()) as string;
        if (members.has(key))
          throw this.#malformed(`the key ${JSON.stringify(key)} is there twice`);
        this.#expect(":");
        members.set(key, this.#value());
      } while (this.#ends(","));
      this.#expect("}");
    }
    this.#end();
    return members;
  }

  /** A value alone. */
  value(): JsonToken {
    const token = this.#value();
    this.#end();
    return token;
  }

  #value(): JsonToken {
    const next = this.#next();
    switch (next) {
      case '"':
        return { kind: "string", raw: this.#string() };
      case "{":
      case "[":
        return { kind: "nested", raw: this.#nested() };
      case "n":
      case "t":
      case "f": {
        const word = WORDS[next];
        if (!this.#text.startsWith(word, this.#at))
          throw this.#malformed("a word is no JSON value");
        this.#at += word.length;
        return { kind: word === "null" ? "null" : "boolean", raw: word };
      }
      default:
        return { kind: "number", raw: this.#match(NUMBER, "a value") };
    }
  }

  /** A string in its quotes, of which the first is the next character. */
  #string(): string {
    const start = this.#at;
    let end = start;
    do {
      end = this.#text.indexOf('"', end + 1);
      if (end === -1) throw this.#malformed("a string does not end");
    } while (isEscaped(this.#text, end));
    this.#at = end + 1;
    const raw = this.#text.slice(start, this.#at);
    if (NEEDS_CHECK.test(raw)) this.#check(raw);
    return raw;
  }

  /** Up to the bracket that closes, past strings; what is within is then left to `JSON.parse`. */
  #nested(): string {
    const start = this.#at;
    let depth = 0;
    for (;;) {
      NESTED.lastIndex = this.#at;
      const found = NESTED.exec(this.#text);
      if (found === null) throw this.#malformed("a bracket is not closed");
      this.#at = found.index;
      if (found[0] === '"') this.#string();
      else {
        depth += found[0] === "{" || found[0] === "[" ? 1 : -1;
        this.#at += 1;
        if (depth === 0) break;
      }
    }
    const raw = this.#text.slice(start, this.#at);
    this.#check(raw);
    return raw;
  }

  #check(raw: string): void {
    try {
      JSON.parse(raw);
    } catch (cause) {
      throw new CubbyError("file_malformed", `Line ${this.#line}: no JSON: ${raw.slice(0, 40)}`, {
        cause,
      });
    }
  }

  #match(pattern: RegExp, what: string): string {
    this.#next();
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) throw this.#malformed(`${what} is expected`);
    this.#at += found.length;
    return found;
  }

  /** The next character that is no space; "" at the end. */
  #next(): string {
    SPACE.lastIndex = this.#at;
    SPACE.test(this.#text);
    this.#at = SPACE.lastIndex;
    return this.#text[this.#at] ?? "";
  }

  #ends(what: string): boolean {
    if (this.#next() !== what) return false;
    this.#at += 1;
    return true;
  }

  #expect(what: string): void {
    if (!this.#ends(what)) throw this.#malformed(`"${what}" is expected`);
  }

  #end(): void {
    if (this.#next() !== "") throw this.#malformed("more text behind the value");
  }

  #malformed(what: string): CubbyError {
    const near = this.#text.slice(this.#at, this.#at + 20);
    const where = near === "" ? "at its end" : `at column ${this.#at + 1} (${near})`;
    return new CubbyError("file_malformed", `Line ${this.#line}, ${where}: ${what}.`);
  }
}

/** Whether an odd number of backslashes stands before `at`. */
function isEscaped(text: string, at: number): boolean {
  let start = at;
  while (text[start - 1] === "\\") start -= 1;
  return (at - start) % 2 === 1;
}
