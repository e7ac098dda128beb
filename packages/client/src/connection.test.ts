import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { ERROR_CODES, encodeFrame, Reply } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { Connection } from "./connection.ts";
import { ignore } from "./pending-call.ts";

const LISTENER = `
const server = require("node:net").createServer();
server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => console.log(server.address().port));
`;

const IDLE = {
  onLookedUp: ignore,
  onConnected: ignore,
  onHeard: ignore,
  onReplies: ignore,
  onClosed: ignore,
};

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

async function endOfConnectionTo(
  answer: string | Buffer,
): Promise<{ code: string; detail: string }> {
  const server = createServer((socket) => {
    socket.on("error", ignore);
    socket.end(answer);
  });
  try {
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    return await new Promise((resolve) => {
      const onClosed = (_id: number, code: string, detail: string) => resolve({ code, detail });
      const listener = { ...IDLE, onClosed };
      new Connection(1, `127.0.0.1:${port}`, listener);
    });
  } finally {
    server.close();
  }
}

describe("a connection", () => {
  it("is gone at once when it is closed while it is being made, and keeps no process alive", async () => {
    const hole = await blackHole();
    try {
      const before = openSockets();
      const connection = new Connection(1, `127.0.0.1:${hole.port}`, IDLE);
      for (let i = 0; i < 10; i += 1) await nextTurn();
      expect(openSockets()).toBeGreaterThan(before);
      connection.close();
      for (let i = 0; i < 10; i += 1) await nextTurn();
      expect(openSockets()).toBe(before);
    } finally {
      hole.end();
    }
  });

  it("to another protocol, such as the HTTP of a replica, says so, and no length of a frame", async () => {
    const { code, detail } = await endOfConnectionTo("HTTP/1.1 400 Bad Request\r\n\r\n");
    expect(code).toBe("frame_too_long");
    expect(detail).toContain("sessionAddress");
    expect(detail).not.toContain("bytes");
  });

  it("that has replied says what is wrong with its bytes, and the code not in its words too", async () => {
    const reply = encodeFrame(Reply.encode(Reply.fromPartial({})).finish());
    const { code, detail } = await endOfConnectionTo(Buffer.concat([reply, Buffer.alloc(8, 0xff)]));
    expect(code).toBe("frame_too_long");
    expect(detail).toMatch(/^A frame declares/);
  });

  it("that is refused ends at once, for the reason that it is told under tag 0", async () => {
    const value = { code: ERROR_CODES.overloaded.id, detail: "It is full." };
    const refusal = Reply.fromPartial({ tag: 0, result: { $case: "error", value } });
    const told = await endOfConnectionTo(Buffer.from(encodeFrame(Reply.encode(refusal).finish())));
    expect(told).toEqual({ code: "overloaded", detail: "It is full." });
  });

  it("tells of bytes that end no reply: a slow link brings them for seconds", async () => {
    const reply = encodeFrame(Reply.encode(Reply.fromPartial({ tag: 7 })).finish());
    let rest: () => void = ignore;
    const server = createServer((socket) => {
      socket.on("error", ignore).setNoDelay(true);
      socket.write(reply.subarray(0, 5));
      rest = () => socket.end(reply.subarray(5));
    });
    try {
      await once(server.listen(0, "127.0.0.1"), "listening");
      const { port } = server.address() as AddressInfo;
      const told: string[] = [];
      await new Promise<void>((resolve) => {
        new Connection(1, `127.0.0.1:${port}`, {
          ...IDLE,
          onHeard() {
            told.push("heard");
            rest();
          },
          onReplies: (_id, replies) => told.push(...replies.map(({ tag }) => `reply ${tag}`)),
          onClosed: () => resolve(),
        });
      });
      expect(told).toEqual(["heard", "reply 7"]);
    } finally {
      server.close();
    }
  });
});
