import { createServer, type Server, type Socket } from "node:net";
import { CubbyError, ERROR_CODES, encodeFrame, Reply } from "@cubby/protocol";
import { afterEach, expect, it } from "vitest";
import { askReplica, askReplicas } from "./ask-replica.ts";
import { monotonicMs } from "./process/monotonic.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Where somebody listens who does this with each connection. */
async function listen(onConnection: (socket: Socket) => void): Promise<string> {
  const listening = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    onConnection(socket);
  });
  servers.push(listening);
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  const bound = listening.address();
  return `127.0.0.1:${typeof bound === "object" ? bound?.port : bound}`;
}

/** A replica that takes connections, and never says anything. */
function silentReplica(askedAtMs: number[] = []): Promise<string> {
  return listen(() => askedAtMs.push(monotonicMs()));
}

/** A replica that has as many connections as it takes. */
function fullReplica(): Promise<string> {
  const value = { code: ERROR_CODES.overloaded.id, detail: "It is full." };
  const refusal = Reply.fromPartial({ tag: 0, result: { $case: "error", value } });
  return listen((socket) => socket.end(encodeFrame(Reply.encode(refusal).finish())));
}

it("says why a replica does not tell how it is", async () => {
  const address = await fullReplica();
  await expect(askReplica(address, 1_000)).rejects.toThrow(
    new CubbyError("unreachable", "It is full."),
  );
  expect(await askReplicas([address], 1_000)).toEqual([
    { address, status: undefined, problem: "It is full." },
  ]);
});

it("does not wait for ever when it is told not to wait", async () => {
  const address = await silentReplica();
  await expect(askReplica(address, 0)).rejects.toMatchObject({ code: "unreachable" });
});

it("waits for a silent replica once, not once more for the others that it may know of", async () => {
  const askedAtMs: number[] = [];
  const address = await silentReplica(askedAtMs);
  const timeoutMs = 1_000;
  const [answer] = await askReplicas([address], timeoutMs);
  expect(answer?.problem).toMatch(/^no answer in \d+ ms$/);
  // All that is asked of it is asked before anything is given up.
  expect(Math.max(...askedAtMs) - Math.min(...askedAtMs)).toBeLessThan(timeoutMs / 2);
});

it("says that it is another port which answers otherwise", async () => {
  for (const otherwise of ["HTTP/1.1 400 Bad Request\r\n\r\n", encodeFrame(new Uint8Array(0))]) {
    const address = await listen((socket) => socket.end(otherwise));
    const [answer] = await askReplicas([address], 1_000);
    expect(answer?.problem).toMatch(/is this its port for them\?$/);
  }
});
