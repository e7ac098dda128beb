/**
 * Sizes measured elsewhere over the same values, in bytes per value: pco 0.4 at level 8 is what the
 * `small` back end is held against. A second use is to prove that a series was extracted right:
 * `gzip -6` of the values must come out as listed.
 */

export type SeriesType = "i32" | "i64" | "f64";

export type SeriesReference = {
  readonly name: string;
  readonly type: SeriesType;
  readonly values: number;
  readonly gzip6: number;
  readonly zstd19: number;
  readonly xz6: number;
  readonly xz6Delta: number;
  readonly pco8: number;
};

const COLUMNS: readonly (readonly [
  name: string,
  type: SeriesType,
  values: number,
  gzip6: number,
  zstd19: number,
  xz6: number,
  xz6Delta: number,
  pco8: number,
])[] = [
  ["alsa_speech_48k", "i32", 546_687, 1.7, 1.267, 1.097, 1.006, 0.962],
  ["cities_id_sorted", "i32", 135_233, 2.922, 1.837, 1.001, 0.857, 0.779],
  ["cities_lat", "f64", 135_233, 4.63, 3.767, 3.109, 4.162, 2.663],
  ["cities_lon", "f64", 135_233, 4.747, 3.881, 3.175, 4.301, 2.757],
  ["cities_pop", "i32", 135_233, 2.229, 2.176, 1.759, 1.948, 1.722],
  ["earthquake_time_ms", "i64", 1_707, 3.712, 3.101, 3.126, 2.929, 2.537],
  ["ecg_360hz", "i32", 108_000, 1.203, 1.051, 0.804, 0.664, 0.579],
  ["eop_mjd", "f64", 22_248, 1.051, 0.933, 0.282, 0.008, 0.002],
  ["eop_ut1utc", "f64", 22_248, 7.344, 6.847, 5.87, 6.171, 1.645],
  ["eop_x", "f64", 22_248, 6.053, 4.995, 4.255, 4.686, 1.331],
  ["flights200k_delay", "i32", 200_000, 1.154, 1.027, 0.921, 1.063, 0.796],
  ["flights200k_distance", "i32", 200_000, 1.597, 1.529, 1.276, 1.556, 1.32],
  ["flights200k_time", "f64", 200_000, 0.043, 0.029, 0.023, 0.022, 0.048],
  ["geoip4_start", "i64", 356_486, 1.581, 1.384, 0.663, 0.56, 0.841],
  ["prism_elev", "f64", 872_505, 1.644, 1.097, 0.901, 1.464, 0.807],
  ["sp500_2000_all_ohlc", "f64", 20_420, 2.951, 2.499, 1.966, 2.314, 5.993],
  ["sp500_2000_close", "f64", 5_105, 2.998, 2.809, 2.264, 2.779, 6.027],
  ["sp500_2000_open", "f64", 5_105, 2.999, 2.824, 2.265, 2.793, 6.02],
  ["sp500_2000_volume", "f64", 5_105, 4.446, 4.046, 3.821, 3.83, 2.405],
  ["zip_code", "i32", 42_049, 2.542, 2.235, 0.422, 0.255, 0.192],
  ["zip_lat", "f64", 42_049, 5.425, 4.356, 3.587, 4.894, 2.477],
];

export const SERIES_REFERENCES: readonly SeriesReference[] = COLUMNS.map(
  ([name, type, values, gzip6, zstd19, xz6, xz6Delta, pco8]) => ({
    name,
    type,
    values,
    gzip6,
    zstd19,
    xz6,
    xz6Delta,
    pco8,
  }),
);
