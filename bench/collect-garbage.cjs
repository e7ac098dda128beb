// Preloaded into the replicas by NODE_OPTIONS: SIGUSR2 collects all garbage, so that the memory of a
// process is that of what it holds.
const { setFlagsFromString } = require("node:v8");
const { runInNewContext } = require("node:vm");

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");
process.on("SIGUSR2", () => {
  collect();
  collect();
});
