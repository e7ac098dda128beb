import { hostname } from "node:os";
import { basename } from "node:path";
import { NEVER, utf8Encode } from "@cubby/base";
import {
  CLIENT_NAME_BYTES_MAX,
  CubbyError,
  GRACE_PERIOD_MS_DEFAULT,
  SESSION_LEASE_MS_MAX,
  SESSION_LEASE_MS_MIN,
} from "@cubby/protocol";
import { checkText, optionsOf, signalOf } from "./arguments.ts";
import { parseCellAddress } from "./core/cell-address.ts";
import type { SessionEvent, SessionMachine } from "./core/session-machine.ts";
import { durationMs, timeoutMsOf } from "./duration.ts";
import { errorOf, onceAborted, quiet } from "./pending-call.ts";
import type { ConnectionPool } from "./pool.ts";
import { CubbySession } from "./session.ts";
import { Transport } from "./transport.ts";

export type ConnectOptions = {
  /** SES-5: 2,000 to 60,000; the cell's default is 12,000. */
  readonly leaseMs?: number;
  /** SES-12: how long a session in jeopardy waits before it counts as expired; 45,000. */
  readonly gracePeriodMs?: number;
  /** For every call that says nothing else; 30,000. */
  readonly requestTimeoutMs?: number;
  /** How long `connect` itself may take; 10,000. Infinity waits for ever, or until `signal` aborts. */
  readonly connectTimeoutMs?: number;
  /** How long `close` may take; 2,000. */
  readonly closeTimeoutMs?: number;
  /** For the cell's operators: program, host and process unless said otherwise. */
  readonly clientName?: string;
  /** Aborts connecting; a session that is open is not touched by it. */
  readonly signal?: AbortSignal | undefined;
  /** Sessions of one pool share one connection to a cell. */
  readonly pool?: ConnectionPool;
};

const REQUEST_TIMEOUT_MS_DEFAULT = 30_000;
const CONNECT_TIMEOUT_MS_DEFAULT = 10_000;
const CLOSE_TIMEOUT_MS_DEFAULT = 2_000;

/** Opens a session with the cell at `cubby://host[:port],…/cell`. */
export function connect(address: string, options: ConnectOptions = {}): Promise<CubbySession> {
  return quiet(connectTo(address, options));
}

async function connectTo(address: string, given: ConnectOptions): Promise<CubbySession> {
  const options = optionsOf(given);
  const cell = parseCellAddress(checkText("The address of the cell", address));
  const signal = signalOf(options.signal);
  if (signal?.aborted) throw aborted(signal);
  const gracePeriodMs = durationMs(
    options.gracePeriodMs ?? GRACE_PERIOD_MS_DEFAULT,
    "gracePeriodMs",
  );
  const terms = {
    leaseMs: leaseMsOf(options.leaseMs),
    gracePeriodMs,
    clientName: clientNameOf(options.clientName),
    openWithinMs:
      timeoutMsOf(options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS_DEFAULT, "connectTimeoutMs") ??
      NEVER,
  };
  const settings = {
    gracePeriodMs,
    requestTimeoutMs: timeoutMsOf(
      options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT,
      "requestTimeoutMs",
    ),
    closeTimeoutMs: durationMs(
      options.closeTimeoutMs ?? CLOSE_TIMEOUT_MS_DEFAULT,
      "closeTimeoutMs",
    ),
  };
  const transport = options.pool?.transportFor(cell) ?? new Transport(cell);
  return new Promise((resolve, reject) => {
    const abort = () => {
      transport.step({ kind: "closeSession", session: machine, withinMs: 0 });
    };
    let session: CubbySession | undefined;
    const onEvent = (event: SessionEvent): void => {
      if (session !== undefined) {
        session.onEvent(event);
        return;
      }
      stopListening?.();
      if (event.kind === "opened") {
        session = new CubbySession(transport, machine, settings);
        resolve(session);
      } else if (event.kind === "failedToOpen") reject(errorOf(event.failure));
      else reject(aborted(signal));
    };
    const machine: SessionMachine = transport.openSession(terms, onEvent);
    const stopListening = signal === undefined ? undefined : onceAborted(signal, abort);
  });
}

function leaseMsOf(leaseMs: number | undefined): number {
  if (leaseMs === undefined) return 0;
  const ms = durationMs(leaseMs, "leaseMs");
  if (ms >= SESSION_LEASE_MS_MIN && ms <= SESSION_LEASE_MS_MAX) return ms;
  throw new CubbyError(
    "invalid_argument",
    `leaseMs is ${ms}. Give ${SESSION_LEASE_MS_MIN} to ${SESSION_LEASE_MS_MAX}.`,
  );
}

function clientNameOf(clientName: string | undefined): string {
  const program = basename(process.argv[1] ?? "node");
  const wanted = clientName ?? `${program}@${hostname()}:${process.pid}`;
  let name = checkText("clientName", wanted).slice(0, CLIENT_NAME_BYTES_MAX);
  while (utf8Encode(name).length > CLIENT_NAME_BYTES_MAX) name = name.slice(0, -1);
  return name;
}

function aborted(signal: AbortSignal | undefined): CubbyError {
  const detail = "Connecting was aborted.";
  return new CubbyError("cancelled", detail, { cause: signal?.reason });
}
