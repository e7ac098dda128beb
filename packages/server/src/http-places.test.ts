import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { HttpLane } from "./http-lane.ts";
import { ConnectionIds } from "./lane.ts";
import { SILENT_LOG } from "./silent-log.test-support.ts";

test("Acquires that wait leave room for what they wait for, however many there are", async () => {
  const held = new Set<number>();
  const lane = new HttpLane({
    ids: new ConnectionIds(),
    handler: {
      onRequest: (connection, { tag, call }) => {
        if (call?.$case === "acquire") held.add(connection);
        else
          lane.send(connection, { tag, clientEpoch: 1, result: { $case: "release", value: {} } });
      },
      onDisconnected: (connection) => held.delete(connection),
    },
    pages: {} as never,
    log: SILENT_LOG,
    limits: { connectionsMax: 16 },
  });
  const { port } = await lane.listen({ host: "127.0.0.1", port: 0 });
  const ends = new AbortController();
  const call = async (name: string, body: object) => {
    const headers = { "content-type": "application/json" };
    const init = { method: "POST", headers, body: JSON.stringify(body), signal: ends.signal };
    return (await fetch(`http://127.0.0.1:${port}/v1/${name}`, init)).status;
  };
  const acquire = () => call("Acquire", { mode: "EXCLUSIVE", wait: true });
  const waiting = Array.from({ length: 7 }, () => acquire().catch(() => 0));
  while (held.size < 7) await new Promise((resolve) => setImmediate(resolve));
  expect(await acquire()).toBe(503);
  expect(await call("Release", {})).toBe(200);
  ends.abort();
  await Promise.all(waiting);
  // Who gives up makes room.
  while (held.size > 0) await new Promise((resolve) => setImmediate(resolve));
  await lane.close();
});

test("idle connections that have all places make room for whoever comes", async () => {
  const lane = new HttpLane({
    ids: new ConnectionIds(),
    handler: {
      onRequest: (connection, { tag }) =>
        lane.send(connection, { tag, clientEpoch: 1, result: { $case: "release", value: {} } }),
      onDisconnected: () => undefined,
    },
    pages: { live: () => ({ ok: true, reason: "" }) } as never,
    log: SILENT_LOG,
    limits: { connectionsMax: 4 },
  });
  const { port } = await lane.listen({ host: "127.0.0.1", port: 0 });
  const sockets = Array.from({ length: 4 }, () => connect(port, "127.0.0.1"));
  for (const socket of sockets) {
    socket.write("POST /v1/Release HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    const [answer] = await once(socket, "data");
    expect(String(answer)).toContain("200 OK");
  }
  const closed = once(sockets[0] ?? expect.fail(), "close");
  expect((await fetch(`http://127.0.0.1:${port}/livez`)).status).toBe(200);
  await closed;
  expect(sockets.map((socket) => socket.closed)).toEqual([true, false, false, false]);
  expect(lane.counters.refusedTotal).toBe(0);
  for (const socket of sockets) socket.destroy();
  await lane.close();
});
