import type { Rng } from "@cubby/base";
import { rotOneBit } from "./faults.ts";
import { quorumOf } from "./topology.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

/** Long enough for an election among those that are left. */
const WATCHED_MS = 5_000;
const LOOK_MS = 10;

/**
 * 24, where no atlas is left to recover from: every file of a majority rots, all at once. Whoever
 * cannot vote any more must say so, and where too few can, nobody may serve.
 */
export function ruin(world: World, rng: Rng): void {
  const { replicas, suspects, coverage, time } = world;
  const quorum = quorumOf(replicas.length);
  const left = [...replicas];
  while (left.length > replicas.length - quorum) left.splice(rng.below(left.length), 1);
  for (const replica of replicas) {
    if (replica.isUp) world.crash(replica, "killed");
    if (left.includes(replica)) continue;
    suspects.add(replica.id);
    for (const name of replica.disk.names()) {
      if (/^(segment|snapshot)-/.test(name)) rotOneBit(replica, name, rng);
    }
  }
  for (const replica of replicas) if (!replica.isLost && !replica.staysDown) replica.start();
  const voters = replicas.filter((each) => each.isUp && !each.isWiped);
  // Rot may have hit only what nobody needs any more.
  if (voters.length >= quorum) return;
  coverage.add("cells ruined");
  for (const end = time.now + WATCHED_MS; time.now < end; ) {
    time.runTo(time.now + LOOK_MS);
    const master = world.master();
    if (master === undefined) continue;
    const detail = `replica ${master.id} serves, and only ${voters.length} of ${quorum} can vote`;
    throw new Violation(24, "refuses-without-quorum", detail);
  }
}
