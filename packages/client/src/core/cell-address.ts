import { CubbyError, quoted } from "@cubby/protocol";
import { ENDPOINTS_MAX } from "./limits.ts";

export const PORT_DEFAULT = 7070;

/** Where a cell is, as a user writes it: `cubby://host[:port],host[:port]/cell`. */
export type CellAddress = {
  /** `host:port` of some replicas; the client learns of the others from them. */
  readonly endpoints: readonly string[];
  /** Empty: whichever cell answers. */
  readonly cellName: string;
};

/** Throws `CubbyError` invalid_argument. */
export function parseCellAddress(text: string): CellAddress {
  const scheme = "cubby://";
  if (!text.startsWith(scheme)) throw invalid(text, "does not start with cubby://");
  const rest = text.slice(scheme.length);
  const slash = rest.indexOf("/");
  const hosts = slash === -1 ? rest : rest.slice(0, slash);
  const cellName = slash === -1 ? "" : rest.slice(slash + 1).replace(/\/$/, "");
  if (cellName.includes("/")) throw invalid(text, "has more than a cell's name after the hosts");
  const endpoints: string[] = [];
  for (const host of hosts.split(",")) {
    const endpoint = parseEndpoint(host.trim());
    if (endpoint === undefined)
      throw invalid(text, `has a host ${quoted(host)} that cannot be read`);
    if (!endpoints.includes(endpoint)) endpoints.push(endpoint);
  }
  if (endpoints.length > ENDPOINTS_MAX) throw invalid(text, `has more than ${ENDPOINTS_MAX} hosts`);
  return { endpoints, cellName };
}

/** `host:port` with the port filled in, or undefined. IPv6 addresses stand in brackets. */
export function parseEndpoint(text: string): string | undefined {
  const match = /^(\[[0-9a-fA-F:.%]+\]|[^\s[\]:/@?#]+)(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const port = match[2] === undefined ? PORT_DEFAULT : Number(match[2]);
  if (port < 1 || port > 65_535) return undefined;
  return `${match[1]}:${port}`;
}

/** The two halves of an endpoint as the socket wants them: the host without brackets. */
export function splitEndpoint(endpoint: string): { host: string; port: number } {
  const colon = endpoint.lastIndexOf(":");
  const host = endpoint.slice(0, colon).replace(/^\[|\]$/g, "");
  return { host, port: Number(endpoint.slice(colon + 1)) };
}

/** Whether a host has to be looked up; IPv6 addresses stand in brackets. */
export function hasHostName(endpoint: string): boolean {
  return !/^(\[|\d+\.\d+\.\d+\.\d+:)/.test(endpoint);
}

function invalid(text: string, problem: string): CubbyError {
  return new CubbyError(
    "invalid_argument",
    `The address ${quoted(text)} ${problem}. Write cubby://host:port,host:port/cell.`,
  );
}
