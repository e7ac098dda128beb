import { CubbyError, type Status } from "@cubby/protocol";
import type { ServerConfig } from "./config.ts";

/**
 * The engine goes by the members that the directory records, whatever is configured. Where the two
 * differ, the operator believes in another cell than the one that acknowledges his writes.
 */
export function refuseOtherMembers(config: ServerConfig, status: Status): void {
  const { dataDir, peers, replicaId } = config;
  const others = status.peers.map((peer) => peer.replicaId);
  const recorded = [replicaId, ...others].sort((a, b) => a - b).join(", ");
  const named = peers.map((peer) => peer.replicaId).join(", ");
  // Before the first start of a cell nothing is recorded, and the status tells what is configured.
  if (recorded === (peers.length === 0 ? String(replicaId) : named)) return;
  const differ =
    others.length === 0
      ? `${dataDir} records replica ${recorded} as the whole cell`
      : `${dataDir} records the replicas ${recorded} as the cell`;
  const remedy =
    others.length === 0
      ? "Leave peers out to run that cell of one. If it was started alone by mistake, what it " +
        "acknowledged is on no other replica: move the directory away, and run `cubby init` anew " +
        "with the --cell-id of the others."
      : "Make peers name the same replicas, each with its address." +
        // It has adopted what it was told first, which nobody needs as long as no cell came of it.
        (status.role === "waiting"
          ? " If those were wrong: as long as `cubby status` shows all replicas as waiting there is no " +
            "cell yet. Then move the directory away, and run `cubby init` anew with the --cell-id of the others."
          : "");
  throw new CubbyError(
    "config_invalid",
    `${differ}, but peers names ${named || "none"}. A cell's members never change. ${remedy}`,
  );
}
