import { assert, EMPTY_BYTES, Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import {
  bytesOn,
  formattedDisk,
  IDENTITY,
  limitDisk,
  openJournal,
  record,
  recoverFrom,
  stepAtRandom,
  textOf,
} from "./journal.test-support.ts";
import type { AppendedRecord, Journal } from "./journal.ts";
import { recover } from "./journal-recovery.ts";
import { type CrashModel, driveFor, type SimDisk, STOPPED } from "./simulated-disk.ts";

/** What the journal was given, in order; sequence n is at n - 1. */
type Model = {
  log: { slot: number; text: string; isCheckpoint: boolean }[];
  /** Sequence of the last record that was reported persisted. */
  acknowledged: number;
  snapshotSlot: number;
  slot: number;
};

function newModel(): Model {
  return { log: [], acknowledged: 0, snapshotSlot: 0, slot: 0 };
}

function randomRecord(rng: Rng, model: Model): AppendedRecord {
  model.slot += 1;
  const length = rng.chance(0.02) ? 90_000 : rng.chance(0.1) ? 20_000 : rng.below(1_500);
  const text = `${model.slot}:${"x".repeat(length)}`;
  model.log.push({ slot: model.slot, text, isCheckpoint: false });
  return { ...record(model.slot, text), vital: rng.chance(0.1) };
}

/** One life of a process: appends, snapshots and waits at random, then stops anywhere. */
function live(journal: Journal, disk: SimDisk, rng: Rng, model: Model): void {
  // In this run, the n-th record of `append` has this sequence.
  const sequences: number[] = [];
  const turns = rng.below(rng.chance(0.4) ? 4 : 120);
  for (let turn = 0; turn < turns && journal.fatal === undefined; turn += 1) {
    if (rng.chance(0.4)) {
      const records = Array.from({ length: rng.between(1, 4) }, () => {
        const made = randomRecord(rng, model);
        sequences.push(model.log.length);
        return made;
      });
      journal.append(records);
    }
    if (rng.chance(0.05) && model.slot > journal.snapshotSlot) {
      const slot = sequences.length > 0 ? model.slot : journal.snapshotSlot + 1;
      const ballot = { round: 1, priority: 0, replica: 3 };
      const state = new Uint8Array(rng.below(300_000)).fill(model.slot);
      journal.writeSnapshot({ slot, ballot, configuration: EMPTY_BYTES, state });
    }
    if (journal.needsCheckpoint) {
      const slot = journal.snapshotSlot;
      model.log.push({ slot, text: "checkpoint", isCheckpoint: true });
      journal.appendCheckpoint(record(slot, "checkpoint"));
    }
    if (rng.chance(0.1)) journal.confirm();
    for (let steps = rng.below(12); steps > 0; steps -= 1) {
      stepAtRandom(journal, disk, rng);
      // Of each kind one at a time, since requests may overtake each other.
      assert(writesTo(disk, /^witness-/) <= 1, "one write of a witness at a time");
      assert(writesTo(disk, /\.partial$/) <= 1, "one snapshot is written at a time");
    }
    const persisted = journal.persistedThrough;
    if (persisted > 0) model.acknowledged = sequences[persisted - 1] ?? 0;
    model.snapshotSlot = Math.max(model.snapshotSlot, journal.snapshotSlot);
  }
}

function writesTo(disk: SimDisk, file: RegExp): number {
  return disk.waiting.filter((each) => each.kind === "write" && file.test(each.file)).length;
}

function checkRecovered(disk: SimDisk, model: Model): { journal: Journal } {
  const { journal, recovered } = openJournal(disk);
  const last = recovered.journal.sequence;
  expect(last).toBeGreaterThanOrEqual(model.acknowledged);
  expect(last).toBeLessThanOrEqual(model.log.length);
  expect(recovered.snapshot?.slot ?? 0).toBeGreaterThanOrEqual(model.snapshotSlot);
  const first = recovered.records[0]?.sequence ?? last + 1;
  if (recovered.snapshot === undefined) expect(first).toBe(last === 0 ? last + 1 : 1);
  const wrong = recovered.records.findIndex((found, i) => {
    const given = model.log[first - 1 + i];
    return (
      found.sequence !== first + i ||
      found.slot !== given?.slot ||
      found.isCheckpoint !== given.isCheckpoint ||
      textOf(found.payload) !== given.text
    );
  });
  expect(wrong).toBe(-1);
  expect(first + recovered.records.length - 1).toBe(last);
  model.log.length = last;
  // All that a recovery gives back is durable: others may have heard of it.
  model.acknowledged = last;
  model.snapshotSlot = recovered.snapshot?.slot ?? 0;
  return { journal };
}

function runSeed(
  seed: string,
  models: readonly CrashModel[],
  lives: number,
  isNearlyFull = false,
): void {
  const rng = new Rng(seed);
  let disk = formattedDisk();
  const state = newModel();
  const crash = (): SimDisk => {
    const model = models[rng.below(models.length)];
    assert(model !== undefined, "there is a model");
    return disk.crash(rng, model);
  };
  for (let life = 0; life < lives; life += 1) {
    // A machine that is not well stops in the middle of recovery too.
    for (let attempts = rng.below(3); attempts > 0; attempts -= 1) {
      driveFor(disk, recover({ expected: {} }), rng.below(60));
      disk = crash();
    }
    // What there is must be enough for a start, whatever stopped the life before.
    limitDisk(disk, bytesOn(disk));
    const { journal } = checkRecovered(disk, state);
    if (isNearlyFull) limitDisk(disk, bytesOn(disk) + rng.below(300_000));
    else disk.failWith(undefined);
    live(journal, disk, rng, state);
    disk = crash();
  }
}

describe("the journal, when the machine stops at any point", () => {
  it("gives back all that was reported persisted, in order, and nothing never appended", () => {
    for (let n = 0; n < 25; n += 1) runSeed(`crash ${n}`, [STOPPED], 6);
  });

  it("gives back what it gave back before, when a process is killed and then its machine stops", () => {
    const killed: CrashModel = { outcomes: ["new", "new", "old", "torn"], keepsCache: true };
    // In some of these a header is in memory only, and in others a name.
    for (let n = 150; n < 190; n += 1) runSeed(`killed ${n}`, [killed, STOPPED], 8);
  });

  it("starts again on what there is, when a full disk stops it at any point", () => {
    const killed: CrashModel = { outcomes: ["new", "new", "old", "torn"], keepsCache: true };
    for (let n = 0; n < 40; n += 1) runSeed(`full ${n}`, [killed, STOPPED], 8, true);
  });

  it("names the damage, and never loses a record silently, where the disk leaves garbage", () => {
    let refused = 0;
    for (let n = 0; n < 40; n += 1) {
      const rng = new Rng(`garbage ${n}`);
      const disk = formattedDisk();
      const state = newModel();
      const { journal } = checkRecovered(disk, state);
      live(journal, disk, rng, state);
      const after = disk.crash(rng, { outcomes: ["new", "old", "garbage"] });
      const result = recoverFrom(after.copy());
      if (result.kind === "recovered") {
        checkRecovered(after, state);
        continue;
      }
      refused += 1;
      expect(result.kind).toBe("damaged");
      if (result.kind !== "damaged") continue;
      for (const damage of result.damages) {
        expect(damage.file).toMatch(/^segment-/);
        expect(damage.isTail).toBe(true);
      }
    }
    expect(refused).toBeGreaterThan(0);
  });

  it("keeps its directory small", () => {
    const rng = new Rng("bounded");
    const disk = formattedDisk();
    const { journal } = openJournal(disk);
    const ballot = { round: 1, priority: 0, replica: IDENTITY.replica };
    let most = 0;
    for (let slot = 1; slot <= 4_000; slot += 1) {
      journal.append([record(slot, "x".repeat(rng.below(3_000)))]);
      if (journal.wantsSnapshot) {
        const state = new Uint8Array(10_000);
        journal.writeSnapshot({ slot, ballot, configuration: EMPTY_BYTES, state });
      }
      if (journal.needsCheckpoint) journal.appendCheckpoint(record(journal.snapshotSlot));
      for (let steps = 0; steps < 8; steps += 1) stepAtRandom(journal, disk, rng);
      most = Math.max(
        most,
        disk.names().reduce((sum, name) => sum + disk.content(name).length, 0),
      );
    }
    expect(journal.status().writtenBytes).toBeGreaterThan(8 << 20);
    expect(most).toBeLessThan(1 << 20);
    expect(journal.status().segmentBytes).toBeLessThan(1 << 20);
  });
});
