import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import type { RunOptions } from "./run.ts";

export const USAGE = `npm run nemesis -- [--minutes N | --seconds N] [--seed TEXT] [--json] [--keep]
                   [--network auto|namespaces|proxies]

Exit status: 0 passed, 1 violation, 2 usage, 3 invalid (too little happened to say anything),
4 a replica or a client ended that should not have. Logs and histories stay under .cubby/nemesis/
unless the run passed without --keep.`;

export type Arguments = {
  readonly seconds: number;
  readonly seed: string;
  readonly network: RunOptions["network"];
  readonly json: boolean;
  readonly keep: boolean;
  readonly isHelp: boolean;
};

const OPTIONS = {
  minutes: { type: "string" },
  seconds: { type: "string" },
  seed: { type: "string" },
  network: { type: "string", default: "auto" },
  json: { type: "boolean", default: false },
  keep: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

const SECONDS_MIN = 10;
const SECONDS_MAX = 3_600;
const SECONDS_DEFAULT = 60;

/** A string is what is wrong. */
export function readArguments(args: readonly string[]): Arguments | string {
  try {
    const { values } = parseArgs({ args: [...args], options: OPTIONS, strict: true });
    const { minutes, network, json, keep, help: isHelp } = values;
    if (minutes !== undefined && values.seconds !== undefined) {
      return "--minutes and --seconds say the same: one of them.";
    }
    const seconds =
      minutes === undefined ? Number(values.seconds ?? SECONDS_DEFAULT) : 60 * Number(minutes);
    if (!(seconds >= SECONDS_MIN && seconds <= SECONDS_MAX)) {
      return `A run takes ${SECONDS_MIN} seconds to ${SECONDS_MAX / 60} minutes.`;
    }
    if (network !== "auto" && network !== "namespaces" && network !== "proxies") {
      return "--network is auto, namespaces, or proxies.";
    }
    const seed = values.seed ?? randomBytes(4).toString("hex");
    return { seconds, network, json, keep, isHelp, seed };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
