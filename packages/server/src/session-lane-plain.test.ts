import { connect } from "node:net";
import {
  ERROR_CODES,
  encodeFrame,
  FrameDecoder,
  Reply,
  Request,
  SESSION_PREAMBLE,
} from "@cubby/protocol";
import { expect, test, vi } from "vitest";
import { ConnectionIds } from "./lane.ts";
import { SessionLane } from "./session-lane.ts";
import { SILENT_LOG } from "./silent-log.test-support.ts";

test("a request that waits keeps no more memory than it needs", async () => {
  const waiting: Request[] = [];
  const lane = new SessionLane({
    ids: new ConnectionIds(),
    handler: { onRequest: (_, request) => waiting.push(request), onDisconnected: () => undefined },
    log: SILENT_LOG,
  });
  const address = await lane.listen({ host: "127.0.0.1", port: 0 });
  const call = {
    $case: "acquire",
    value: { handle: new Uint8Array(60), mode: 1, wait: true },
  } as const;
  const request = Request.encode({ ...Request.create(), tag: 1, sessionId: 1, call }).finish();
  // An unknown field of 500 KB, which the decoder skips.
  const field = Uint8Array.of(0xe2, 0x03, 0x80, 0xa0, 0x1f);
  const padded = Buffer.concat([request, field, new Uint8Array(512_000)]);
  const socket = connect(address.port, address.host);
  const replies: Reply[] = [];
  const decoder = new FrameDecoder();
  socket.on("data", (chunk) => decoder.push(chunk, (bytes) => replies.push(Reply.decode(bytes))));
  socket.on("error", () => undefined);
  socket.write(SESSION_PREAMBLE);
  for (let n = 0; n < 20; n += 1) socket.write(encodeFrame(padded));
  await vi.waitFor(() => expect(waiting.length + replies.length).toBe(20), { timeout: 10_000 });
  const kept = new Set<ArrayBufferLike>();
  for (const { call } of waiting) if (call?.$case === "acquire") kept.add(call.value.handle.buffer);
  const keptBytes = [...kept].reduce((sum, buffer) => sum + buffer.byteLength, 0);
  socket.destroy();
  await lane.close();
  expect(keptBytes).toBeLessThan(1 << 20);
  const { result } = replies[0] ?? {};
  expect(result?.$case === "error" && result.value.code).toBe(ERROR_CODES.invalid_argument.id);
});
