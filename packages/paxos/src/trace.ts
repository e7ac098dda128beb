import type { Slot } from "./ballot.ts";

/** What happened, for logs, metrics and the dashboard. Ballots are text: `7.2`. */
export type TraceEvent =
  | { readonly kind: "tookOver"; readonly ballot: string; readonly reason: string }
  | { readonly kind: "preparing"; readonly ballot: string }
  | { readonly kind: "promised"; readonly ballot: string }
  | { readonly kind: "prepareKept"; readonly ballot: string; readonly waitMs: number }
  | { readonly kind: "ballotConflict"; readonly ballot: string; readonly promised: string }
  | { readonly kind: "adopted"; readonly ballot: string; readonly length: Slot; from: number }
  | { readonly kind: "synchronised"; readonly ballot: string; readonly length: Slot }
  | { readonly kind: "learned"; readonly through: Slot }
  | { readonly kind: "snapshotStarted"; readonly slot: Slot; readonly sizeBytes: number }
  | { readonly kind: "snapshotInstalled"; readonly slot: Slot; readonly sizeBytes: number }
  | { readonly kind: "snapshotDamaged"; readonly slot: Slot }
  | { readonly kind: "leading"; readonly ballot: string }
  | { readonly kind: "steppedDown"; readonly ballot: string; readonly reason: string }
  | { readonly kind: "leaseGranted"; readonly ballot: string }
  | { readonly kind: "leaseLapsed"; readonly ballot: string }
  | { readonly kind: "leaseVoided"; readonly ballot: string; readonly reason: string }
  | { readonly kind: "handedOver"; readonly ballot: string; readonly to: number }
  | { readonly kind: "diskStalled"; readonly stalledMs: number }
  | { readonly kind: "proposalsDropped"; readonly count: number; readonly reason: string }
  | { readonly kind: "genesisAdopted"; readonly members: number }
  | { readonly kind: "genesisComplete"; readonly members: number }
  | { readonly kind: "refusedPeer"; readonly replica: number; readonly incarnation: string }
  /** A peer says what no correct replica can say. It counts for nothing, and somebody must look. */
  | { readonly kind: "impossibleClaim"; readonly from: number; readonly claim: string }
  | { readonly kind: "messageDropped"; readonly from: number; readonly reason: string };
