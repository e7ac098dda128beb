import type { PlantedBug } from "./planted-bug.ts";
import { CELL_BUGS } from "./planted-bugs/cell.ts";
import { CLIENT_BUGS } from "./planted-bugs/client.ts";
import { CONSENSUS_BUGS } from "./planted-bugs/consensus.ts";
import { DISK_BUGS } from "./planted-bugs/disk.ts";
import { LEASE_BUGS } from "./planted-bugs/leases.ts";

export const PLANTED_BUGS: readonly PlantedBug[] = [
  ...CONSENSUS_BUGS,
  ...LEASE_BUGS,
  ...DISK_BUGS,
  ...CELL_BUGS,
  ...CLIENT_BUGS,
];

export function bugNamed(name: string): PlantedBug | undefined {
  return PLANTED_BUGS.find((bug) => bug.name === name);
}
