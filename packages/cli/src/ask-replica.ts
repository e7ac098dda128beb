import { connect as connectSocket } from "node:net";
import {
  CubbyError,
  encodeFrame,
  FrameDecoder,
  Reply,
  Request,
  SESSION_PREAMBLE,
  type Status,
} from "@cubby/protocol";
import type { ReplicaAnswer } from "./cell-access.ts";

/** Asks one replica, master or not, how it is: one connection, one call, no session. */
export async function askReplica(address: string, timeoutMs: number): Promise<Status> {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  const socket = connectSocket({ host, port: Number(address.slice(colon + 1)) });
  try {
    return await new Promise<Status>((resolve, reject) => {
      const fail = (why: string, cause?: unknown): void => {
        reject(new CubbyError("unreachable", why, cause === undefined ? {} : { cause }));
      };
      socket.setTimeout(timeoutMs, () => fail("no answer"));
      socket.once("error", (error) => fail(error.message, error));
      socket.once("close", () => fail("it closed the connection"));
      const frames = new FrameDecoder();
      socket.on("data", (chunk) => {
        try {
          frames.push(chunk, (payload) => {
            const { result } = Reply.decode(payload);
            if (result?.$case === "getStatus") resolve(result.value);
            else fail("it answers something else");
          });
        } catch (error) {
          reject(error);
        }
      });
      const call = { $case: "getStatus" as const, value: {} };
      socket.write(SESSION_PREAMBLE);
      socket.write(encodeFrame(Request.encode(Request.fromPartial({ tag: 1, call })).finish()));
    });
  } finally {
    socket.destroy();
  }
}

export async function askReplicas(
  addresses: readonly string[],
  timeoutMs: number,
): Promise<ReplicaAnswer[]> {
  return Promise.all(
    addresses.map(async (address): Promise<ReplicaAnswer> => {
      try {
        return { address, status: await askReplica(address, timeoutMs), problem: "" };
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error);
        return { address, status: undefined, problem };
      }
    }),
  );
}
