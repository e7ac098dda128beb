import { parseArgs } from "node:util";
import { FAULT_KINDS, type FaultKind } from "@cubby/simulator";
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
in 2,000 seeds or more, too many void seeds, or none that passed, 14 a planted bug was not caught, 15 too
little availability.
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
  trace: { type: "boolean" },
  without: { type: "string" },
  replicas: { type: "string" },
  clients: { type: "string" },
  "safety-ms": { type: "string" },
  seeds: { type: "string" },
  minutes: { type: "string" },
  from: { type: "string" },
  twice: { type: "boolean" },
  bug: { type: "string" },
  bugs: { type: "boolean" },
  quick: { type: "boolean" },
  availability: { type: "boolean" },
  months: { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean" },
} as const;

type Option = keyof typeof OPTIONS;

/** What each command takes; the last is that of no other. */
const COMMANDS: readonly (readonly [Option | undefined, readonly Option[]])[] = [
  ["seed", ["trace", "twice", "without", "replicas", "clients", "safety-ms", "bug"]],
  ["bugs", ["quick", "seeds"]],
  ["availability", ["quick", "from"]],
  ["months", ["from"]],
  [undefined, ["seeds", "minutes", "from", "twice", "bug"]],
];

const MINUTES_MAX = 7 * 24 * 60;
const SEEDS_MAX = 10_000_000;
const MONTHS_MAX = 10_000;
/** Of cells that seeds draw. */
const CELL_SIZES = ["1", "3", "5", "7"];

/** A string is what is wrong. */
export function readArguments(
  args: readonly string[],
  bugNamed: (name: string) => PlantedBug | undefined,
): Arguments | string {
  try {
    const { values } = parseArgs({ args: [...args], options: OPTIONS, strict: true });
    checkTogether(Object.keys(values) as Option[]);
    const bug = values.bug === undefined ? undefined : bugNamed(values.bug);
    if (values.bug !== undefined && bug === undefined) {
      return `There is no bug "${values.bug}": --help names them.`;
    }
    const minutes = Number(values.minutes ?? 1);
    if (!(minutes > 0 && minutes <= MINUTES_MAX)) return "--minutes is above 0, up to a week.";
    return {
      task: values.seed === undefined ? undefined : taskOf(values.seed, values),
      from: whole("--from", values.from, 0, Number.MAX_SAFE_INTEGER - SEEDS_MAX),
      seeds: whole("--seeds", values.seeds, 1, SEEDS_MAX),
      minutes,
      bug,
      isHunt: values.bugs ?? false,
      isYear: values.availability ?? false,
      months: whole("--months", values.months, 1, MONTHS_MAX),
      isQuick: values.quick ?? false,
      isTwice: values.twice ?? false,
      isJson: values.json ?? false,
      isHelp: values.help ?? false,
    };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What would do nothing is refused: a run without it would be taken for one with it. */
function checkTogether(given: readonly Option[]): void {
  const [command, taken] =
    COMMANDS.find(([name]) => name === undefined || given.includes(name)) ?? [];
  const extra = given.find(
    (name) => ![command, "json", "help"].includes(name) && taken?.includes(name) !== true,
  );
  if (extra !== undefined) {
    const where = command === undefined ? "by itself" : `beside --${command}`;
    throw new RangeError(`--${extra} does nothing ${where}.`);
  }
  if (given.includes("seeds") && given.includes("minutes")) {
    throw new RangeError("--seeds or --minutes: one of them.");
  }
}

type Values = {
  readonly trace?: boolean | undefined;
  readonly twice?: boolean | undefined;
  readonly without?: string | undefined;
  readonly replicas?: string | undefined;
  readonly clients?: string | undefined;
  readonly "safety-ms"?: string | undefined;
};

function taskOf(seed: string, values: Values): SeedTask {
  if (seed === "") throw new RangeError("--seed is a number, or a word.");
  const { replicas } = values;
  if (replicas !== undefined && !CELL_SIZES.includes(replicas)) {
    throw new RangeError(`--replicas is one of ${CELL_SIZES.join(", ")}.`);
  }
  const clients = whole("--clients", values.clients, 1, 100);
  const safetyMs = whole("--safety-ms", values["safety-ms"], 1, 86_400_000);
  const kinds = values.without?.split(",").map(faultKindNamed);
  return {
    kind: "seed",
    seed,
    isCharted: values.trace ?? false,
    isTwice: values.twice ?? false,
    ...(kinds === undefined ? {} : { without: kinds }),
    ...(replicas === undefined ? {} : { replicas: Number(replicas) }),
    ...(clients === undefined ? {} : { clients }),
    ...(safetyMs === undefined ? {} : { safetyMs }),
  };
}

function faultKindNamed(name: string): FaultKind {
  const kind = FAULT_KINDS.find((each) => each === name);
  if (kind !== undefined) return kind;
  throw new RangeError(`There is no kind of fault "${name}": ${FAULT_KINDS.join(", ")}.`);
}

function whole(
  name: string,
  text: string | undefined,
  least: number,
  most: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${name} is a whole number from ${least} to ${most}.`);
  }
  return value;
}
