import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeFrame } from "@cubby/protocol";
import { afterEach, describe, expect, test, vi } from "vitest";
import { encodeHello } from "./peer-hello.ts";
import { PeerLane } from "./peer-lane.ts";
import { SILENT_LOG } from "./silent-log.test-support.ts";

const hello = { kind: "hello", version: 1, cellId: "c", replicaId: 2, incarnation: "b" } as const;

/** In a process of its own, so that all sockets counted here are the lane's. */
const PEER = `
const server = require("node:net").createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", () => { socket.pause(); socket.write(Buffer.from(process.argv[1], "hex")); });
});
server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => console.log(server.address().port));
`;

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

async function peer(): Promise<{ child: ChildProcess; port: number }> {
  const answer = Buffer.from(encodeFrame(encodeHello(hello))).toString("hex");
  const child = spawn(process.execPath, ["-e", PEER, answer], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const [line] = await once(child.stdout, "data");
  return { child, port: Number(String(line)) };
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length;
}

async function laneTo(port: number): Promise<PeerLane> {
  const lane = new PeerLane({
    self: { cellId: "c", replicaId: 1, incarnation: "a" },
    peers: [{ replicaId: 2, host: "127.0.0.1", port }],
    handler: { onFrame: () => undefined, onPeerState: () => undefined },
    log: SILENT_LOG,
  });
  await lane.listen({ host: "127.0.0.1", port: 0 });
  return lane;
}

describe("closing the lane between replicas", () => {
  test("leaves no socket to a peer that does not read", async () => {
    const { port } = await peer();
    const before = openSockets();
    const lane = await laneTo(port);
    while (!lane.connected(2)) await sleep(5);
    for (let i = 0; i < 40; i += 1) lane.send(2, new Uint8Array(1 << 20));
    lane.flush();
    await sleep(100);
    await lane.close();
    await vi.waitFor(() => expect(openSockets()).toBe(before), { timeout: 10_000 });
  });

  test("leaves no socket that is still connecting", async () => {
    const { child, port } = await peer();
    child.kill("SIGSTOP");
    const waiting = Array.from({ length: 8 }, () =>
      connect(port, "127.0.0.1").on("error", () => undefined),
    );
    await sleep(50);
    const before = openSockets();
    const lane = await laneTo(port);
    await sleep(50);
    await lane.close();
    await vi.waitFor(() => expect(openSockets()).toBe(before), { timeout: 10_000 });
    for (const socket of waiting) socket.destroy();
  });
});
