import type { Socket } from "node:net";

type Handle = { readonly writeQueueSize?: number };

/**
 * Another number whenever the kernel has taken some of what a socket was given to write, and the same
 * when more is given. Node counts a write, which may be megabytes, once all of it is taken; how far it
 * is only the handle knows, by which Node's own timeouts go too.
 */
export function outputProgress(socket: Socket): number {
  const { _handle } = socket as Socket & { readonly _handle?: Handle | null };
  return socket.bytesWritten - socket.writableLength - (_handle?.writeQueueSize ?? 0);
}
