import dns from "node:dns";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connect } from "./connect.ts";
import { FakeReplica, failure, until } from "./test-support/fake-replica.ts";

type Looked = (error: NodeJS.ErrnoException | null, addresses: dns.LookupAddress[]) => void;

let replica: FakeReplica;

beforeEach(async () => {
  replica = await FakeReplica.start();
});

afterEach(() => replica.close());

describe("connecting", () => {
  it("waits for a name that takes longer to look up than a connection may take", async () => {
    let passedMs = 0;
    const clock = performance.now.bind(performance);
    const { lookup } = dns;
    const waiting: (() => void)[] = [];
    const slowLookup = (host: string, options: dns.LookupAllOptions, callback: Looked): void => {
      waiting.push(() => lookup(host, options, callback));
    };
    vi.spyOn(performance, "now").mockImplementation(() => clock() + passedMs);
    vi.spyOn(dns, "lookup").mockImplementation(slowLookup as typeof lookup);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const connecting = connect(replica.url.replace("127.0.0.1", "localhost"));
      for (let step = 0; step < 10; step += 1) {
        passedMs += 500;
        vi.advanceTimersByTime(500);
        for (let turn = 0; turn < 5; turn += 1) await nextTurn();
      }
      expect(waiting).toHaveLength(1);
      for (const answer of waiting) answer();
      await using cell = await connecting;
      expect(cell.state).toBe("safe");
    } finally {
      vi.useRealTimers();
      vi.restoreAllMocks();
    }
  });

  it("says so when a replica has as many connections as it takes, whatever others say", async () => {
    await using cell = await connect(replica.url);
    replica.isFull = true;
    const other = await FakeReplica.start();
    const hosts = [`${replica.address},${other.address}`, replica.address];
    await other.close();
    for (const host of hosts) {
      const connecting = connect(`cubby://${host}/local`, { connectTimeoutMs: 500 });
      const full = { code: "overloaded", outcome: "not-applied", retryable: true };
      await expect(connecting).rejects.toMatchObject(full);
      await expect(connecting).rejects.toThrow(`${replica.address}: It is full.`);
    }
    expect(cell.state).toBe("safe");
    await until(() => replica.openSockets.length === 1);
  });

  it("says so when the master has as much at hand as it may have", async () => {
    const detail = "The master has as many requests at hand as it may have.";
    replica.intercept = ({ call }) =>
      call?.$case === "createSession" ? failure("overloaded", detail) : "default";
    const connecting = connect(replica.url, { connectTimeoutMs: 500 });
    const full = { code: "overloaded", outcome: "not-applied", retryable: true };
    await expect(connecting).rejects.toMatchObject(full);
    await expect(connecting).rejects.toThrow(/500 ms: The master has .* as it may have\.$/);
  });

  it("says that an address is wrong, though others are only full: it is no use to try again", async () => {
    replica.isFull = true;
    const stranger = await FakeReplica.start();
    stranger.cellName = "elsewhere";
    try {
      const host = `${stranger.address},${replica.address}`;
      const connecting = connect(`cubby://${host}/local`, { connectTimeoutMs: 500 });
      const wrong = { code: "handshake_failed", outcome: "not-applied", retryable: false };
      await expect(connecting).rejects.toMatchObject(wrong);
    } finally {
      await stranger.close();
    }
  });
});
