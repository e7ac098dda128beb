import { addDemoProcesses } from "./commands/demo-processes.ts";
import { addDevCommand } from "./commands/dev.ts";
import { processContext } from "./context.ts";
import { exitWithParent } from "./process/child.ts";
import { runCubby } from "./program.ts";

exitWithParent();
const context = processContext(cells);
process.exitCode = await runCubby(process.argv.slice(2), context, (program, onExitCode) => {
  addDevCommand(program, context, onExitCode);
  addDemoProcesses(program, context);
});
