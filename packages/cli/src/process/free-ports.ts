import { createServer } from "node:net";

const HOST = "127.0.0.1";
/**
 * Below the range from which systems draw the ports of outgoing connections (32,768 on Linux, 49,152
 * elsewhere): a port taken from that range could be gone when a killed replica wants it back.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;
const ATTEMPTS_MAX = 500;

/** True when `port` can be listened on now. */
export async function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: HOST, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** `count` loopback ports that are free now and stay out of the way of outgoing connections. */
export async function findFreePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    if (found.size === count) return [...found];
    // Random, so that two cells that start at the same time seldom try the same ports.
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    if (!found.has(port) && (await isPortFree(port))) found.add(port);
  }
  throw new Error(`No ${count} free ports between ${FIRST_PORT} and ${LAST_PORT} on ${HOST}.`);
}
