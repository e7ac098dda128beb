import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Connection } from "./connection.ts";
import { ignore } from "./pending-call.ts";

const LISTENER = `
const server = require("node:net").createServer();
server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => console.log(server.address().port));
`;

/** A port whose queue of connections is full, so that connecting to it neither works nor fails. */
async function blackHole(): Promise<{ port: number; end(): void }> {
  const child = spawn(process.execPath, ["-e", LISTENER], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  child.kill("SIGSTOP");
  const port = Number(String(line));
  const waiting: Socket[] = [];
  for (let i = 0; i < 8; i += 1) waiting.push(connect(port, "127.0.0.1").on("error", ignore));
  return {
    port,
    end() {
      for (const socket of waiting) socket.destroy();
      child.kill("SIGKILL");
    },
  };
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length;
}

describe("a connection", () => {
  it("is gone at once when it is closed while it is being made, and keeps no process alive", async () => {
    const hole = await blackHole();
    try {
      const before = openSockets();
      const listener = { onConnected: ignore, onReplies: ignore, onClosed: ignore };
      const connection = new Connection(1, `127.0.0.1:${hole.port}`, listener);
      for (let i = 0; i < 10; i += 1) await nextTurn();
      expect(openSockets()).toBeGreaterThan(before);
      connection.close();
      for (let i = 0; i < 10; i += 1) await nextTurn();
      expect(openSockets()).toBe(before);
    } finally {
      hole.end();
    }
  });

  it("says once, and not in its words too, with which code it ends on bytes that are no frame", async () => {
    const server = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const [code, detail] = await new Promise<[string, string]>((resolve) => {
      const onClosed = (_id: number, ...why: [string, string]): void => resolve(why);
      const listener = { onConnected: ignore, onReplies: ignore, onClosed };
      new Connection(1, `127.0.0.1:${port}`, listener);
    });
    server.close();
    expect(code).toBe("frame_too_long");
    expect(detail).toMatch(/^A frame declares/);
  });
});
