/**
 * What one segment holds, judged by its sectors alone. The rule that tells a crash from damage: a
 * write is sent only after the one before it completed, so every write but the last was durable, and
 * whatever is wrong with one of those is damage. The last one may be torn; but only if each of its
 * bad sectors is one that was never, or only partly, written (reliability §5 rule 10).
 */

import { gatherData, readSector, SECTOR_BYTES, type SectorState } from "./segment-sector.ts";

export type ScannedWrite = {
  readonly write: number;
  readonly firstSector: number;
  readonly sectorCount: number;
};

export type SegmentScan = {
  /** Whole writes, in order, from the first data sector on, without a gap. */
  readonly writes: readonly ScannedWrite[];
  /** Where the next write belongs. */
  readonly endSector: number;
  /** Sectors [endSector, tornThrough) hold what is left of a write that never completed. */
  readonly tornThrough: number;
  readonly damage: SectorDamage | undefined;
};

export type SectorDamage = {
  readonly sector: number;
  /** "missing": a later write is there and this sector, which was durable before it, is not. */
  readonly problem: "missing" | "alien" | "order";
  /** All writes but the last one there is are whole. */
  readonly isTail: boolean;
};

/** `bytes` is the whole segment, header page included. */
export function scanSegment(bytes: Uint8Array, seed: number, firstSector: number): SegmentScan {
  const sectors = classify(bytes, seed);
  const last = lastWrite(sectors, firstSector);
  const writes: ScannedWrite[] = [];
  let torn: number | undefined;
  let cursor = firstSector;
  for (let write = 1; write <= last; write += 1) {
    const isTail = write === last;
    const extent = extentOf(sectors, cursor, write);
    if (extent === undefined) {
      const problem = sectors[cursor]?.kind === "alien" ? "alien" : "missing";
      return damaged(writes, cursor, { sector: cursor, problem, isTail });
    }
    if (extent.firstSector !== cursor) {
      return damaged(writes, cursor, { sector: cursor, problem: "order", isTail });
    }
    const bad = firstBad(sectors, extent, !isTail);
    if (bad.damage !== undefined) return damaged(writes, cursor, { ...bad.damage, isTail });
    if (bad.isTorn) {
      torn = write;
      break;
    }
    writes.push(extent);
    cursor += extent.sectorCount;
  }
  return endOfSegment(sectors, { writes, endSector: cursor, torn });
}

/** The data of writes that follow each other, in one piece. */
export function dataOf(bytes: Uint8Array, writes: readonly ScannedWrite[]): Uint8Array {
  const first = writes[0]?.firstSector ?? 0;
  const count = writes.reduce((sum, write) => sum + write.sectorCount, 0);
  return gatherData(bytes, first * SECTOR_BYTES, count);
}

function classify(bytes: Uint8Array, seed: number): SectorState[] {
  const sectors: SectorState[] = [];
  for (let at = 0; at + SECTOR_BYTES <= bytes.length; at += SECTOR_BYTES) {
    sectors.push(readSector(bytes, at, { seed, sector: sectors.length }));
  }
  return sectors;
}

/** The highest write of which any sector is left; 0 if none. */
function lastWrite(sectors: readonly SectorState[], firstSector: number): number {
  let last = 0;
  for (let sector = firstSector; sector < sectors.length; sector += 1) {
    const state = sectors[sector];
    if (state?.kind === "written") last = Math.max(last, state.write);
  }
  return last;
}

/** Where the write lies, as any one of its sectors tells. */
function extentOf(
  sectors: readonly SectorState[],
  from: number,
  write: number,
): ScannedWrite | undefined {
  for (let sector = from; sector < sectors.length; sector += 1) {
    const state = sectors[sector];
    if (state?.kind !== "written" || state.write !== write) continue;
    return { write, firstSector: sector - state.index, sectorCount: state.count };
  }
  return undefined;
}

function firstBad(
  sectors: readonly SectorState[],
  extent: ScannedWrite,
  mustBeWhole: boolean,
): { isTorn: boolean; damage: Omit<SectorDamage, "isTail"> | undefined } {
  let isTorn = false;
  for (let index = 0; index < extent.sectorCount; index += 1) {
    const sector = extent.firstSector + index;
    const state = sectors[sector];
    if (state === undefined || state.kind === "alien") {
      return { isTorn, damage: { sector, problem: "alien" } };
    }
    if (state.kind === "written") {
      const isOurs =
        state.write === extent.write && state.index === index && state.count === extent.sectorCount;
      if (!isOurs) return { isTorn, damage: { sector, problem: "order" } };
      continue;
    }
    if (mustBeWhole) return { isTorn, damage: { sector, problem: "missing" } };
    isTorn = true;
  }
  return { isTorn, damage: undefined };
}

/** Behind the last whole write: zeros, or the remains of one write, or damage. */
function endOfSegment(
  sectors: readonly SectorState[],
  found: { writes: ScannedWrite[]; endSector: number; torn: number | undefined },
): SegmentScan {
  const { writes, endSector, torn } = found;
  const isTail = true;
  let tornThrough = endSector;
  for (let sector = endSector; sector < sectors.length; sector += 1) {
    const state = sectors[sector];
    if (state === undefined || state.kind === "zero") continue;
    if (state.kind === "alien")
      return damaged(writes, endSector, { sector, problem: "alien", isTail });
    if (state.kind === "written" && state.write !== torn) {
      return damaged(writes, endSector, { sector, problem: "order", isTail });
    }
    tornThrough = sector + 1;
  }
  return { writes, endSector, tornThrough, damage: undefined };
}

function damaged(
  writes: readonly ScannedWrite[],
  endSector: number,
  damage: SectorDamage,
): SegmentScan {
  return { writes, endSector, tornThrough: endSector, damage };
}
