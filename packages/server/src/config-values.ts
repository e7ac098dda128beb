import { MEMBERS_MAX, REPLICA_ID_MAX } from "@cubby/paxos";
import { type Address, addressText, parseAddress } from "./address.ts";

/** A replica and where it is reached. */
export type ReplicaAt = Address & { readonly replicaId: number };

/** A value that was read, or what would have been right instead ("a whole number from 1 to 5"). */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly wanted: string };

/** How one kind of setting is read from text (flags, environment) and from the JSON file. */
export type ValueKind<T> = {
  /** For the reference, for example "milliseconds, 50 to 60000". */
  readonly description: string;
  /** What stands for the value in help: `--flag <argument>`; undefined for a switch. */
  readonly argument: string | undefined;
  parse(input: unknown): Parsed<T>;
  print(value: T): string;
};

const TEXT_LENGTH_MAX = 4096;

export function text(argument: string, description: string): ValueKind<string> {
  return {
    description,
    argument,
    parse: (input) => {
      const fits = typeof input === "string" && input !== "" && input.length <= TEXT_LENGTH_MAX;
      return fits && !input.includes("\0") ? { ok: true, value: input } : refused(description);
    },
    print: (value) => value,
  };
}

export function matching(argument: string, form: RegExp, description: string): ValueKind<string> {
  return {
    description,
    argument,
    parse: (input) =>
      typeof input === "string" && form.test(input)
        ? { ok: true, value: input }
        : refused(description),
    print: (value) => value,
  };
}

export function integer(min: number, max: number): ValueKind<number> {
  return scaled("n", `a whole number from ${min} to ${max}`, min, max, { "": 1 });
}

/** Milliseconds; text may carry a unit, as in 600ms, 12s, 1m. */
export function milliseconds(min: number, max: number): ValueKind<number> {
  const units = { "": 1, ms: 1, s: 1_000, m: 60_000 };
  return scaled("ms", `milliseconds from ${min} to ${max} (or 600ms, 12s, 1m)`, min, max, units);
}

/** Bytes; text may carry a unit, as in 64KiB, 256MiB. */
export function byteCount(min: number, max: number): ValueKind<number> {
  const units = { "": 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
  return scaled("bytes", `bytes from ${min} to ${max} (or 64KiB, 256MiB)`, min, max, units);
}

export function choice<T extends string>(choices: readonly T[]): ValueKind<T> {
  const description = `one of ${choices.join(", ")}`;
  return {
    description,
    argument: choices.join("|"),
    parse: (input) => {
      const found = choices.find((value) => value === input);
      return found === undefined ? refused(description) : { ok: true, value: found };
    },
    print: (value) => value,
  };
}

export const flag: ValueKind<boolean> = {
  description: "true or false",
  argument: undefined,
  parse: (input) => {
    if (input === true || input === "true" || input === "1") return { ok: true, value: true };
    if (input === false || input === "false" || input === "0") return { ok: true, value: false };
    return refused("true or false");
  },
  print: (value) => String(value),
};

export const address: ValueKind<Address> = {
  description: "host:port, or [v6]:port",
  argument: "host:port",
  parse: (input) => {
    const parsed = typeof input === "string" ? parseAddress(input) : undefined;
    return parsed === undefined ? refused("host:port, or [v6]:port") : { ok: true, value: parsed };
  },
  print: addressText,
};

/** `1@host:port,2@host:port` in text, a list of such strings in the file; "" and [] are none. */
export const replicaList: ValueKind<readonly ReplicaAt[]> = {
  description: "a list of id@host:port, separated by commas",
  argument: "id@host:port,...",
  parse: (input) => {
    const wanted = refused<readonly ReplicaAt[]>(
      `at most ${MEMBERS_MAX} different id@host:port, separated by commas`,
    );
    const parts = listParts(input);
    if (parts === undefined || parts.length > MEMBERS_MAX) return wanted;
    const replicas: ReplicaAt[] = [];
    for (const part of parts) {
      const replica = parseReplica(part);
      if (replica === undefined) return wanted;
      if (replicas.some((other) => other.replicaId === replica.replicaId)) return wanted;
      replicas.push(replica);
    }
    replicas.sort((a, b) => a.replicaId - b.replicaId);
    return { ok: true, value: Object.freeze(replicas) };
  },
  print: (value) => value.map((at) => `${at.replicaId}@${addressText(at)}`).join(","),
};

/** As `kind`, or the word "none". */
export function optional<T>(kind: ValueKind<T>): ValueKind<T | undefined> {
  return {
    description: `${kind.description}, or none`,
    argument: kind.argument,
    parse: (input) => {
      if (input === "none") return { ok: true, value: undefined };
      const parsed = kind.parse(input);
      return parsed.ok ? parsed : refused(`${parsed.wanted}, or none`);
    },
    print: (value) => (value === undefined ? "none" : kind.print(value)),
  };
}

function refused<T>(wanted: string): Parsed<T> {
  return { ok: false, wanted };
}

function scaled(
  argument: string,
  description: string,
  min: number,
  max: number,
  units: Readonly<Record<string, number>>,
): ValueKind<number> {
  const scales = new Map(Object.entries(units));
  return {
    description,
    argument,
    parse: (input) => {
      const [, digits = "", unit = ""] = /^(\d{1,15})([A-Za-z]{0,3})$/.exec(String(input)) ?? [];
      const scale = scales.get(unit);
      const plain = typeof input === "number" || typeof input === "string";
      if (!plain || digits === "" || scale === undefined) return refused(description);
      const value = Number(digits) * scale;
      return value >= min && value <= max ? { ok: true, value } : refused(description);
    },
    print: (value) => String(value),
  };
}

function listParts(input: unknown): readonly string[] | undefined {
  if (typeof input === "string") return input === "" ? [] : input.split(",");
  if (!Array.isArray(input)) return undefined;
  const parts: string[] = [];
  for (const part of input) {
    if (typeof part !== "string") return undefined;
    parts.push(part);
  }
  return parts;
}

function parseReplica(part: string): ReplicaAt | undefined {
  const [, digits = "", where = ""] = /^\s*(\d{1,4})@(\S+)\s*$/.exec(part) ?? [];
  const replicaId = Number(digits);
  const at = parseAddress(where);
  if (at === undefined || at.port === 0) return undefined;
  if (replicaId < 1 || replicaId > REPLICA_ID_MAX) return undefined;
  return { replicaId, ...at };
}
