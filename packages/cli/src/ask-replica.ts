import { connect as connectSocket } from "node:net";
import { splitEndpoint } from "@cubby/client/core";
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
import { monotonicMs } from "./process/monotonic.ts";

/** As from its port for HTTP, or for the other replicas. */
const NO_LANE = "it does not answer as a replica answers clients; is this its port for them?";

type Result = NonNullable<Reply["result"]>;

/** Asks one replica, master or not, how it is: one connection, one call, no session. */
export async function askReplica(address: string, timeoutMs: number): Promise<Status> {
  const result = await ask(address, { $case: "getStatus", value: {} }, timeoutMs);
  if (result.$case !== "getStatus") throw unreachable("it answers something else");
  return result.value;
}

/** Asks the replicas at these addresses, and those that they know of, within one time for all. */
export async function askReplicas(
  addresses: readonly string[],
  timeoutMs: number,
): Promise<ReplicaAnswer[]> {
  const endMs = monotonicMs() + timeoutMs;
  const leftMs = (): number => Math.max(0, Math.round(endMs - monotonicMs()));
  const answers = new Map<string, Promise<ReplicaAnswer>>();
  const askOnce = (address: string): void => {
    if (!answers.has(address)) answers.set(address, answerOf(address, leftMs()));
  };
  for (const address of addresses) askOnce(address);
  // A replica that is silent must not keep those waiting of whom another tells.
  const asking = addresses.map(async (address) => {
    for (const known of await replicasKnownTo(address, leftMs())) askOnce(known);
  });
  await Promise.all(asking);
  return Promise.all(answers.values());
}

async function answerOf(address: string, timeoutMs: number): Promise<ReplicaAnswer> {
  try {
    return { address, status: await askReplica(address, timeoutMs), problem: "" };
  } catch (error) {
    return { address, status: undefined, problem: problemOf(error) };
  }
}

async function replicasKnownTo(address: string, timeoutMs: number): Promise<readonly string[]> {
  try {
    const result = await ask(address, { $case: "locate", value: {} }, timeoutMs);
    return result.$case === "locate" ? result.value.replicas.map((each) => each.address) : [];
  } catch {
    // Whoever does not answer tells of nobody; it is named as silent when its status is asked.
    return [];
  }
}

async function ask(
  address: string,
  call: NonNullable<Request["call"]>,
  timeoutMs: number,
): Promise<Result> {
  const socket = connectSocket(splitEndpoint(address));
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Result>((resolve, reject) => {
      // Not that of the socket, which begins again with every sign of life.
      timer = setTimeout(() => reject(unreachable(`no answer in ${timeoutMs} ms`)), timeoutMs);
      socket.once("error", (error) => reject(unreachable(error.message, error)));
      socket.once("close", () => reject(unreachable("it closed the connection")));
      const frames = new FrameDecoder();
      socket.on("data", (chunk) => {
        try {
          frames.push(chunk, (payload) => {
            const { result } = Reply.decode(payload);
            if (result === undefined) reject(unreachable(NO_LANE));
            // A replica that has as many connections as it takes, for one, says so.
            else if (result.$case === "error") reject(unreachable(result.value.detail));
            else resolve(result);
          });
        } catch (error) {
          reject(unreachable(NO_LANE, error));
        }
      });
      socket.write(SESSION_PREAMBLE);
      socket.write(encodeFrame(Request.encode(Request.fromPartial({ tag: 1, call })).finish()));
    });
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function unreachable(why: string, cause?: unknown): CubbyError {
  return new CubbyError("unreachable", why, cause === undefined ? {} : { cause });
}

/** Without the code, which every one of them has. */
function problemOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^\[\w+\] /, "");
}
