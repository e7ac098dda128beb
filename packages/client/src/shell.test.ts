import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "./connect.ts";
import { FakeReplica } from "./test-support/fake-replica.ts";

const PATH = "/ls/local/a";

describe("the client over a socket", () => {
  let replica: FakeReplica;

  beforeEach(async () => {
    replica = new FakeReplica();
    await replica.listen();
  });

  afterEach(async () => {
    await replica.close();
  });

  it("opens a session, writes and reads a file, holds and releases its lock", async () => {
    await using cell = await connect(replica.url);
    expect(cell.state).toBe("safe");
    await using file = await cell.open(PATH, { create: true, lockDelay: "10s" });
    expect(file.created).toBe(true);
    await file.setContents("hello");
    const { contents, stat } = await file.getContentsAndStat();
    expect(new TextDecoder().decode(contents)).toBe("hello");
    expect(stat.contentGeneration).toBe(2);
    {
      await using lock = await file.acquire();
      lock.assertHeld();
      expect(lock.held).toBe(true);
      expect(replica.holders.size).toBe(1);
    }
    expect(replica.holders.size).toBe(0);
    expect(replica.requests.some((r) => r.call?.$case === "keepAlive")).toBe(true);
  });

  it("leaves no connection behind once the session is closed", async () => {
    const cell = await connect(replica.url);
    await cell.close();
    await cell.close();
    expect(cell.state).toBe("closed");
    await expect(cell.stat(PATH)).rejects.toMatchObject({ code: "client_closed" });
    while (replica.openSockets.length > 0) await new Promise((resolve) => setImmediate(resolve));
  });
});
