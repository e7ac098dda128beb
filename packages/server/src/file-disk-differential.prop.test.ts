import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Rng } from "@cubby/base";
import { describe, expect, it } from "vitest";
import type { DiskCompletion, DiskOperation, DiskRequest } from "./core/disk.ts";
import { SimDisk } from "./core/simulated-disk.ts";
import { FileDisk } from "./file-disk.ts";

const FILES = ["a", "b", "c", "d"] as const;

function draw(rng: Rng): DiskOperation {
  const file = FILES[rng.below(4)] ?? "a";
  const roll = rng.below(9);
  if (roll === 0) return { kind: "create", file };
  if (roll <= 2) {
    const offset = rng.below(3) * 4_096 + rng.below(3);
    return { kind: "write", file, offset, bytes: rng.bytes(rng.below(9_000)) };
  }
  if (roll <= 4) {
    return { kind: "read", file, offset: rng.below(20_000), sizeBytes: rng.below(9_000) };
  }
  if (roll === 5) return { kind: "rename", from: file, to: FILES[rng.below(4)] ?? "a" };
  if (roll === 6) return { kind: "remove", file };
  if (roll === 7) return { kind: "size", file };
  return rng.chance(0.5) ? { kind: "list" } : { kind: "syncDirectory" };
}

/** Names come in any order, and messages in any words. */
function plain(completion: DiskCompletion): unknown {
  if (!completion.ok) return completion.error.code;
  const { names, bytes, sizeBytes } = completion;
  return { names: names && [...names].sort(), bytes: bytes && [...bytes], sizeBytes };
}

describe("a file disk", () => {
  it("answers as the simulated disk does", async () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const rng = new Rng(`disks ${seed}`);
      const directory = mkdtempSync(join(tmpdir(), "cubby-disks-"));
      const simulated = new SimDisk();
      let onCompletion = (_: DiskCompletion): void => undefined;
      const disk = new FileDisk(directory, (completion) => onCompletion(completion));
      for (let id = 1; id <= 120; id += 1) {
        const request: DiskRequest = { ...draw(rng), id };
        const real = await new Promise<DiskCompletion>((resolve) => {
          onCompletion = resolve;
          disk.submit([request]);
        });
        simulated.submit([request]);
        expect(plain(real), `${seed}/${id} ${request.kind}`).toEqual(plain(simulated.complete()));
      }
      await disk.close();
      rmSync(directory, { recursive: true });
    }
  });
});
