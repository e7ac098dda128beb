import { readFileSync } from "node:fs";

/** How many connections of clients there may be, so that files can be opened beside them. */
export type ClientLimits = {
  readonly session: number;
  /** Those beyond, which are being told so. */
  readonly refusing: number;
  readonly http: number;
};

const REFUSING_MAX = 256;
const HTTP_MAX = 1_024;
/** Peers in both directions, files in use, standard streams, and what the runtime has open itself. */
const RESERVED = 192;
/** Where even those are too many, that shows soon enough. */
const LEAST_FOR_CLIENTS = 16;

/**
 * A replica that cannot open a file of its journal ends, and its clients go on to the next one: they
 * must not be let in for so long that it comes to that (C4).
 */
export function clientLimits(connectionsMax: number, openFilesMax: number): ClientLimits {
  const forClients = Math.max(LEAST_FOR_CLIENTS, openFilesMax - RESERVED);
  const http = Math.min(HTTP_MAX, Math.floor(forClients / 8));
  const refusing = Math.min(REFUSING_MAX, Math.floor(forClients / 16));
  return { http, refusing, session: Math.min(connectionsMax, forClients - http - refusing) };
}

/** How many files this process may have open; no bound where the system does not tell. */
export function openFilesMax(): number {
  try {
    const [, soft] =
      /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return soft === undefined ? Number.MAX_SAFE_INTEGER : Number(soft);
  } catch {
    return Number.MAX_SAFE_INTEGER;
  }
}
