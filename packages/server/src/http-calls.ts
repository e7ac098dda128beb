import { DecodeError, utf8Decode } from "@cubby/base";
import {
  Acquire,
  Cancel,
  CheckSequencer,
  Close,
  CreateSession,
  CubbyError,
  Delete,
  EndSession,
  ERROR_CODES,
  type ErrorCode,
  errorCodeOf,
  GetContentsAndStat,
  GetSequencer,
  GetStat,
  GetStatus,
  KeepAlive,
  Locate,
  LockMode,
  NodeKind,
  Open,
  type Outcome,
  quoted,
  ReadDir,
  Release,
  type Reply,
  Request,
  SetContents,
} from "@cubby/protocol";
import type { CallName } from "./lane.ts";

/*
 * POST /v1/<Call>: the schema's JSON mapping. The body holds the call's own fields beside those of
 * the envelope, or the call's fields in an object under the call's name, as the schema has them
 * (Cancel needs that: its requestNumber is not the envelope's). The generated reader is lenient
 * (it skips unknown fields and takes "false" for true), so fields are checked here first.
 */

/** An empty message of each call: its keys are the fields that the call knows. */
const EMPTY_CALLS: { readonly [Name in CallName]: object } = {
  locate: Locate.create(),
  getStatus: GetStatus.create(),
  createSession: CreateSession.create(),
  keepAlive: KeepAlive.create(),
  endSession: EndSession.create(),
  cancel: Cancel.create(),
  open: Open.create(),
  close: Close.create(),
  getContentsAndStat: GetContentsAndStat.create(),
  getStat: GetStat.create(),
  readDir: ReadDir.create(),
  setContents: SetContents.create(),
  delete: Delete.create(),
  acquire: Acquire.create(),
  release: Release.create(),
  getSequencer: GetSequencer.create(),
  checkSequencer: CheckSequencer.create(),
};

export const CALL_NAMES = Object.keys(EMPTY_CALLS) as readonly CallName[];

const ENVELOPE: ReadonlyMap<string, unknown> = new Map(
  Object.entries(Request.create()).filter(([key]) => key !== "tag" && key !== "call"),
);

/** Names of values, which stand where the schema has an enum. */
const ENUM_FIELDS: ReadonlySet<string> = new Set(["kind", "create", "mode", "lockMode"]);
const ENUM_NAMES: ReadonlyMap<string, ReadonlyMap<number, string>> = new Map([
  ["kind", namesOf(NodeKind)],
  ["lockMode", namesOf(LockMode)],
]);

/** Fields that count only if another one says so: in JSON it is easily left out. */
const COUNTS_IF: ReadonlyMap<string, string> = new Map([
  ["ifGeneration", "hasIfGeneration"],
  ["lockDelayMs", "hasLockDelay"],
]);

const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

const CALL_BY_PATH: ReadonlyMap<string, CallName> = new Map(
  CALL_NAMES.map((name) => [pathOfCall(name), name]),
);

/** The call behind a path such as /v1/GetStat. */
export function callOfPath(path: string): CallName | undefined {
  return CALL_BY_PATH.get(path);
}

