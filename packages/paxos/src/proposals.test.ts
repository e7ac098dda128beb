import { describe, expect, it } from "vitest";
import { Proposals } from "./proposals.ts";

const command = (n: number) => new Uint8Array([n >> 8, n & 255]);
const numbers = (batch: readonly unknown[]) =>
  batch.map((entry) =>
    entry instanceof Uint8Array ? (entry[0] ?? 0) * 256 + (entry[1] ?? 0) : -1,
  );

describe("proposals that wait", () => {
  // More clients than one batch takes, each of which asks again as soon as it is answered.
  it("lets go what was taken, though the queue is never empty", () => {
    const proposals = new Proposals();
    const taken: number[] = [];
    let added = 0;
    const add = () => {
      proposals.add([command(added)]);
      added += 1;
    };
    for (let client = 0; client < 16; client += 1) add();
    for (let round = 0; round < 1_000; round += 1) {
      const batch = proposals.takeBatch(4, 1 << 20);
      taken.push(...numbers(batch));
      for (const _ of batch) add();
      expect(proposals.count).toBe(16);
      expect(proposals.held).toBeLessThanOrEqual(2 * proposals.count);
    }
    expect(taken).toEqual(Array.from({ length: 4_000 }, (_, n) => n));
    while (proposals.count > 0) taken.push(...numbers(proposals.takeBatch(7, 60)));
    expect(taken).toEqual(Array.from({ length: added }, (_, n) => n));
    expect(proposals.bytes).toBe(0);
  });

  it("are taken once each, though some were taken by bytes and the rest fits", () => {
    const proposals = new Proposals();
    const big = new Uint8Array(90);
    const rest = [1, 2, 3].map(command);
    proposals.add([big, ...rest]);
    expect(proposals.takeBatch(10, 95)).toEqual([big]);
    expect(proposals.takeBatch(10, 95)).toEqual(rest);
    expect(proposals).toMatchObject({ count: 0, bytes: 0 });
  });
});
