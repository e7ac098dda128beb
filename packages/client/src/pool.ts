import type { CellAddress } from "./core/cell-address.ts";
import { Transport } from "./transport.ts";

/**
 * Lets many sessions of one process share connections: sessions that were opened with the same
 * pool and the same address use one connection to the master, which carries any number of them.
 * What they share is also a common fate: a connection that breaks breaks for all for a moment.
 */
export class ConnectionPool {
  readonly #transports = new Map<string, Transport>();

  /** For `connect`. */
  transportFor(address: CellAddress): Transport {
    const key = `${address.endpoints.join(",")}/${address.cellName}`;
    let transport = this.#transports.get(key);
    if (transport === undefined) {
      transport = new Transport(address);
      this.#transports.set(key, transport);
    }
    return transport;
  }

  get sessionCount(): number {
    let count = 0;
    for (const transport of this.#transports.values()) count += transport.sessionCount;
    return count;
  }
}
