import { decodeSequencer, encodeSequencer } from "@cubby/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "./connect.ts";
import { FakeReplica, failure } from "./test-support/fake-replica.ts";

const PATH = "/ls/local/a";

let replica: FakeReplica;

beforeEach(async () => {
  replica = await FakeReplica.start();
});

afterEach(() => replica.close());

describe("a handle and sequencers", () => {
  it("sends a handle's sequencer with every call once it is set (SEQ-7)", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    const lock = await file.acquire();
    file.setSequencer(lock.sequencerText);
    replica.intercept = ({ call, guard }) =>
      call?.$case === "setContents" && guard.length > 0 ? failure("sequencer_stale") : "default";
    await expect(file.setContents("x")).rejects.toMatchObject({ code: "sequencer_stale" });
    file.setSequencer(undefined);
    await file.setContents("x");
  });

  it("sends it with an open below the handle, and with a question about a sequencer", async () => {
    await using cell = await connect(replica.url);
    await using directory = await cell.open(PATH, { create: true });
    const { sequencer } = await directory.acquire();
    directory.setSequencer(sequencer);
    await directory.open("child", { create: true });
    await directory.checkSequencer(sequencer);
    const guards = replica.requests.slice(-2).map(({ call, guard }) => [call?.$case, guard.length]);
    const { length } = sequencer;
    expect(guards).toEqual([
      ["open", length],
      ["checkSequencer", length],
    ]);
  });

  it("takes no sequencer of another node of its name for one of its own (HND-3)", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    const { sequencer } = await file.acquire();
    expect(await file.checkSequencer(sequencer)).toMatchObject({ valid: true });
    const token = decodeSequencer(sequencer);
    const later = encodeSequencer({ ...token, instance: token.instance + 1 });
    replica.intercept = () => ({ $case: "checkSequencer", value: { valid: true, reason: "" } });
    expect(await file.checkSequencer(later)).toMatchObject({ valid: false });
  });

  it("gives a lock back whatever has become of the handle's sequencer", async () => {
    await using cell = await connect(replica.url);
    await using file = await cell.open(PATH, { create: true });
    const lock = await file.acquire();
    file.setSequencer(lock.sequencer);
    replica.intercept = ({ guard }) => (guard.length > 0 ? failure("sequencer_stale") : "default");
    await expect(file.setContents("x")).rejects.toMatchObject({ code: "sequencer_stale" });
    await file.release();
    expect(replica.numbersOf("release")).toHaveLength(1);
  });
});
