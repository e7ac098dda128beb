import { parseArgs } from "node:util";
import type { FaultKind } from "@cubby/simulator";
import type { PlantedBug } from "./planted-bug.ts";
import type { SeedTask } from "./task.ts";

export const USAGE = `npm run sim                                  60 s of fresh seeds, after those of seeds.txt
npm run sim -- --seeds N | --minutes M       so many, or for so long
               --from S                      seeds S, S + 1, ... in place of fresh ones
               --twice                       one in ten of them twice: the trace must be the same
npm run sim -- --seed S [--trace] [--twice]  that one again, with its message chart
               [--without KIND,...] [--replicas N] [--clients N] [--safety-ms MS]
npm run sim -- --bugs [--quick] [--seeds N]  each planted bug until it is caught; a part for CI
npm run sim -- --availability [--quick]      a year of faults, and a month with one lock
npm run sim -- --months N [--from S]         so many months with one lock, each from a seed of its own
--bug NAME   with that bug planted; the names are below      --json   lines of JSON

Exit status: 0 passed, 1 usage, 10 safety, 11 liveness, 12 crash or hang, 13 a class of coverage at zero
in 2,000 seeds or more, 14 a planted bug was not caught, 15 too little availability.
`;

export type Arguments = {
  /** One seed alone. */
  readonly task: SeedTask | undefined;
  readonly from: number | undefined;
  readonly seeds: number | undefined;
  readonly minutes: number;
  readonly bug: PlantedBug | undefined;
  readonly isHunt: boolean;
  readonly isYear: boolean;
  readonly months: number | undefined;
  readonly isQuick: boolean;
  readonly isTwice: boolean;
  readonly isJson: boolean;
  readonly isHelp: boolean;
};

const OPTIONS = {
  seed: { type: "string" },
  trace: { type: "boolean", default: false },
  without: { type: "string" },
  replicas: { type: "string" },
  clients: { type: "string" },
  "safety-ms": { type: "string" },
  seeds: { type: "string" },
  minutes: { type: "string" },
  from: { type: "string" },
  twice: { type: "boolean", default: false },
  bug: { type: "string" },
  bugs: { type: "boolean", default: false },
  quick: { type: "boolean", default: false },
  availability: { type: "boolean", default: false },
  months: { type: "string" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

const MINUTES_MAX = 7 * 24 * 60;
const SEEDS_MAX = 10_000_000;
const MONTHS_MAX = 10_000;

/** A string is what is wrong. */
export function readArguments(
  args: readonly string[],
  bugNamed: (name: string) => PlantedBug | undefined,
): Arguments | string {
  try {
    const { values } = parseArgs({ args: [...args], options: OPTIONS, strict: true });
    const bug = values.bug === undefined ? undefined : bugNamed(values.bug);
    if (values.bug !== undefined && bug === undefined) return `There is no bug "${values.bug}".`;
    const minutes = Number(values.minutes ?? 1);
    if (!(minutes > 0 && minutes <= MINUTES_MAX)) return "--minutes is up to a week.";
    return {
      task: values.seed === undefined ? undefined : taskOf(values.seed, values),
      from: whole("--from", values.from, Number.MAX_SAFE_INTEGER - SEEDS_MAX),
      seeds: whole("--seeds", values.seeds, SEEDS_MAX),
      minutes,
      bug,
      isHunt: values.bugs,
      isYear: values.availability,
      months: whole("--months", values.months, MONTHS_MAX),
      isQuick: values.quick,
      isTwice: values.twice,
      isJson: values.json,
      isHelp: values.help,
    };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

type Values = {
  readonly trace: boolean;
  readonly twice: boolean;
  readonly without?: string | undefined;
  readonly replicas?: string | undefined;
  readonly clients?: string | undefined;
  readonly "safety-ms"?: string | undefined;
};

function taskOf(seed: string, values: Values): SeedTask {
  const replicas = whole("--replicas", values.replicas, 9);
  const clients = whole("--clients", values.clients, 100);
  const safetyMs = whole("--safety-ms", values["safety-ms"], 86_400_000);
  const kinds = values.without?.split(",") as FaultKind[] | undefined;
  return {
    kind: "seed",
    seed,
    isCharted: values.trace,
    isTwice: values.twice,
    ...(kinds === undefined ? {} : { without: kinds }),
    ...(replicas === undefined ? {} : { replicas }),
    ...(clients === undefined ? {} : { clients }),
    ...(safetyMs === undefined ? {} : { safetyMs }),
  };
}

function whole(name: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw new RangeError(`${name} is a whole number up to ${most}.`);
  }
  return value;
}
