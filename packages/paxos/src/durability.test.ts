import { instant } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { Durability } from "./durability.ts";

describe("what waits for the disk", () => {
  it("waits from its own beginning, or since the disk last did something", () => {
    const durability = new Durability();
    expect(durability.waitingMs(instant(1_000))).toBe(0);
    const first = durability.issue(instant(1_000));
    const second = durability.issue(instant(1_001));
    expect(durability.waitingMs(instant(1_200))).toBe(200);
    // Of a disk that is slow, and not stuck: the second waited for the first.
    durability.persistedThrough(instant(1_200), first);
    expect(durability.waitingMs(instant(1_320))).toBe(120);
    expect(durability.oldestMs(instant(1_320))).toBe(319);
    durability.persistedThrough(instant(1_320), first);
    expect(durability.waitingMs(instant(1_320))).toBe(0);
    durability.persistedThrough(instant(1_400), second);
    expect(durability.writing).toBe(false);
    expect(durability.oldestMs(instant(5_000))).toBe(0);
    durability.issue(instant(9_000));
    expect(durability.waitingMs(instant(9_100))).toBe(100);
  });

  it("is over for what was handed out at one instant when the last of it is durable", () => {
    const durability = new Durability();
    const first = durability.issue(instant(1_000));
    durability.issue(instant(1_000));
    durability.persistedThrough(instant(1_100), first);
    expect(durability.oldestMs(instant(1_500))).toBe(500);
  });

  it("takes a pause of the process out of the wait, and no more of it", () => {
    const durability = new Durability();
    durability.excuse(instant(900), 500);
    durability.issue(instant(1_000));
    durability.excuse(instant(1_400), 350);
    expect(durability.waitingMs(instant(1_400))).toBe(50);
    expect(durability.oldestMs(instant(1_400))).toBe(400);
    // What was waited before counts, so a disk that hangs is noticed.
    durability.excuse(instant(1_900), 300);
    expect(durability.waitingMs(instant(1_900))).toBe(250);
    durability.excuse(instant(2_000), 5_000);
    expect(durability.waitingMs(instant(2_000))).toBe(0);
  });
});
