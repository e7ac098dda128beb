export { LocalCell, type LocalCellOptions, type ReplicaReport } from "./local-cell.ts";
