import { uptime } from "node:os";
import { expect, it, vi } from "vitest";
import { connect } from "./connect.ts";
import { ConnectionPool } from "./pool.ts";
import { FakeReplica } from "./test-support/fake-replica.ts";

vi.mock("node:os", { spy: true });

it("holds a sleep while there was no session against none that comes later", async () => {
  const replica = await FakeReplica.start();
  try {
    const pool = new ConnectionPool();
    const first = await connect(replica.url, { pool });
    await first.close();
    const awakeSeconds = uptime();
    vi.mocked(uptime).mockImplementation(() => awakeSeconds + 3_600 + performance.now() / 1_000);
    // It would be lost for good.
    await using second = await connect(replica.url, { pool, gracePeriodMs: 0 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(second.state).toBe("safe");
  } finally {
    await replica.close();
  }
});
