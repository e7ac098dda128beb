import { LOCK_DELAY_MS_MAX, SESSION_LEASE_MS_MAX, SESSION_LEASE_MS_MIN } from "@cubby/protocol";
import { type Command, Option } from "commander";
import type { CellAccess } from "../cell-access.ts";
import type { Context } from "../context.ts";
import { checkAsJson, checkAsText } from "../demo/checks.ts";
import { formatHappening, openDisplay } from "../demo/display.ts";
import { runInteractive } from "../demo/interactive.ts";
import { runScript } from "../demo/script.ts";
import { SABOTAGES, type Sabotage } from "../demo/stage.ts";
import { parseDurationMs } from "../duration.ts";
import { parseCount, printJson, withExamples } from "../options.ts";
import { whenToldToEnd } from "../process/told-to-end.ts";

/** What a broken check exits with. */
const EXIT_BROKEN = 1;

type DemoOptions = {
  readonly script?: boolean;
  readonly json?: boolean;
  readonly sabotage?: Sabotage;
  readonly sessionLease: string;
  readonly lockDelay: string;
};

/** `demo`: three web servers that need one leader, and what may happen to them. */
export function addDemoCommand(
  program: Command,
  context: Context,
  cells: CellAccess,
  onExitCode: (code: number) => void,
): void {
  const command = program
    .command("demo")
    .description("a cell of five, three web servers that need one leader, and keys to break it all")
    .option("--script", "play the whole story unattended and check it")
    .option("--json", "with --script: one line of JSON per check")
    .addOption(
      new Option("--sabotage <what>", "break one thing for real: its check must notice").choices(
        SABOTAGES,
      ),
    )
    .option("--session-lease <duration>", "of the web servers", "2s")
    .option("--lock-delay <duration>", "of the leader's lock", "2s")
    .action(async (options: DemoOptions) => {
      const end = whenToldToEnd();
      try {
        const code =
          options.script === true || options.sabotage !== undefined || options.json === true
            ? await playScript(options, context, cells, end.signal)
            : await play(options, cells, end);
        onExitCode(end.exitCode ?? code);
      } finally {
        end.stopListening();
      }
    });
  withExamples(
    command,
    "cubby demo",
    "cubby demo --script --json",
    "cubby demo --script --sabotage sequencer",
  );
  command.addHelpText(
    "after",
    `
Keys: m kills the master replica (-9), l kills the leading web server, p pauses it (SIGSTOP) until p
again, r restarts what is dead, q quits. Without a terminal each is a line on standard input.
`,
  );
}

function timesOf(options: DemoOptions): { sessionLeaseMs: number; lockDelayMs: number } {
  const sessionLeaseMs = parseDurationMs(options.sessionLease, "--session-lease");
  const lockDelayMs = parseDurationMs(options.lockDelay, "--lock-delay");
  const [least, most] = [SESSION_LEASE_MS_MIN, SESSION_LEASE_MS_MAX];
  return {
    sessionLeaseMs: parseCount(String(sessionLeaseMs), "--session-lease in ms", least, most),
    lockDelayMs: parseCount(String(lockDelayMs), "--lock-delay in ms", 0, LOCK_DELAY_MS_MAX),
  };
}

async function playScript(
  options: DemoOptions,
  context: Context,
  cells: CellAccess,
  signal: AbortSignal,
): Promise<number> {
  const json = options.json === true;
  const checks = await runScript({
    ...timesOf(options),
    cells,
    signal,
    sabotage: options.sabotage,
    onCheck: (check) =>
      context.writeOut(`${json ? checkAsJson(check) : `          ${checkAsText(check)}`}\n`),
    tell: (atMs, what, why) => {
      if (!json) context.writeOut(`${formatHappening(atMs, what, why)}\n`);
    },
  });
  const broken = checks.broken.map(({ check }) => check);
  const held = checks.made.length - broken.length;
  if (json) printJson(context, { check: "story", ok: checks.allHeld, value: { held, broken } });
  else context.writeOut(`\n${held} checks held, ${broken.length} broken.\n`);
  if (broken.length > 0) context.writeError(`Broken: ${broken.join(", ")}\n`);
  return checks.allHeld ? 0 : EXIT_BROKEN;
}

async function play(
  options: DemoOptions,
  cells: CellAccess,
  end: { readonly signal: AbortSignal; end(): void },
): Promise<number> {
  using display = openDisplay(() => end.end());
  await runInteractive({ ...timesOf(options), cells, display, signal: end.signal });
  return 0;
}