export function pathOfCall(name: CallName): string {
  return `/v1/${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}

/** The request that a body stands for. Throws CubbyError invalid_argument, naming the field. */
export function requestOfBody(name: CallName, body: Uint8Array, tag: number): Request {
  const known = new Map<string, unknown>(Object.entries(EMPTY_CALLS[name]));
  const json: Record<string, unknown> = { tag };
  const own: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(parseObject(body))) {
    if (key === name) {
      if (!isObject(value)) throw invalid(`${quoted(key)} must be an object.`);
      for (const [inner, innerValue] of Object.entries(value)) {
        own[checkField(known, inner, innerValue)] = innerValue;
      }
    } else if (ENVELOPE.has(camelCase(key))) {
      json[checkField(ENVELOPE, key, value)] = value;
    } else {
      own[checkField(known, key, value)] = value;
    }
  }
  checkConditions(own);
  json[name] = own;
  return readRequest(json);
}

/** HTTP status and body of a reply. */
export function bodyOfReply(reply: Reply): { status: number; body: string } {
  const result = reply.result;
  if (result === undefined) {
    return errorBody(new CubbyError("internal", "The replica gave no result."));
  }
  if (result.$case === "error") {
    const { code, ...told } = result.value;
    const name = errorCodeOf(code);
    return bodyOfError(name, ERROR_CODES[name].outcome, told, reply.clientEpoch);
  }
  const fields = jsonOf(result.value);
  return { status: 200, body: JSON.stringify({ ...fields, clientEpoch: reply.clientEpoch }) };
}

/** The same form for what goes wrong before a call reaches the core. */
export function errorBody(error: CubbyError): { status: number; body: string } {
  const detail = error.message.replace(`[${error.code}] `, "");
  return bodyOfError(error.code, error.outcome, { detail, masterId: 0, masterAddress: "" }, 0);
}

function bodyOfError(
  code: ErrorCode,
  outcome: Outcome,
  told: { readonly detail: string; readonly masterId: number; readonly masterAddress: string },
  clientEpoch: number,
): { status: number; body: string } {
  const { id, retry, help, httpStatus } = ERROR_CODES[code];
  const { detail, masterId, masterAddress } = told;
  const error = {
    code,
    id,
    outcome,
    retryable: retry,
    detail,
    help,
    masterId,
    masterAddress,
  };
  return { status: httpStatus, body: JSON.stringify({ error, clientEpoch }) };
}

function parseObject(body: Uint8Array): object {
  if (body.length === 0) return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(utf8Decode(body));
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof DecodeError)) throw error;
    throw invalid("The body is not JSON in UTF-8.");
  }
  if (!isObject(parsed)) throw invalid("The body must be one JSON object.");
  return parsed;
}

/** The field's name in the generated reader, once the value is of the field's type. */
function checkField(known: ReadonlyMap<string, unknown>, key: string, value: unknown): string {
  const name = camelCase(key);
  const example = known.get(name);
  if (example === undefined) throw invalid(`The field ${quoted(key)} is not known here.`);
  const problem = valueProblem(name, example, value);
  if (problem !== undefined) throw invalid(`The field ${quoted(key)} must be ${problem}.`);
  return name;
}

/** A write that was to depend on a generation must not become one that overwrites whatever there is. */
function checkConditions(own: Readonly<Record<string, unknown>>): void {
  for (const [field, condition] of COUNTS_IF) {
    const value = own[field];
    // Both as they are when unset: some writers of JSON name every field.
    const isUnset = Number(value) === 0 && own[condition] === false;
    if (value === undefined || own[condition] === true || isUnset) continue;
    throw invalid(`The field ${quoted(field)} needs ${quoted(condition)}: true beside it.`);
  }
}

function valueProblem(name: string, example: unknown, value: unknown): string | undefined {
  if (typeof example === "boolean") {
    return typeof value === "boolean" ? undefined : "true or false";
  }
  if (typeof example === "string") return typeof value === "string" ? undefined : "a string";
  if (typeof example === "number") {
    // Which names there are is known to the generated reader alone.
    if (ENUM_FIELDS.has(name) && typeof value === "string") return undefined;
    const digits = typeof value === "string" && /^\d{1,16}$/.test(value);
    const whole = Number.isSafeInteger(digits ? Number(value) : value) && Number(value) >= 0;
    return whole ? undefined : "a whole number from 0 to 2^53 - 1";
  }
  const encoded = typeof value === "string" && value.length % 4 !== 1 && BASE64.test(value);
  return encoded ? undefined : "bytes in base64";
}

function readRequest(json: object): Request {
  try {
    return Request.fromJSON(json);
  } catch (error) {
    // All that can still be wrong is the name or the number of an enum's value, and it says so.
    throw invalid(error instanceof Error ? `${error.message}.` : "A field cannot be read.");
  }
}

/**
 * The schema's JSON mapping of a result, with the fields that are zero: people read it by eye and
 * with `jq`. Not by the generated writer, whose base64 holds the event loop up for a large file.
 */
function jsonOf(value: object): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    if (field !== undefined) fields[key] = jsonOfField(key, field);
  }
  return fields;
}

function jsonOfField(key: string, field: unknown): unknown {
  if (typeof field === "number") return ENUM_NAMES.get(key)?.get(field) ?? field;
  if (Array.isArray(field)) return field.map((item) => jsonOfField(key, item));
  if (field instanceof Uint8Array) {
    return Buffer.from(field.buffer, field.byteOffset, field.byteLength).toString("base64");
  }
  return isObject(field) ? jsonOf(field) : field;
}

function namesOf(values: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(values).map(([name, value]) => [value, name]));
}

function camelCase(key: string): string {
  return key.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function invalid(detail: string): CubbyError {
  return new CubbyError("invalid_argument", detail);
}
