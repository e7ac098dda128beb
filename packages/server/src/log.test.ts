import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createLog } from "./log.ts";

test("writes one JSON line per message of its level, with errors that can be read", () => {
  const directory = mkdtempSync(join(tmpdir(), "cubby-log-"));
  const path = join(directory, "log");
  const fileDescriptor = openSync(path, "w");
  try {
    const log = createLog("info", { replica: 3 }, fileDescriptor);
    log.debug({}, "not of the level");
    log.info({ peer: 2 }, "connected");
    log.warn({ error: new Error("no way") }, "accept failed");
    // Nothing is written before the buffer is full, the time is up, or the process ends.
    expect(readFileSync(path, "utf8")).toBe("");
    log.flushSync();
    const lines = readFileSync(path, "utf8").trim().split("\n");
    const [info, warn, ...rest] = lines.map((line) => JSON.parse(line));
    expect(rest).toEqual([]);
    expect(info).toMatchObject({ level: 30, replica: 3, peer: 2, msg: "connected" });
    expect(warn).toMatchObject({ level: 40, error: { message: "no way" } });
  } finally {
    closeSync(fileDescriptor);
    rmSync(directory, { recursive: true });
  }
});
