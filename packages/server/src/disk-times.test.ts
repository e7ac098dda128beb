import { describe, expect, it } from "vitest";
import type { DiskOperation } from "./core/disk.ts";
import { DiskTimes } from "./disk-times.ts";

const SEGMENT = "segment-00000001";
const PAGE = 4_096;
const stamped = new Uint8Array(PAGE).fill(1);

function timed() {
  const appends: number[] = [];
  let nowMs = 100;
  const times = new DiskTimes(
    (tookMs) => appends.push(tookMs),
    () => nowMs,
  );
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { times, appends, pass };
}

const NOT_APPENDS: readonly DiskOperation[] = [
  { kind: "write", file: SEGMENT, offset: PAGE, bytes: new Uint8Array(1 << 20) },
  { kind: "write", file: SEGMENT, offset: 0, bytes: stamped },
  { kind: "write", file: "witness-a", offset: PAGE, bytes: stamped },
  { kind: "write", file: "snapshot-0000000000000100.partial", offset: PAGE, bytes: stamped },
  { kind: "read", file: SEGMENT, offset: PAGE, sizeBytes: PAGE },
  { kind: "create", file: SEGMENT },
  { kind: "rename", from: "a", to: "b" },
  { kind: "remove", file: SEGMENT },
  { kind: "size", file: SEGMENT },
  { kind: "list" },
  { kind: "syncDirectory" },
];

describe("the times of the disk", () => {
  it.each(NOT_APPENDS)("see $kind that hangs, and take it for no append", (operation) => {
    const { times, appends, pass } = timed();
    times.onRequest({ ...operation, id: 1 });
    pass(5_000);
    expect(times.oldestMs()).toBe(5_000);
    times.onCompletion(1);
    expect([times.oldestMs(), appends]).toEqual([0, []]);
  });

  it("report how long each append to the journal took", () => {
    const { times, appends, pass } = timed();
    for (const id of [1, 2]) {
      times.onRequest({ kind: "write", file: SEGMENT, offset: id * PAGE, bytes: stamped, id });
      pass(3);
    }
    times.onCompletion(2);
    expect(times.oldestMs()).toBe(6);
    times.onCompletion(1);
    times.onCompletion(1);
    expect(appends).toEqual([3, 6]);
  });
});
