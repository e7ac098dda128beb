import { CubbyError } from "@cubby/protocol";
import { PORT_BASE_DEFAULT } from "./options.ts";

const URL_FORM = /^cubby:\/\/([^/]+)(?:\/([^/]*)\/?)?$/;
/** An IPv6 address stands in brackets. */
const HOST_FORM = /^(\[[0-9a-fA-F:.%]+\]|[^\s[\]:/@?#]+)(?::(\d{1,5}))?$/;
const PORT_MAX = 65_535;

/** host:port of each replica that a cell's url names. */
export function endpointsOf(url: string): string[] {
  const hosts = URL_FORM.exec(url)?.[1];
  if (hosts === undefined) throw invalid(url);
  return hosts.split(",").map((host) => {
    const [match, name, port = PORT_BASE_DEFAULT] = HOST_FORM.exec(host.trim()) ?? [];
    if (match === undefined || Number(port) < 1 || Number(port) > PORT_MAX) throw invalid(url);
    return `${name}:${Number(port)}`;
  });
}

/** The name at the end of a cell's url; the root of its names is /ls/<name>. */
export function cellNameOf(url: string): string {
  const name = cellNameIn(url);
  if (name === undefined) throw invalid(url);
  return name;
}

/** Undefined for a url that takes whichever cell answers. */
export function cellNameIn(url: string): string | undefined {
  const name = URL_FORM.exec(url)?.[2];
  return name === "" ? undefined : name;
}

function invalid(url: string): CubbyError {
  return new CubbyError(
    "invalid_argument",
    `"${url}" does not name a cell. Write cubby://host:port,host:port/name.`,
  );
}
