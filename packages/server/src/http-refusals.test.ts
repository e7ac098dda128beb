import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Address } from "./address.ts";
import { HttpLane } from "./http-lane.ts";
import { ConnectionIds } from "./lane.ts";
import { SILENT_LOG } from "./silent-log.test-support.ts";

const HOST = "host: localhost";

let lane: HttpLane;
let address: Address;
let sockets: Socket[] = [];
let calls = 0;

beforeEach(async () => {
  calls = 0;
  const onRequest = () => {
    calls += 1;
  };
  lane = new HttpLane({
    ids: new ConnectionIds(),
    // Calls wait for ever.
    handler: { onRequest, onDisconnected: () => undefined },
    pages: { live: () => ({ ok: true, reason: "" }) } as never,
    log: SILENT_LOG,
  });
  address = await lane.listen({ host: "127.0.0.1", port: 0 });
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await lane.close();
});

function open(): Socket {
  const socket = connect(address).setEncoding("latin1");
  socket.on("error", () => socket.destroy());
  sockets.push(socket);
  return socket;
}

/** What comes once these lines are sent; all of it comes at once. */
function answer(socket: Socket, ...lines: string[]): Promise<string> {
  socket.write(lines.map((line) => `${line}\r\n`).join(""));
  return new Promise((resolve) => socket.once("data", (chunk) => resolve(String(chunk))));
}

describe("what an HTTP lane refuses", () => {
  test.each([
    ["GET /favicon.ico HTTP/1.1", HOST, 404],
    ["GET /v1/Open HTTP/1.1", HOST, 400],
    ["POST /v1/Nothing HTTP/1.1", `${HOST}\r\ncontent-length: 0`, 404],
    ["GET /livez HTTP/1.1", "host: evil.example", 403],
  ])("is not bad, and leaves its connection, if it has no body: %s, %s", async (...request) => {
    const [line, headers, status] = request;
    const socket = open();
    for (let i = 0; i < 2; i += 1) {
      expect(await answer(socket, line, headers, "")).toContain(`HTTP/1.1 ${status}`);
    }
    expect([lane.counters.badTotal, lane.counters.connectionsTotal]).toEqual([0, 1]);
  });

  test("may have had a call before it on its connection that is carried out", async () => {
    const socket = open();
    socket.write(`POST /v1/Acquire HTTP/1.1\r\n${HOST}\r\n\r\n`);
    while (calls === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(await answer(socket, "garbage", "")).toContain('"outcome":"unknown"');
  });

  test("is no probe without a host, as no browser asks, but each page that names none", async () => {
    const probe = "GET /livez HTTP/1.0";
    expect(await answer(open(), probe, "")).toContain("HTTP/1.1 200");
    for (const header of ["Host:", "Origin: http://evil.example", "Origin: http://"]) {
      expect(await answer(open(), probe, header, "")).toContain("HTTP/1.1 403");
    }
  });
});
