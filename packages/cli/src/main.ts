import { clientCells } from "./client-cells.ts";
import { addDemoCommand } from "./commands/demo.ts";
import { addDemoProcesses } from "./commands/demo-processes.ts";
import { addDevCommand } from "./commands/dev.ts";
import { addReplicaCommands } from "./commands/replica.ts";
import { processContext } from "./context.ts";
import { exitWithParent } from "./process/child.ts";
import { runCubby } from "./program.ts";

exitWithParent();
const context = processContext(clientCells);
const exitCode = await runCubby(process.argv.slice(2), context, (program, onExitCode) => {
  addReplicaCommands(program, context);
  addDevCommand(program, context, onExitCode);
  addDemoCommand(program, context, clientCells, onExitCode);
  addDemoProcesses(program, context);
});
// What was written is out first; then no timer or socket that lingers may keep a finished command.
process.stdout.write("", () => process.stderr.write("", () => process.exit(exitCode)));
