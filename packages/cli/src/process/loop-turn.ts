import { setImmediate } from "node:timers/promises";

/** Until the event loop has polled once more: what had come to this process by now is handled. */
export async function loopTurn(): Promise<void> {
  // The first one runs before the next poll.
  await setImmediate();
  await setImmediate();
}
