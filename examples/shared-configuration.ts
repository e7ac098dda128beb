/**
 * Configuration that several programs change: read it with its generation, and write only if that is
 * still its generation. No change is lost, and no lock is needed. Needs a cell: `npx cubby dev`, or
 * CUBBY_CELL.
 */

import { CubbyError, type CubbySession, connect } from "@cubby/client";

const CELL =
  process.env["CUBBY_CELL"] ?? "cubby://127.0.0.1:7070,127.0.0.1:7080,127.0.0.1:7090/local";

type Limits = Readonly<Record<string, number>>;

/** Compare and swap: `change` may be run more than once, each time on what is there by then. */
async function update(
  cell: CubbySession,
  path: string,
  change: (limits: Limits) => Limits,
): Promise<Limits> {
  for (;;) {
    const { contents, stat } = await cell.read(path);
    const changed = change(JSON.parse(new TextDecoder().decode(contents)) as Limits);
    try {
      const ifGeneration = stat.contentGeneration;
      await cell.write(path, JSON.stringify(changed), { ifGeneration });
      return changed;
    } catch (error) {
      // Somebody was faster, which is no error here.
      if (error instanceof CubbyError && error.code === "generation_mismatch") continue;
      throw error;
    }
  }
}

await using cell = await connect(CELL);
const path = `${cell.root}/limits.json`;
await cell.write(path, JSON.stringify({ uploads: 10, downloads: 100 }));

// Five at once, and none of the five changes is lost.
const raise = (limits: Limits): Limits => ({ ...limits, uploads: (limits["uploads"] ?? 0) + 1 });
await Promise.all(Array.from({ length: 5 }, () => update(cell, path, raise)));

const { contents } = await cell.read(path);
console.log(`limits.json: ${new TextDecoder().decode(contents)}`);

// Whoever decided on an old version is told so.
try {
  await cell.write(path, JSON.stringify({ uploads: 1 }), { ifGeneration: 1 });
} catch (error) {
  if (!(error instanceof CubbyError)) throw error;
  console.log(`a stale write: ${error.code}, ${error.outcome}`);
}
