import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { HttpLane } from "./http-lane.ts";
import { ConnectionIds } from "./lane.ts";
import { SILENT_LOG } from "./silent-log.test-support.ts";

/** A body that never ends, in chunks of one byte each. */
const DRIP = `
const [port, chunks] = process.argv.slice(1).map(Number);
const socket = require("node:net").connect(port, "127.0.0.1");
socket.write("POST /v1/Locate HTTP/1.1\\r\\nHost: localhost\\r\\n" +
  "Content-Type: application/json\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n");
socket.write("1\\r\\n \\r\\n".repeat(chunks), () => console.log("sent"));
socket.on("error", () => {});
setTimeout(() => {}, 60000);
`;

test("a body in chunks of a byte each costs no more memory than the body", async () => {
  const lane = new HttpLane({
    ids: new ConnectionIds(),
    handler: { onRequest: () => undefined, onDisconnected: () => undefined },
    pages: {} as never,
    log: SILENT_LOG,
  });
  const { port } = await lane.listen({ host: "127.0.0.1", port: 0 });
  const before = process.memoryUsage().rss;
  const child = spawn(process.execPath, ["-e", DRIP, String(port), "500000"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  await sleep(1_500);
  const grownMb = (process.memoryUsage().rss - before) / 2 ** 20;
  child.kill("SIGKILL");
  await lane.close();
  // The body has 0.5 MB; 64 MB of such bodies are let in.
  expect(grownMb).toBeLessThan(64);
}, 30_000);
