/** Two published versions of the same file, for `diff` and `patch`. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { npmPackage } from "../fetched-packages.ts";

export type VersionPair = {
  readonly name: string;
  readonly kind: "text" | "binary";
  readonly package: string;
  readonly from: string;
  readonly to: string;
  readonly file: string;
  /** Of the new version. */
  readonly bytes: number;
  /** Sizes of a delta made elsewhere, in bytes. */
  readonly zstd19Patch: number;
  readonly bsdiff: number;
};

export const VERSION_PAIRS: readonly VersionPair[] = [
  {
    name: "lodash.js",
    kind: "text",
    package: "lodash",
    from: "4.17.20",
    to: "4.17.21",
    file: "lodash.js",
    bytes: 544_098,
    zstd19Patch: 554,
    bsdiff: 1_048,
  },
  {
    name: "moment.js",
    kind: "text",
    package: "moment",
    from: "2.29.3",
    to: "2.29.4",
    file: "moment.js",
    bytes: 174_604,
    zstd19Patch: 52,
    bsdiff: 187,
  },
  {
    name: "tz-latest.json",
    kind: "text",
    package: "moment-timezone",
    from: "0.5.44",
    to: "0.5.45",
    file: "data/packed/latest.json",
    bytes: 780_630,
    zstd19Patch: 385,
    bsdiff: 470,
  },
  {
    name: "sql-wasm.wasm",
    kind: "binary",
    package: "sql.js",
    from: "1.10.2",
    to: "1.10.3",
    file: "dist/sql-wasm.wasm",
    bytes: 655_300,
    zstd19Patch: 25_013,
    bsdiff: 21_023,
  },
  {
    name: "react-dom.min.js",
    kind: "text",
    package: "react-dom",
    from: "18.2.0",
    to: "18.3.1",
    file: "umd/react-dom.production.min.js",
    bytes: 131_835,
    zstd19Patch: 3_130,
    bsdiff: 3_135,
  },
  {
    name: "preact.js",
    kind: "text",
    package: "preact",
    from: "10.19.2",
    to: "10.19.3",
    file: "dist/preact.js",
    bytes: 11_079,
    zstd19Patch: 182,
    bsdiff: 371,
  },
];

export function readPair(pair: VersionPair): { from: Uint8Array; to: Uint8Array } {
  const read = (version: string): Uint8Array =>
    readFileSync(join(npmPackage(pair.package, version), pair.file));
  return { from: read(pair.from), to: read(pair.to) };
}
