/**
 * A unix socket in a directory, on which a process listens while it holds the directory. The kernel
 * ends it with the process, and answers by the file, whichever container asks: unlike a process id.
 */

import { closeSync, existsSync, openSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join, resolve } from "node:path";
import { platformCode } from "./platform-errors.ts";

export type LockSocket = {
  /** Also removes the file. */
  close(): void;
};

/** "refuses": nobody listens, if asker and holder run on one kernel. "unknown": it could not be asked. */
export type SocketAnswer = "listens" | "refuses" | "missing" | "unknown";

/** sun_path holds 108 bytes on Linux and 104 elsewhere, with the zero at the end. */
const SOCKET_PATH_BYTES_MAX = 100;

/** Undefined where no socket can be: some network and FUSE file systems, long paths without /proc. */
export async function listenInDirectory(
  directory: string,
  name: string,
): Promise<LockSocket | undefined> {
  const at = reach(directory, name);
  if (at === undefined) return undefined;
  const server = createServer((socket) => socket.on("error", () => undefined).destroy());
  const isListening = await new Promise<boolean>((settle) => {
    // Also of an accept that fails later: whoever asked has been answered by the kernel.
    server.on("error", () => settle(false));
    server.listen(at.path, () => settle(true));
  });
  if (!isListening) {
    at.forget();
    return undefined;
  }
  server.unref();
  return {
    close: () => {
      server.close();
      at.forget();
    },
  };
}

export async function askSocket(directory: string, name: string): Promise<SocketAnswer> {
  const at = reach(directory, name);
  if (at === undefined) return "unknown";
  // A unix socket takes a connection or refuses it at once: there is nothing to wait for.
  const answer = await new Promise<SocketAnswer>((settle) => {
    const socket = connect(at.path);
    socket.on("error", (error) => settle(answerOfError(platformCode(error))));
    socket.on("connect", () => {
      socket.destroy();
      settle("listens");
    });
  });
  at.forget();
  return answer;
}

function answerOfError(code: string): SocketAnswer {
  switch (code) {
    // A holder that was stopped: the kernel has put as many in its queue as there is room for.
    case "EAGAIN":
      return "listens";
    case "ECONNREFUSED":
      return "refuses";
    case "ENOENT":
      return "missing";
    default:
      return "unknown";
  }
}

/** A path to it that fits into an address: of a long one only the descriptor of its directory. */
function reach(directory: string, name: string): { path: string; forget(): void } | undefined {
  const path = join(resolve(directory), name);
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return { path, forget: () => undefined };
  if (!existsSync("/proc/self/fd")) return undefined;
  const descriptor = openSync(directory, "r");
  return {
    path: `/proc/self/fd/${descriptor}/${name}`,
    forget: () => closeSync(descriptor),
  };
}
