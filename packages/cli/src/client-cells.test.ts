import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { encodeFrame, FrameDecoder, Reply, Request, SESSION_PREAMBLE } from "@cubby/protocol";
import { afterEach, expect, it } from "vitest";
import { clientCells } from "./client-cells.ts";

type Call = NonNullable<Request["call"]>;
type Answers = Partial<Record<Call["$case"], Parameters<typeof Reply.fromPartial>[0]["result"]>>;

const PATH = "/ls/local/a";
const ANSWERS: Answers = {
  locate: { $case: "locate", value: { cellName: "local", replicaId: 1, masterId: 1 } },
  createSession: {
    $case: "createSession",
    value: { sessionId: 1, leaseMs: 12_000, inFlightMax: 256 },
  },
  open: { $case: "open", value: { handle: new Uint8Array([1]), stat: {} } },
  endSession: { $case: "endSession", value: {} },
};

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A replica that gives these answers, and to whatever else it is asked none. */
async function replica(answers: Answers): Promise<string> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    const decoder = new FrameDecoder();
    let preambleBytes = SESSION_PREAMBLE.length;
    socket.on("data", (chunk: Uint8Array) => {
      const skipped = Math.min(preambleBytes, chunk.length);
      preambleBytes -= skipped;
      decoder.push(chunk.subarray(skipped), (payload) => {
        const { tag, call } = Request.decode(payload);
        const result = call && answers[call.$case];
        if (result === undefined) return;
        const reply = Reply.fromPartial({ tag, clientEpoch: 1, result });
        socket.write(encodeFrame(Reply.encode(reply).finish()));
      });
    });
  });
  servers.push(server);
  await once(server.listen(0, "127.0.0.1"), "listening");
  return `cubby://127.0.0.1:${(server.address() as AddressInfo).port}/local`;
}

/** What becomes of waiting for a lock at a cell that grants none. */
async function waitInVain(answers: Answers): Promise<unknown> {
  const session = await clientCells.connect(await replica(answers), { timeoutMs: 10_000 });
  try {
    const node = await session.open(PATH, { write: true });
    return await node.acquire({ mode: "exclusive", waitMs: 50 }).catch((error: unknown) => error);
  } finally {
    await session.close();
  }
}

it("tells a lock that was not free in time from a cell that does not answer", async () => {
  const cancelled = { $case: "cancel", value: { released: false } } as const;
  const answering = {
    ...ANSWERS,
    cancel: cancelled,
    getStat: { $case: "getStat", value: {} },
  } as const;
  expect(await waitInVain(answering)).toMatchObject({ code: "lock_held" });
  expect(await waitInVain(ANSWERS)).toMatchObject({ code: "deadline_exceeded" });
});
