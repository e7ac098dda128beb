import type { FaultKind } from "./schedule.ts";

/** A number for each process on the network: replicas are 1 to 5, clients come after them. */
export type Endpoint = number;

export type Address = { readonly host: string; readonly port: number };

/** What the processes talk over, and what can be done to it. Links have a direction. */
export interface Network {
  readonly kind: "namespaces" | "proxies";
  /** How it does what it does, for the report. */
  readonly description: string;
  /** Faults that it cannot do, and why. */
  readonly lacks: ReadonlyMap<FaultKind, string>;
  /** Why what it is told to do is no longer done; undefined as long as it is. */
  readonly problem: string | undefined;
  /** What to put before the command of the process at this endpoint. */
  prefix(endpoint: Endpoint): readonly string[];
  /** Where a replica listens, by lane. */
  address(replica: Endpoint, lane: "session" | "peer"): Address;
  /** Where `from` reaches the peer lane of `to`. */
  peerAddress(from: Endpoint, to: Endpoint): Address;
  /** Nothing that `from` sends arrives at `to` any more. */
  cut(from: Endpoint, to: Endpoint): void;
  heal(from: Endpoint, to: Endpoint): void;
  /** Some of what is under way is lost. */
  lose(from: Endpoint, to: Endpoint): void;
  /** Everything that the replica sends waits for its turn. */
  slow(replica: Endpoint, isSlow: boolean): void;
  close(): Promise<void>;
}
