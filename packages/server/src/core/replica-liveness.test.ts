import { describe, expect, it, vi } from "vitest";
import { TestClient } from "./replica-client.test-support.ts";
import { World } from "./replica-world.test-support.ts";

// On a core that others use too; alone each run takes half a second.
vi.setConfig({ testTimeout: 60_000 });

const LEASE_MS = 600;
const ELECTION_TIMEOUT_MS = 300;
/** Issue 2, §3; the client's own search is part of it. */
const RECOVERY_MS = LEASE_MS + 4 * ELECTION_TIMEOUT_MS;
const SEEDS = (process.env["LIVENESS_SEEDS"] ?? "1,2,3").split(",");

type Scene = {
  readonly world: World;
  readonly client: TestClient;
  readonly master: number;
  /** The others, in no order that means anything. */
  readonly others: readonly number[];
};

function scene(replicas: number, seed: string): Scene {
  const world = new World({ replicas, seed }).startAll();
  const client = new TestClient(world).connect();
  client.open("file");
  world.run(world.rng.between(1_000, 2_000));
  const master = world.master();
  if (master === undefined) throw new Error(`no master\n${world.report()}`);
  const others = world.ids.filter((id) => id !== master);
  for (let at = others.length - 1; at > 0; at -= 1) {
    const other = world.rng.below(at + 1);
    [others[at], others[other]] = [others[other] ?? 0, others[at] ?? 0];
  }
  return { world, client, master, others };
}

/** A write right after the fault, then a minute of peace in which masters may change once more. */
function recovers({ world, client }: Scene, fault: () => void): void {
  const { handle } = client.open("file");
  fault();
  const write = client.beginSet(handle, "after the fault");
  const tookMs = world.runUntil(() => write.result !== undefined, 60_000);
  if (tookMs === undefined || tookMs > RECOVERY_MS) {
    throw new Error(`the write took ${tookMs} ms\n${world.report()}`);
  }
  expect(write.result?.$case).toBe("setContents");
  const before = world.traces("serving").length;
  world.run(60_000);
  const changes = world.traces("serving").length - before;
  if (changes > 1) throw new Error(`${changes} changes of master\n${world.report()}`);
  client.set(handle, "still served");
}

describe.each(SEEDS)("with default leases, seed %s, a write is acknowledged in time", (seed) => {
  it.each([3, 5])("after the master is killed, n = %i", (replicas) => {
    const at = scene(replicas, `kill ${replicas} ${seed}`);
    recovers(at, () => at.world.crash(at.master));
  });

  it("when the master is left with one link, to the only replica that sees all (quorum-loss)", () => {
    const at = scene(5, `quorum-loss ${seed}`);
    const [hub = 0, ...rest] = at.others;
    recovers(at, () => {
      at.world.onlyLinks([[hub, at.master], ...rest.map((id) => [hub, id] as const)]);
    });
  });

  it("when the only replica that sees a quorum has an old log (constrained election)", () => {
    const at = scene(5, `constrained ${seed}`);
    const { world, client, master } = at;
    const [hub = 0, ...rest] = at.others;
    world.cut(master, hub);
    world.cut(hub, master);
    const { handle } = client.open("file");
    for (let n = 0; n < 20; n += 1) client.set(handle, `without the hub ${n}`);
    recovers(at, () => world.onlyLinks(rest.map((id) => [hub, id] as const)));
  });

  it("when three replicas are left in a line (chained, n = 3)", () => {
    const at = scene(3, `chained 3 ${seed}`);
    const [middle = 0, end = 0] = at.others;
    recovers(at, () => {
      at.world.onlyLinks([
        [at.master, middle],
        [middle, end],
      ]);
    });
  });

  it.each([0, 1, 2])("when five are left in a line, the master at place %i (chained)", (place) => {
    const at = scene(5, `chained 5 ${place} ${seed}`);
    const line = [...at.others];
    line.splice(place, 0, at.master);
    const links = line.slice(1).map((id, before) => [line[before] ?? 0, id] as const);
    recovers(at, () => at.world.onlyLinks(links));
  });
});
