import { CubbyError } from "@cubby/protocol";
import { type Address, addressText } from "./address.ts";
import type { ServerConfig } from "./config.ts";
import type { ReplicaAt } from "./config-values.ts";

/** Refuses addresses that no cell can work with, though each is well formed. */
export function checkAddresses(config: ServerConfig): void {
  for (const name of ["peers", "sessionAddresses"] as const) refuseTwice(name, config[name]);
  for (const at of config.sessionAddresses) {
    if (!isEveryAddress(at.host)) continue;
    throw invalid(
      `sessionAddresses gives ${addressText(at)} for replica ${at.replicaId}: clients are sent there, and to them it is their own machine. Name the address or host by which clients reach the replica.`,
    );
  }
  refuseSharedPorts(config);
}

/** Where clients are told that replicas are; where one listens only if that is an address to others. */
export function clientAddresses(config: ServerConfig): readonly ReplicaAt[] {
  const { replicaId, sessionAddress, sessionAddresses } = config;
  if (sessionAddresses.length > 0) return sessionAddresses;
  const isOne = sessionAddress.port !== 0 && !isEveryAddress(sessionAddress.host);
  return isOne ? [{ replicaId, ...sessionAddress }] : [];
}

function refuseTwice(name: string, replicas: readonly ReplicaAt[]): void {
  const owners = new Map<string, number>();
  for (const at of replicas) {
    const owner = owners.get(keyOf(at));
    if (owner !== undefined) {
      throw invalid(
        `${name} gives ${addressText(at)} to replicas ${owner} and ${at.replicaId}: only one can be there. Correct one of them.`,
      );
    }
    owners.set(keyOf(at), at.replicaId);
  }
}

function refuseSharedPorts(config: ServerConfig): void {
  const users = new Map<string, string>();
  for (const name of ["sessionAddress", "peerAddress", "httpAddress"] as const) {
    const at = config[name];
    // Port 0 takes a free one each time.
    if (at === undefined || at.port === 0) continue;
    const user = users.get(keyOf(at));
    if (user !== undefined) {
      throw invalid(`${user} and ${name} are both ${addressText(at)}. Give each its own port.`);
    }
    users.set(keyOf(at), name);
  }
}

function keyOf(at: Address): string {
  return addressText({ ...at, host: at.host.toLowerCase() });
}

/** 0.0.0.0 or ::, which is where to listen and not where to connect. */
function isEveryAddress(host: string): boolean {
  return /^[0.:]+$/.test(host);
}

function invalid(detail: string): CubbyError {
  return new CubbyError("config_invalid", detail);
}
