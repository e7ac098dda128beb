import { Rng, utf8Decode } from "@cubby/base";
import { afterAll, describe, expect, it, vi } from "vitest";
import { recover } from "./journal-recovery.ts";
import { codeOf, type Pending, TestClient } from "./replica-client.test-support.ts";
import { World } from "./replica-world.test-support.ts";
import { drive } from "./simulated-disk.ts";

// On a core that others use too; alone each run takes a second or two.
vi.setConfig({ testTimeout: 60_000 });

const SEEDS = (process.env["DURABILITY_SEEDS"] ?? "1,2,3").split(",");

/** Snapshots, checkpoints, recycled segments and catch-up by snapshot all come into play. */
const SMALL_WORLD = {
  snapshotEverySlots: 25,
  journal: { snapshotEveryBytes: 64 * 1024 },
  engine: { retainSlots: 8, snapshotPartBytes: 1_024, batchEntriesMax: 8 },
};

/** One session with a lock that it never gives up and a file that only it writes. */
class Owner {
  readonly client: TestClient;
  readonly #world: World;
  readonly #handle: Uint8Array;
  readonly #lock: Uint8Array;
  readonly #lockGeneration: number;
  readonly #sizeMax: number;
  #written = 0;
  #acknowledged = 0;
  #write: Pending | undefined;

