import { setTimeout as delay } from "node:timers/promises";
import type { Request } from "@cubby/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "./connect.ts";
import { FakeReplica, failure, until } from "./test-support/fake-replica.ts";

const PATH = "/ls/local/a";

let replica: FakeReplica;

beforeEach(async () => {
  replica = await FakeReplica.start();
});

afterEach(() => replica.close());

describe("an election", () => {
  it("runs one leader after the other, each under its own sequencer", async () => {
    await using one = await connect(replica.url);
    await using two = await connect(replica.url);
    const log: string[] = [];
    let finish: () => void = () => undefined;
    const first = one.elect(PATH, { value: "one" }, async ({ lock }) => {
      log.push(`one ${lock.lockGeneration}`);
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return 1;
    });
    await until(() => log.length === 1);
    expect(contentsOf(PATH)).toBe("one");
    const second = two.elect(PATH, { value: "two" }, ({ lock, signal }) => {
      log.push(`two ${lock.lockGeneration} ${signal.aborted} ${contentsOf(PATH)}`);
      return 2;
    });
    await until(() => replica.numbersOf("acquire").length === 2);
    finish();
    expect(await Promise.all([first, second])).toEqual([1, 2]);
    expect(log).toEqual(["one 1", "two 2 false two"]);
    expect(contentsOf(PATH)).toBe("");
    expect(replica.holders.size).toBe(0);
  });

  it("gives up a candidacy that is aborted", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    await using _lock = await file.acquire();
    const controller = new AbortController();
    const running = cell.elect(PATH, { value: "x", signal: controller.signal }, () => 1);
    await until(() => replica.numbersOf("acquire").length === 2);
    controller.abort();
    await expect(running).rejects.toMatchObject({ code: "cancelled" });
  });

  it.each(["open", "setContents"])(
    "is waited for also while the cell answers no %s for longer than a call may take",
    async (kind) => {
      await using cell = await connect(replica.url, { requestTimeoutMs: 20, closeTimeoutMs: 0 });
      const since = performance.now();
      replica.intercept = ({ call }) =>
        call?.$case === kind && performance.now() - since < 200 ? failure("overloaded") : "default";
      expect(await cell.elect(PATH, { value: "x" }, () => 1)).toBe(1);
    },
  );

  it("names nobody when it is given up as the value is written", async () => {
    await using cell = await connect(replica.url);
    const controller = new AbortController();
    replica.intercept = ({ call }) => {
      if (call?.$case !== "setContents") return "default";
      replica.intercept = () => "default";
      // It is carried out, and its answer comes too late.
      replica.files.set(PATH, { contents: new Uint8Array(call.value.contents), generation: 2 });
      controller.abort();
      return undefined;
    };
    const running = cell.elect(PATH, { value: "x", signal: controller.signal }, () => 1);
    await expect(running).rejects.toMatchObject({ code: "cancelled" });
    expect(contentsOf(PATH)).toBe("");
    expect(replica.holders.size).toBe(0);
  });

  it.each(["acquire", "setContents"])(
    "goes on at the file made anew when it is deleted before the %s",
    async (kind) => {
      await using cell = await connect(replica.url);
      replica.intercept = ({ call }) => {
        if (call?.$case !== kind) return "default";
        replica.intercept = () => "default";
        replica.files.delete(PATH);
        replica.holders.delete(PATH);
        return failure("stale_handle", "it was deleted");
      };
      const led = await cell.elect(PATH, { value: "x" }, () => contentsOf(PATH));
      expect(led).toBe("x");
      expect(replica.numbersOf("open")).toHaveLength(2);
      expect(replica.numbersOf("close")).toHaveLength(2);
    },
  );

  it("is no loss to a leader that gives the lock back by itself", async () => {
    await using cell = await connect(replica.url);
    const led = await cell.elect(PATH, { value: "x" }, async ({ lock }) => {
      await lock.release();
      return "led";
    });
    expect(led).toBe("led");
  });

  it("aborts the leader's signal with the candidate's own, which may come from another realm", async () => {
    await using cell = await connect(replica.url);
    // As that of jsdom, which Node's own functions do not take for one.
    const own = Object.assign(new EventTarget(), { aborted: false, reason: "enough" });
    const signal = own as unknown as AbortSignal;
    const reason = await cell.elect(PATH, { value: "x", signal }, (context) => {
      expect(context.signal.aborted).toBe(false);
      own.aborted = true;
      own.dispatchEvent(new Event("abort"));
      return context.signal.aborted && context.signal.reason;
    });
    expect(reason).toBe("enough");
  });

  it("passes the leader's own error on, and resigns", async () => {
    await using cell = await connect(replica.url);
    const running = cell.elect(PATH, { value: "x" }, () => {
      throw new Error("mine");
    });
    await expect(running).rejects.toThrow("mine");
    expect(replica.holders.size).toBe(0);
  });

  it("fails with lock_lost when the leadership was lost on the way", async () => {
    await using cell = await connect(replica.url);
    const running = cell.elect(PATH, { value: "x" }, async ({ signal }) => {
      replica.intercept = () => failure("session_expired", "over");
      await cell.read(PATH).catch(() => undefined);
      expect(signal.aborted).toBe(true);
      return 1;
    });
    await expect(running).rejects.toMatchObject({ code: "lock_lost" });
  });

  it("fails with lock_lost when it was lost while the leader kept all timers waiting", async () => {
    await using cell = await connect(replica.url, { leaseMs: 2_000, gracePeriodMs: 100 });
    const running = cell.elect(PATH, { value: "x" }, () => {
      for (const until = performance.now() + 2_500; performance.now() < until; );
      return 1;
    });
    await expect(running).rejects.toMatchObject({ code: "lock_lost" });
  });

  it("hears of it when the node is deleted, without a call of the leader's own", async () => {
    await using cell = await connect(replica.url);
    const running = cell.elect(PATH, { value: "x" }, async ({ signal }) => {
      replica.intercept = ({ call }) =>
        call?.$case === "getStat" ? failure("sequencer_stale", "the node is gone") : "default";
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    });
    await expect(running).rejects.toMatchObject({ code: "lock_lost" });
  }, 15_000);

  it.each([true, false])(
    "in doubt at its end is told by the cell: it answers %s",
    async (answers) => {
      replica.leaseMs = 1_000;
      await using cell = await connect(replica.url, { closeTimeoutMs: 0 });
      const keptAlive = { $case: "keepAlive" } as const;
      let kept: Request | undefined;
      let isLeading = false;
      replica.intercept = (request) => {
        if (request.call?.$case !== "keepAlive") return "default";
        kept = request;
        const value = { leaseMs: 1_000, heldMs: 0, failOverEpoch: 0 };
        return isLeading ? undefined : { ...keptAlive, value };
      };
      const running = cell.elect(PATH, { value: "x" }, async ({ lock }) => {
        isLeading = true;
        while (lock.held) await delay(20);
        if (!answers) return 1;
        replica.intercept = () => "default";
        const value = { leaseMs: 60_000, heldMs: 0, failOverEpoch: 0 };
        for (const socket of replica.openSockets) {
          if (kept !== undefined) replica.reply(socket, kept, { ...keptAlive, value });
        }
        return 1;
      });
      if (answers) expect(await running).toBe(1);
      else {
        const cause = { code: "session_jeopardy" };
        const lost = { code: "lock_lost", outcome: "unknown", retryable: false, cause };
        await expect(running).rejects.toMatchObject(lost);
      }
    },
    20_000,
  );

  it.each(["stale_handle", "sequencer_stale"] as const)(
    "fails with lock_lost when the last write is refused as %s",
    async (code) => {
      await using cell = await connect(replica.url);
      const running = cell.elect(PATH, { value: "x" }, () => {
        replica.intercept = ({ call }) =>
          call?.$case === "setContents" ? failure(code, "another leads") : "default";
        return 1;
      });
      await expect(running).rejects.toMatchObject({ code: "lock_lost" });
      await expect(running).rejects.toThrow(/^\[lock_lost\] another leads$/);
    },
  );

  function contentsOf(path: string): string {
    return new TextDecoder().decode(replica.files.get(path)?.contents);
  }
});
