import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, vi } from "vitest";
import { Connection } from "./connection.ts";
import { ignore } from "./pending-call.ts";

const MUTE = `
const server = require("node:net").createServer((socket) => socket.pause());
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length;
}

it("a connection to a replica that reads nothing keeps no process alive once it is closed", async () => {
  const child = spawn(process.execPath, ["-e", MUTE], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [line] = await once(child.stdout, "data");
    const before = openSockets();
    let connected = false;
    const onConnected = () => {
      connected = true;
    };
    const listener = {
      onLookedUp: ignore,
      onConnected,
      onHeard: ignore,
      onReplies: ignore,
      onClosed: ignore,
    };
    const connection = new Connection(1, `127.0.0.1:${Number(String(line))}`, listener);
    while (!connected) await sleep(5);
    const value = {
      handle: new Uint8Array(8),
      contents: new Uint8Array(256 * 1024),
      hasIfGeneration: false,
      ifGeneration: 0,
    };
    for (let tag = 1; tag <= 64; tag += 1) {
      const numbers = { requestNumber: tag, lowestUnanswered: 1, clientEpoch: 1 };
      const guard = new Uint8Array(0);
      const call = { $case: "setContents", value } as const;
      connection.send({ tag, sessionId: 1, ...numbers, guard, call });
    }
    connection.flush();
    await sleep(100);
    connection.close();
    await vi.waitFor(() => expect(openSockets()).toBe(before), { timeout: 15_000 });
  } finally {
    child.kill("SIGKILL");
  }
});
