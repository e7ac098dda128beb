import { CubbyError } from "@cubby/protocol";
import { PORT_BASE_DEFAULT } from "./options.ts";

const URL_FORM = /^cubby:\/\/([^/]+)(?:\/([^/]*))?$/;

/** host:port of each replica that a cell's url names. */
export function endpointsOf(url: string): string[] {
  const hosts = URL_FORM.exec(url)?.[1];
  if (hosts === undefined) throw invalid(url);
  return hosts.split(",").map((host) => {
    const trimmed = host.trim();
    if (trimmed === "") throw invalid(url);
    return /:\d+$/.test(trimmed) ? trimmed : `${trimmed}:${PORT_BASE_DEFAULT}`;
  });
}

/** The name at the end of a cell's url; the root of its names is /ls/<name>. */
export function cellNameOf(url: string): string {
  const name = URL_FORM.exec(url)?.[2];
  if (name === undefined || name === "") throw invalid(url);
  return name;
}

function invalid(url: string): CubbyError {
  return new CubbyError(
    "invalid_argument",
    `"${url}" does not name a cell. Write cubby://host:port,host:port/name.`,
  );
}
