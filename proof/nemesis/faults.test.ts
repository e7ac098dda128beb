import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { monotonicMs } from "../../packages/cli/src/process/monotonic.ts";
import type { Cell } from "./cell.ts";
import { Faults, type Victims } from "./faults.ts";
import type { Fault, FaultKind } from "./schedule.ts";

const REPLICA = 1;
/** As long as a replica gathers lines of its log before it writes them. */
const GATHERED_MS = 250;

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cubby-faults-"));
  writeFileSync(join(directory, "identity-a"), Uint8Array.of(1, 2, 3, 4));
});

afterEach(() => rmSync(directory, { recursive: true }));

type End = { readonly code: number; readonly said: string };

/** A cell of one replica that starts whatever happens to its files, unless it is told to end. */
class TestCell {
  readonly replicas = [REPLICA];
  readonly crashes: string[] = [];
  readonly #said: string[] = [];
  readonly #says: string | undefined;
  /** How it ends instead of starting. */
  readonly #recover: () => End | undefined;
  #end: End | undefined;

  constructor(says: string | undefined, recover: () => End | undefined = () => undefined) {
    this.#says = says;
    this.#recover = recover;
  }

  dataDirectory(): string {
    return directory;
  }

  start(): void {
    const says = this.#says;
    if (says !== undefined) setTimeout(() => this.#said.push(says), GATHERED_MS);
    this.#end = this.#recover();
  }

  lines(): readonly string[] {
    return this.#said;
  }

  program(): { lastLines: string[] } {
    return { lastLines: [this.#end?.said ?? ""] };
  }

  kill(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  served(): Promise<End | undefined> {
    return Promise.resolve(this.#end);
  }

  expectEnd(): void {
    // Nobody looks.
  }

  addCrash(_: number, exit: { code: number }, said: string): void {
    this.crashes.push(`${exit.code}: ${said}`);
  }
}

async function carryOut(
  kinds: readonly FaultKind[],
  cell: TestCell,
  where: readonly number[] = [],
): Promise<Faults> {
  const victims = { cell: cell as unknown as Cell, master: () => undefined };
  const { signal } = new AbortController();
  const within = { copies: 2 * GATHERED_MS, others: 1 };
  const faults = new Faults(victims as unknown as Victims, signal, within);
  const about = { atMs: 0, durationMs: 1, order: [REPLICA], wantsLeader: false };
  const lane = kinds.map((kind, index): Fault => {
    return { kind, ...about, draws: [0, 0, where[index] ?? 0] };
  });
  await faults.runLane(lane, monotonicMs());
  return faults;
}

describe("a damaged copy", () => {
  it("is mended when the replica names it, though its log comes late", async () => {
    const { windows, unmended } = await carryOut(
      ["damaged copy"],
      new TestCell('{"file":"identity-a"}'),
    );
    expect(windows.map(({ note }) => note)).toEqual([
      "named and mended: identity-a, a bit of byte 0 flipped",
    ]);
    expect(unmended).toEqual([]);
  });

  it("is a broken promise when the replica serves and says nothing of it", async () => {
    const { unmended } = await carryOut(["damaged copy"], new TestCell(undefined));
    expect(unmended).toEqual(["Replica 1 did not mend identity-a, a bit of byte 0 flipped."]);
    expect([...readFileSync(join(directory, "identity-a"))]).toEqual([0, 2, 3, 4]);
  });
});

describe("damage to a journal that nobody needed", () => {
  const SEGMENT = "segment-00000001";
  const WHOLE = [5, 6, 7, 8];
  const segment = (): number[] => [...readFileSync(join(directory, SEGMENT))];
  /** Starts once without it, then refuses for as long as `isBad`. */
  const needsItLater = (said: string, isBad: () => boolean, write = (): void => undefined) => {
    let starts = 0;
    return new TestCell(undefined, () => {
      starts += 1;
      if (starts === 1) write();
      return starts > 1 && isBad() ? { code: 95, said } : undefined;
    });
  };
  const isDamaged = (): boolean => segment()[0] !== WHOLE[0];

  beforeEach(() => writeFileSync(join(directory, SEGMENT), Uint8Array.from(WHOLE)));

  it("is no fault that has happened", async () => {
    const { windows } = await carryOut(["damaged journal"], new TestCell(undefined));
    const note = `not needed: ${SEGMENT}, a bit of byte 0 flipped`;
    expect(windows).toMatchObject([{ note, hasHappened: false }]);
  });

  it("may be refused by a later start that names it, and is put back then", async () => {
    for (const kind of ["kill", "rolling restart", "damaged snapshot"] as const) {
      const cell = needsItLater(`${SEGMENT} at byte 0`, isDamaged);
      const { windows } = await carryOut(["damaged journal", kind, kind], cell);
      const [, refused, after] = windows.map(({ note }) => note);
      expect(refused).toBe(`refused to start: ${SEGMENT}, a bit of byte 0 flipped`);
      expect(after).not.toContain("refused");
      expect(cell.crashes).toEqual([]);
      expect(segment()).toEqual(WHOLE);
    }
  });

  it("excuses no end that does not name it, and no other status", async () => {
    const other = needsItLater("segment-00000002 at byte 0", isDamaged);
    await carryOut(["damaged journal", "kill"], other);
    const described = `${SEGMENT}, a bit of byte 0 flipped`;
    expect(other.crashes).toEqual([`95: ${described}\nsegment-00000002 at byte 0`]);
    let starts = 0;
    const named = { code: 1, said: SEGMENT };
    const failing = new TestCell(undefined, () => (++starts === 2 ? named : undefined));
    await carryOut(["damaged journal", "kill"], failing);
    expect(failing.crashes).toEqual([`1: ${described}\n${SEGMENT}`]);
  });

  it("excuses nothing once the file was written anew, which is left as it is", async () => {
    const anew = [9, 9, 9, 9];
    const write = (): void => writeFileSync(join(directory, SEGMENT), Uint8Array.from(anew));
    const cell = needsItLater(SEGMENT, isDamaged, write);
    await carryOut(["damaged journal", "kill"], cell);
    expect(cell.crashes).toEqual([`95: ${SEGMENT}`]);
    expect(segment()).toEqual(anew);
  });

  it("is put back when another was done to the same file since", async () => {
    const isBad = (): boolean => segment().join() !== WHOLE.join();
    let starts = 0;
    const cell = new TestCell(undefined, () => {
      starts += 1;
      return starts > 2 && isBad() ? { code: 95, said: SEGMENT } : undefined;
    });
    await carryOut(["damaged journal", "damaged journal", "kill"], cell, [0.75, 0.5]);
    expect(cell.crashes).toEqual([]);
    expect(segment()).toEqual(WHOLE);
  });
});

/** The links of a hundred replicas that lose packets, until the first time that one did. */
async function linksLost(draws: readonly number[]): Promise<string[]> {
  const lost: string[] = [];
  const ending = new AbortController();
  const network = {
    lose: (from: number, to: number): void => {
      lost.push(`${from}>${to}`);
      ending.abort();
    },
  };
  const cell = { replicas: Array.from({ length: 100 }, (_, index) => index + 1) };
  const victims = { cell, network, master: () => undefined };
  const faults = new Faults(victims as unknown as Victims, ending.signal);
  const fault = { kind: "loss", durationMs: 10_000, order: [REPLICA], draws } as const;
  await faults.runLane([{ ...fault, atMs: 0, wantsLeader: false }], monotonicMs());
  return lost;
}

describe("a fault", () => {
  it("draws the same on the way when it is carried out again", async () => {
    const lost = await linksLost([0.5, 0.25]);
    expect(lost).not.toEqual([]);
    expect(await linksLost([0.5, 0.25])).toEqual(lost);
    expect(await linksLost([0.5, 0.75])).not.toEqual(lost);
  });

  it("has not happened where there was nothing to damage", async () => {
    const { windows } = await carryOut(["damaged snapshot"], new TestCell(undefined));
    expect(windows).toMatchObject([{ note: "nothing to damage", hasHappened: false }]);
  });
});
