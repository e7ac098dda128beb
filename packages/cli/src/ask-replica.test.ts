import { createServer, type Server } from "node:net";
import { CubbyError, ERROR_CODES, encodeFrame, Reply } from "@cubby/protocol";
import { afterEach, expect, it } from "vitest";
import { askReplica, askReplicas } from "./ask-replica.ts";

let server: Server | undefined;
afterEach(() => server?.close());

/** A replica that has as many connections as it takes. */
async function fullReplica(): Promise<string> {
  const value = { code: ERROR_CODES.overloaded.id, detail: "It is full." };
  const refusal = Reply.fromPartial({ tag: 0, result: { $case: "error", value } });
  const listening = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.end(encodeFrame(Reply.encode(refusal).finish()));
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  const bound = listening.address();
  return `127.0.0.1:${typeof bound === "object" ? bound?.port : bound}`;
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
  const listening = createServer((socket) => socket.on("error", () => socket.destroy()));
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  const bound = listening.address();
  const address = `127.0.0.1:${typeof bound === "object" ? bound?.port : bound}`;
  await expect(askReplica(address, 0)).rejects.toMatchObject({ code: "unreachable" });
});
