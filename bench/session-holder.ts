/** Holds idle sessions over a few connections, in a process of its own. Told how many by its parent. */

import { ConnectionPool, type CubbySession, connect } from "@cubby/client";

const CONNECTIONS = 10;
/** Sessions that are being opened at the same time. */
const OPENING_MAX = 200;

const url = process.argv[2] ?? "";
const pools = Array.from({ length: CONNECTIONS }, () => new ConnectionPool());
const sessions: CubbySession[] = [];

async function openUntil(total: number): Promise<void> {
  let next = sessions.length;
  const open = async (): Promise<void> => {
    for (let i = next++; i < total; i = next++) {
      const pool = pools[i % CONNECTIONS];
      if (pool === undefined) throw new RangeError(`no pool for session ${i}`);
      sessions.push(await connect(url, { pool, connectTimeoutMs: 60_000 }));
    }
  };
  await Promise.all(Array.from({ length: OPENING_MAX }, open));
}

/** What a parent that counts on its sessions must know. */
function safeSessions(): number {
  return sessions.filter((session) => session.state === "safe").length;
}

process.on("message", (total: number) => {
  openUntil(total).then(
    () => process.send?.({ safe: safeSessions() }),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
process.once("disconnect", () => process.exit(0));
