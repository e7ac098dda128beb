import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "./connect.ts";
import { FakeReplica } from "./test-support/fake-replica.ts";

const PATH = "/ls/local/a";

let replica: FakeReplica;

beforeEach(async () => {
  replica = await FakeReplica.start();
});

afterEach(() => replica.close());

describe("a session", () => {
  it("ends, for everyone who closes it, though whoever hears of a lost lock closes it too", async () => {
    const cell = await connect(replica.url);
    const file = await cell.open(PATH, { create: true });
    const { signal } = await file.acquire();
    let closing: Promise<void> | undefined;
    signal.addEventListener("abort", () => {
      closing = cell.close();
    });
    await cell.close();
    await closing;
    expect(closing).toBeDefined();
    expect(replica.numbersOf("endSession")).toHaveLength(1);
  });
});
