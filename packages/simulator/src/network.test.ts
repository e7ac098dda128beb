import { Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import { Network } from "./network.ts";
import { type Plan, QUIET_PLAN } from "./plan.ts";
import { VirtualTime } from "./virtual-time.ts";

type Arrival = { readonly at: number; readonly byte: number; readonly length: number };

function play(plan: Partial<Plan>, count: number, before?: (network: Network) => void) {
  const time = new VirtualTime();
  const network = new Network(time, new Rng("network"), { ...QUIET_PLAN, ...plan });
  const arrivals: Arrival[] = [];
  before?.(network);
  for (let i = 0; i < count; i += 1) {
    const bytes = Uint8Array.of(i, 1, 2, 3);
    network.packet(1, 2, bytes, (b) => {
      arrivals.push({ at: time.now, byte: b[0] ?? -1, length: b.length });
    });
  }
  while (time.step(1_000_000));
  return { arrivals, network };
}

describe("the network between replicas", () => {
  it("delivers everything in order when nothing is wrong", () => {
    const { arrivals } = play({}, 200);
    expect(arrivals.map(({ byte }) => byte)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  it("loses, doubles, reorders and spoils as often as the plan says (N1, N6)", () => {
    expect(play({ lossRate: 0.3 }, 250).arrivals.length).toBeLessThan(210);
    expect(play({ duplicateRate: 0.5 }, 250).arrivals.length).toBeGreaterThan(340);
    const bytes = play({ keepsOrder: false, jitterMs: 8 }, 200).arrivals.map(({ byte }) => byte);
    expect(bytes).not.toEqual([...bytes].sort((a, b) => a - b));
    const spoiled = play({ badFrameRate: 0.5 }, 200).arrivals;
    expect(spoiled.some(({ length }) => length !== 4)).toBe(true);
  });

  it("loses packets of a link that is bad for good, and of no other, once all is healed", () => {
    const of = (to: number): number => {
      const bad = (network: Network): void => {
        network.healAll();
        network.lose([[1, to]], 0.5);
      };
      return play({}, 250, bad).arrivals.length;
    };
    expect(of(2)).toBeLessThan(160);
    expect(of(3)).toBe(250);
  });

  it("lets no more through a thin link than fits, each packet behind those before it", () => {
    const { arrivals } = play({ linkBytesPerMs: 0.02, jitterMs: 0 }, 3);
    expect(arrivals.map(({ at }) => Math.round(at))).toEqual([200, 400, 600]);
    let queued = 0;
    const seen = (network: Network) => {
      network.onQueuedLong = () => {
        queued += 1;
      };
    };
    play({ linkBytesPerMs: 0.02 }, 3, seen);
    expect(queued).toBe(2);
    play({}, 3, seen);
    expect(queued).toBe(2);
  });

  it("has room for so many on a narrow link, until all is healed (N5)", () => {
    const narrow = play({}, 100, (network) => network.slow(1, 2, 5, 3));
    expect(narrow.arrivals.map(({ byte }) => byte)).toEqual([0, 1, 2]);
    expect(narrow.network.faults).toBe(97);
    const healed = play({}, 100, (network) => {
      network.slow(1, 2, 5, 3);
      network.healAll();
    });
    expect(healed.arrivals.length).toBe(100);
  });

  it("brings packets again long after they were sent (N1)", () => {
    const { arrivals } = play({ oldPacketRate: 0.2 }, 100);
    expect(arrivals.filter(({ at }) => at > 50).length).toBeGreaterThan(5);
    expect(arrivals.some(({ at }) => at > 10_000)).toBe(true);
  });

  it("delivers nothing over a cut link, and cuts nest (N2, N3)", () => {
    let heal = (): void => undefined;
    const cut = (network: Network): void => {
      heal = network.cut(1, 2);
      network.cut(1, 2)();
    };
    const { arrivals, network } = play({}, 10, cut);
    expect(arrivals).toEqual([]);
    expect(network.isCut(2, 1)).toBe(false);
    heal();
    expect(network.isCut(1, 2)).toBe(false);
  });

  it("heals all cuts at once, and no later one in their place", () => {
    let heal = (): void => undefined;
    const { network } = play({}, 1, (before) => {
      heal = before.cut(1, 2);
    });
    network.healCuts();
    expect(network.isCut(1, 2)).toBe(false);
    network.cut(1, 2);
    heal();
    expect(network.isCut(1, 2)).toBe(true);
  });

  it("lets what is clogged burst when the clog is over (N5)", () => {
    const { arrivals } = play({}, 20, (network) => network.clog(1, 2, 500));
    expect(arrivals.every(({ at }) => at >= 500 && at < 501)).toBe(true);
  });
});
