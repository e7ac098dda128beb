import { describe, expect, it } from "vitest";
import { ALONE, body, opened, written } from "../test-support/world.ts";
import { TAG_MAX } from "./tag.ts";
import { Uploads } from "./uploads.ts";

describe("uploads", () => {
  it("have arrived with whatever was sent behind them, also when tags come round", () => {
    const uploads = new Uploads();
    uploads.add(TAG_MAX - 1, 65_536);
    uploads.add(2, 131_072);
    expect(uploads.delayMs).toBe(3_000);
    // An Acquire that was sent long before.
    uploads.onAnswered(TAG_MAX - 1_000_000);
    uploads.onAnswered(TAG_MAX - 2);
    expect(uploads.delayMs).toBe(3_000);
    uploads.onAnswered(TAG_MAX);
    expect(uploads.delayMs).toBe(2_000);
    uploads.onAnswered(3);
    expect(uploads.delayMs).toBe(0);
  });

  it("leave a master over a slow link the time to take them, and not for ever", () => {
    const { world, session } = opened();
    const write = world.call(session, body.largeWrite);
    world.mute.add(ALONE);
    world.run(4_900);
    expect(world.connectAttempts).toHaveLength(1);
    expect(world.of("setContents")).toHaveLength(1);
    world.run(200);
    expect(world.connectAttempts).toHaveLength(2);
    world.mute.clear();
    world.run(3_000);
    world.reply(world.last("setContents"), written);
    expect(write.result).toEqual(written);
  });

  it("delay no repetition once they have arrived", () => {
    const { world, session } = opened();
    world.call(session, body.largeWrite);
    world.call(session, body.read);
    const sent = () => [world.of("setContents").length, world.of("getContentsAndStat").length];
    world.run(2_900);
    expect(sent()).toEqual([1, 1]);
    // The Locate was answered, that was asked behind them.
    world.run(200);
    expect(sent()).toEqual([2, 2]);
  });
});

describe("a slow link", () => {
  it("is kept while a reply comes in, and left when no more of it comes", () => {
    const { world, session } = opened();
    world.mute.add(ALONE);
    world.call(session, body.read);
    const connection = world.last("getContentsAndStat").connection;
    for (let i = 0; i < 20; i += 1) {
      world.run(500);
      world.core.step(world.now, { kind: "heard", connection });
    }
    expect(world.connectAttempts).toHaveLength(1);
    expect(world.of("getContentsAndStat"), "what is coming in is not asked for anew").toHaveLength(
      1,
    );
    world.run(2_100);
    expect(world.connectAttempts).toHaveLength(2);
  });
});
