import type { RecoverResult, Trace } from "@cubby/server/core";
import type { Coverage, CoverageClass } from "./coverage.ts";

/** Which trace event of the production cores stands for which class of coverage. */
const CLASS_OF: Partial<Record<Trace["kind"], CoverageClass>> = {
  leading: "elections",
  ballotConflict: "ballot conflicts",
  prepareKept: "prepares kept for a lease",
  synchronised: "log synchronisations",
  adopted: "logs adopted in prepare",
  learned: "slots learned behind",
  snapshotDurable: "snapshots taken",
  snapshotInstalled: "snapshots installed during replication",
  leaseLapsed: "leases lapsed",
  leaseVoided: "leases voided",
  steppedDown: "steps down",
  diskStalled: "disk stalls noticed",
  peerFrameDropped: "wrong frames dropped",
};

const HANDED_OVER = "handed over";

export class TraceCounter {
  readonly #coverage: Coverage;

  constructor(coverage: Coverage) {
    this.#coverage = coverage;
  }

  onTrace(trace: Trace): void {
    const name = CLASS_OF[trace.kind];
    if (name !== undefined) this.#coverage.add(name);
    // Most who are asked to are no masters.
    if (trace.kind === "steppedDown" && trace.reason === HANDED_OVER) {
      this.#coverage.add("masters that handed over");
    }
    if (trace.kind === "serving" && trace.sessions > 0 && trace.clientEpoch > 1) {
      this.#coverage.add("fail-overs with sessions");
    }
  }

  onRecovered(result: RecoverResult | { kind: "contradiction" }): void {
    this.#coverage.add("restarts");
    if (result.kind !== "recovered") {
      this.#coverage.add("damage named");
      return;
    }
    for (const note of result.notes) {
      if (note.kind === "tailCut") this.#coverage.add("torn tails cut");
      else if (note.kind === "copyRepaired") this.#coverage.add("damaged copies repaired");
      else if (note.kind === "snapshotDamaged") this.#coverage.add("damaged snapshots passed over");
    }
  }
}
