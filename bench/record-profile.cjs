// Preloaded into the replicas by NODE_OPTIONS: SIGUSR2 begins a CPU profile, and the next one ends it
// and writes it to the directory that BENCH_PROFILES names.
const { renameSync, writeFileSync } = require("node:fs");
const { Session } = require("node:inspector");
const { join } = require("node:path");

const SAMPLE_MICROS = 200;
const directory = process.env.BENCH_PROFILES;

let session;
process.on("SIGUSR2", () => {
  if (session === undefined) {
    session = new Session();
    session.connect();
    session.post("Profiler.enable");
    session.post("Profiler.setSamplingInterval", { interval: SAMPLE_MICROS });
    session.post("Profiler.start");
    return;
  }
  session.post("Profiler.stop", (error, result) => {
    if (error !== null) throw error;
    const file = join(directory, `${process.pid}.cpuprofile`);
    writeFileSync(`${file}.part`, JSON.stringify(result.profile));
    renameSync(`${file}.part`, file);
  });
  session.disconnect();
  session = undefined;
});
