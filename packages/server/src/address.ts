import type { Server } from "node:net";
import { CubbyError } from "@cubby/protocol";
import { listenError } from "./platform-errors.ts";

/** A host (name or IP address, without brackets) and a port. */
export type Address = { readonly host: string; readonly port: number };

/** Reads `host:port` or `[v6]:port`; undefined when the text is neither. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const host = match[1] ?? match[2] ?? "";
  const port = Number(match[3]);
  return port > 65_535 ? undefined : { host, port };
}

export function addressText(address: Address): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/** True for a host that no other machine can reach. A name other than localhost is not trusted. */
export function isLoopback(host: string): boolean {
  if (host === "localhost" || host === "::1") return true;
  return /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** Starts listening; the answer names the port that was given for port 0. */
export function listenOn(server: Server, setting: string, address: Address): Promise<Address> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      reject(listenError(setting, addressText(address), error));
    };
    server.once("error", onError);
    server.listen({ host: address.host, port: address.port, backlog: 1024 }, () => {
      server.removeListener("error", onError);
      const bound = server.address();
      if (bound === null || typeof bound === "string") {
        reject(new CubbyError("internal", `${setting} is not an IP address.`));
        return;
      }
      resolve({ host: address.host, port: bound.port });
    });
  });
}
