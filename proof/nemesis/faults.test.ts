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

/** A cell of one replica that starts whatever happens to its files. */
class TestCell {
  readonly replicas = [REPLICA];
  readonly #said: string[] = [];
  readonly #says: string | undefined;

  constructor(says: string | undefined) {
    this.#says = says;
  }

  dataDirectory(): string {
    return directory;
  }

  start(): void {
    const says = this.#says;
    if (says !== undefined) setTimeout(() => this.#said.push(says), GATHERED_MS);
  }

  lines(): readonly string[] {
    return this.#said;
  }

  kill(): Promise<void> {
    return Promise.resolve();
  }

  served(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  expectEnd(): void {
    // It never ends.
  }
}

async function carryOut(
  kind: FaultKind,
  says: string | undefined,
  mendedWithinMs?: number,
): Promise<Faults> {
  const victims = { cell: new TestCell(says) as unknown as Cell, master: () => undefined };
  const { signal } = new AbortController();
  const faults = new Faults(victims as unknown as Victims, signal, mendedWithinMs);
  const fault: Fault = {
    kind,
    ...{ atMs: 0, durationMs: 1, order: [REPLICA], wantsLeader: false, draws: [0, 0, 0] },
  };
  await faults.runLane([fault], monotonicMs());
  return faults;
}

describe("a damaged copy", () => {
  it("is mended when the replica names it, though its log comes late", async () => {
    const { windows, unmended } = await carryOut("damaged copy", '{"file":"identity-a"}');
    expect(windows.map(({ note }) => note)).toEqual([
      "named and mended: identity-a, a bit of byte 0 flipped",
    ]);
    expect(unmended).toEqual([]);
  });

  it("is a broken promise when the replica serves and says nothing of it", async () => {
    const { unmended } = await carryOut("damaged copy", undefined, 2 * GATHERED_MS);
    expect(unmended).toEqual(["Replica 1 did not mend identity-a, a bit of byte 0 flipped."]);
    expect([...readFileSync(join(directory, "identity-a"))]).toEqual([0, 2, 3, 4]);
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
    const { windows } = await carryOut("damaged snapshot", undefined);
    expect(windows).toMatchObject([{ note: "nothing to damage", hasHappened: false }]);
  });
});
