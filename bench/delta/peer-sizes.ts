/** Bytes per value of every peer on every real series, each with the settings that suit it best. */

import { fixed, textTable } from "../text-table.ts";
import { BACKENDS, cubbyCodec, isSame, packed } from "./codec.ts";
import { heldOutNames, loadSeries, type Series } from "./data.ts";
import type { Peer } from "./peers.ts";
import { SERIES_REFERENCES } from "./reference.ts";

export type PeerSize = {
  readonly peer: string;
  /** Bytes per value; undefined when the peer does not take the type. */
  readonly size: number | undefined;
  readonly label: string | undefined;
};

export type PeerSizeRow = {
  readonly series: string;
  /** The smallest of Cubby's back ends, and which. */
  readonly cubby: number;
  readonly backend: string;
  readonly peers: readonly PeerSize[];
  readonly smallerPeers: readonly string[];
};

export async function measurePeerSizes(peers: readonly Peer[]): Promise<PeerSizeRow[]> {
  const rows: PeerSizeRow[] = [];
  for (const name of [...SERIES_REFERENCES.map((each) => each.name), ...heldOutNames()]) {
    const series = loadSeries(name);
    if (series !== undefined) rows.push(await peerSizeRow(series, peers));
  }
  return rows;
}

async function peerSizeRow(series: Series, peers: readonly Peer[]): Promise<PeerSizeRow> {
  const { length } = series.values;
  let cubby = Number.POSITIVE_INFINITY;
  let backend = "";
  for (const each of BACKENDS) {
    const size = (await packed(series, cubbyCodec(series, each))).length / length;
    if (size < cubby) [cubby, backend] = [size, each];
  }
  const sizes: PeerSize[] = [];
  for (const peer of peers) sizes.push(await smallest(series, peer));
  const smallerPeers = sizes
    .filter(({ size }) => size !== undefined && size < cubby)
    .map(({ peer }) => peer);
  return { series: series.name, cubby, backend, peers: sizes, smallerPeers };
}

async function smallest(series: Series, peer: Peer): Promise<PeerSize> {
  let best: PeerSize = { peer: peer.name, size: undefined, label: undefined };
  for (const codec of peer.codecs(series)) {
    try {
      const bytes = await codec.encode();
      const size = bytes.length / series.values.length;
      if (best.size !== undefined && size >= best.size) continue;
      // A dictionary may make one of all NaNs; R's NA is not the others.
      const isExact = isSame(series.values, await codec.decode(bytes));
      if (isExact) best = { peer: peer.name, size, label: codec.label };
      else console.error(`INEXACT ${peer.name} (${codec.label}) on ${series.name}`);
    } catch (error) {
      const why = error instanceof Error ? error.message : error;
      console.error(`FAILED ${peer.name} (${codec.label}) on ${series.name}: ${why}`);
    }
  }
  return best;
}

export function peerSizeReport(rows: readonly PeerSizeRow[]): string {
  const names = rows[0]?.peers.map(({ peer }) => peer) ?? [];
  const lines = rows.map(({ series, cubby, backend, peers }) => [
    series,
    `${fixed(cubby, 3)} ${backend}`,
    ...peers.map(({ size }) =>
      size === undefined ? "-" : `${fixed(size, 3)}${size < cubby ? "*" : " "}`,
    ),
  ]);
  const beaten = rows.filter(({ smallerPeers }) => smallerPeers.length > 0);
  const summary = beaten.map(
    ({ series, smallerPeers }) => `  ${series}: ${smallerPeers.join(", ")}`,
  );
  return [
    textTable(["bytes per value", "cubby", ...names], lines),
    beaten.length === 0 ? "No peer is smaller anywhere." : "* Smaller than Cubby:",
    ...summary,
  ].join("\n");
}
