/** What recovery can find wrong with a directory. Each names its place; none is ever skipped. */

import { unreachable } from "@cubby/base";

export type DamageKind =
  /** Neither copy of the identity can be read, or the two differ. */
  | "identity"
  /** Neither copy of the witness can be read: this replica may have promised anything (rule 12). */
  | "amnesia"
  /** The witness saw a promise that the journal no longer has. */
  | "lostVital"
  /** A segment that was there is not, or its header cannot be read. */
  | "segmentMissing"
  | "segmentShort"
  /** A sector that was durable is zero, holds something else, or is out of order. */
  | "sectorMissing"
  | "sectorAlien"
  | "sectorOrder"
  /** A whole sector, but what it says is wrong: flipped bits. */
  | "recordHeader"
  | "recordPayload"
  /** A good record of another place, life or directory, or not the next one of its chain. */
  | "recordForeign"
  | "recordChain"
  /** The journal does not reach back to the snapshot that is left. */
  | "unreachable"
  /** A snapshot, and the journal cannot make up for it. */
  | "snapshot"
  /** The disk refused to read it. */
  | "unreadable";

export type Damage = {
  readonly kind: DamageKind;
  readonly file: string;
  readonly offset: number;
  /** The damaged record's slot if its header can be trusted, else the last one before it. */
  readonly slot: number;
  /**
   * Everything before it is good, and it lies in the last write there is. It may be a write that
   * was never acknowledged, but the disk cannot tell: peers can (rule 10).
   */
  readonly isTail: boolean;
  readonly detail: string;
};

export function describeDamage(damage: Damage): string {
  const where = `${damage.file} at byte ${damage.offset}, slot ${damage.slot}`;
  const detail = damage.detail === "" ? "" : ` (${damage.detail})`;
  return `${where}: ${describeKind(damage.kind)}${detail}`;
}

function describeKind(kind: DamageKind): string {
  switch (kind) {
    case "identity":
      return "the directory's identity cannot be read";
    case "amnesia":
      return "both copies of the witness are lost, so promises may be forgotten";
    case "lostVital":
      return "the journal ends before a promise that was made";
    case "segmentMissing":
      return "a segment of the journal is missing";
    case "segmentShort":
      return "a segment of the journal is too short";
    case "sectorMissing":
      return "a sector that was written is empty";
    case "sectorAlien":
      return "a sector holds something that was never written there";
    case "sectorOrder":
      return "a sector belongs to another write";
    case "recordHeader":
      return "a record's header is damaged";
    case "recordPayload":
      return "a record's content is damaged";
    case "recordForeign":
      return "a record belongs elsewhere";
    case "recordChain":
      return "a record does not follow the one before it";
    case "unreachable":
      return "the journal does not reach back to a good snapshot";
    case "snapshot":
      return "a snapshot is damaged";
    case "unreadable":
      return "the disk cannot read it";
    default:
      return unreachable(kind);
  }
}