  constructor(world: World, name: string, sizeMax = 3_000) {
    this.#world = world;
    this.#sizeMax = sizeMax;
    this.client = new TestClient(world).connect();
    this.#handle = this.client.open(`file-${name}`).handle;
    this.#lock = this.client.open(`lock-${name}`).handle;
    const acquired = this.client.tryAcquire(this.#lock);
    if (acquired.$case !== "acquire") throw new Error(codeOf(acquired));
    this.#lockGeneration = acquired.value.lockGeneration;
  }

  /** Keeps one write under way. */
  poke(): void {
    if (this.#write !== undefined) {
      const { result } = this.#write;
      if (result === undefined) return;
      if (result.$case !== "setContents") throw new Error(`a write: ${codeOf(result)}`);
      this.#acknowledged = this.#written;
    }
    this.#written += 1;
    const size = this.#world.rng.below(this.#sizeMax);
    this.#write = this.client.beginSet(this.#handle, `${this.#written}:${"x".repeat(size)}`);
  }

  check(): void {
    this.#world.runUntil(() => this.#write?.result !== undefined, 20_000);
    this.poke();
    this.#world.runUntil(() => this.#write?.result !== undefined, 20_000);
    const read = Number(utf8Decode(this.client.get(this.#handle).contents).split(":")[0]);
    expect(read).toBeGreaterThanOrEqual(this.#acknowledged);
    expect(read).toBe(this.#written);
    const again = this.client.tryAcquire(this.#lock);
    if (again.$case !== "acquire") throw new Error(`the lock: ${codeOf(again)}`);
    expect(again.value.lockGeneration).toBe(this.#lockGeneration);
  }
}

/** What the runs must have come across for them to mean anything, over all seeds. */
const met = { compared: 0, installed: 0, recycled: 0 };

function count(world: World, compared: number, segmentsMax: number): void {
  met.compared += compared;
  met.installed += world.traces("snapshotInstalled").length;
  for (const { disk } of world.hosts) {
    const result = drive(disk.copy(), recover({ expected: {} }));
    if (result.kind !== "recovered") throw new Error(result.kind);
    const { segments, nextSegmentId } = result.journal;
    const life = segments.at(-1)?.life ?? 0;
    expect(segments.length).toBeLessThan(segmentsMax);
    // As many lives, in fewer files.
    met.recycled += Math.max(0, life - nextSegmentId);
  }
}

/** Equal state at equal index, however each replica came by it; looked at after every turn. */
function watchAgreement(world: World): { compared: number } {
  const hashes = new Map<number, string>();
  const seen = new Map<number, number>();
  const watch = { compared: 0 };
  world.onTurn = (host) => {
    const index = host.cell?.status(world.localNow(host)).appliedIndex ?? 0;
    if (host.cell === undefined || seen.get(host.id) === index) return;
    seen.set(host.id, index);
    const hash = host.cell.stateHash();
    const known = hashes.get(index);
    if (known === undefined) hashes.set(index, hash);
    else if (known !== hash) throw new Error(`replica ${host.id} differs at ${index}`);
    else watch.compared += 1;
  };
  return watch;
}

function pick(world: World, ids: readonly number[]): number {
  return ids[world.rng.below(ids.length)] ?? 1;
}

/** Ends when all are up and have applied the same. */
function settle(world: World): void {
  world.heal();
  world.lossRate = 0;
  for (const host of world.hosts) host.diskMs = undefined;
  world.startAll();
  const indexes = () =>
    world.hosts.map((host) => host.cell?.status(world.localNow(host)).appliedIndex);
  const tookMs = world.runUntil(() => new Set(indexes()).size === 1, 20_000);
  if (tookMs === undefined) throw new Error(`no agreement: ${indexes()}\n${world.report()}`);
}

function allRecovered(world: World): void {
  for (const host of world.hosts) {
    if (host.ended !== undefined) throw new Error(JSON.stringify(host.ended));
    expect(host.recovery).toBe("recovered");
  }
}

describe.each(SEEDS)("seed %s", (seed) => {
  it("keeps acknowledged writes, locks and sessions through any two, and all five, crashes", () => {
    const world = new World({ replicas: 5, seed: `crash ${seed}`, ...SMALL_WORLD }).startAll();
    const watch = watchAgreement(world);
    const owners = ["a", "b", "c"].map((name) => new Owner(world, name));
    for (let round = 0; round < 6; round += 1) {
      const victims =
        round % 3 === 2 ? world.ids : [pick(world, world.ids), pick(world, world.ids)];
      for (let turn = 0; turn < 120; turn += 1) {
        for (const owner of owners) owner.poke();
        world.run(world.rng.below(8));
        if (turn === 40) for (const id of victims) world.crash(id);
        if (turn === 80) world.startAll();
      }
      for (const owner of owners) owner.check();
      allRecovered(world);
    }
    settle(world);
    count(world, watch.compared, 12);
  });

  it("arrives at one state after loss, cuts, pauses, slow disks and crashes", () => {
    const draw = new Rng(`draw ${seed}`);
    const world = new World({
      replicas: draw.chance(0.5) ? 5 : 3,
      seed: `random ${seed}`,
      snapshotEverySlots: draw.between(5, 100),
      journal: { snapshotEveryBytes: draw.between(1, 8) * 32 * 1024 },
      engine: draw.chance(0.7) ? SMALL_WORLD.engine : {},
      driftPerMille: draw.chance(0.5) ? 100 : 0,
    }).startAll();
    const { rng } = world;
    const watch = watchAgreement(world);
    // The largest ones are longer than a segment.
    const sizeMax = [100, 3_000, 30_000, 150_000][draw.below(4)] ?? 100;
    const owners = ["a", "b", "c", "d"].map((name) => new Owner(world, name, sizeMax));
    world.lossRate = rng.chance(0.5) ? 0.05 : 0;
    for (let turn = 0; turn < 600; turn += 1) {
      for (const owner of owners) owner.poke();
      world.run(rng.below(20));
      const id = pick(world, world.ids);
      if (rng.chance(0.02)) world.crash(id);
      if (rng.chance(0.1)) for (const host of world.hosts) if (!host.replica) world.start(host.id);
      if (rng.chance(0.02)) world.pause(id, rng.below(1_500));
      if (rng.chance(0.02)) world.host(id).diskMs = rng.chance(0.5) ? rng.below(500) : undefined;
      if (rng.chance(0.02)) world.cut(id, pick(world, world.ids));
      if (rng.chance(0.02)) world.heal();
      if (rng.chance(0.01)) world.input(id, { kind: "handOver" });
      if (rng.chance(0.01)) world.input(id, { kind: "suspended" });
    }
    settle(world);
    allRecovered(world);
    for (const owner of owners) owner.check();
    settle(world);
    count(world, watch.compared, 100);
  });
});

afterAll(() => {
  expect(met.compared).toBeGreaterThan(SEEDS.length * 200);
  expect(met.installed).toBeGreaterThan(SEEDS.length);
  expect(met.recycled).toBeGreaterThan(SEEDS.length);
});
