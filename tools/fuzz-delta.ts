/**
 * Feeds mutated files to every decoder of @cubby/delta: `npx tsx tools/fuzz-delta.ts [--inputs N]
 * [--seed S] [--seconds T]`. A decoder may refuse, by a DeltaError. It may never fail otherwise, never
 * give other values than were written where there are checksums, never disagree with itself between
 * JavaScript and WebAssembly, and never take a second for an input. Prints one line for each fault,
 * with the seed that makes it again.
 */

import { parseArgs } from "node:util";
import {
  decode,
  decodeTable,
  encode,
  encodeTable,
  Series,
} from "../packages/delta/src/complete.ts";
import { DeltaError } from "../packages/delta/src/delta-error.ts";
import { diff, patch } from "../packages/delta/src/index.ts";
import { EXAMPLES, random } from "../packages/delta/src/test-support/series-examples.ts";
import type { Values } from "../packages/delta/src/values.ts";

type Target = {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly isChecked: boolean;
  readonly read: (bytes: Uint8Array, wasm: boolean) => unknown;
};

const SLOW_MS = 1_000;
const LIMIT = { maxValues: 100_000 };

function targets(): Target[] {
  const list: Target[] = [];
  for (const [name, make] of Object.entries(EXAMPLES)) {
    for (const backend of ["fast", "small", "handoff"] as const) {
      for (const checksum of [true, false]) {
        // Several chunks, whose index has statistics.
        const chunkValues = backend === "small" ? 150 : 400;
        const bytes = encode(make().slice(0, 400) as Values, { backend, checksum, chunkValues });
        const read = (broken: Uint8Array, wasm: boolean): unknown =>
          decode(broken, { wasm, ...LIMIT });
        list.push({ name: `${name}/${backend}`, bytes, isChecked: checksum, read });
        if (backend !== "handoff")
          list.push({ name: `${name} at`, bytes, isChecked: checksum, read: readSingly });
      }
    }
  }
  const columns = {
    time: [new Date(0), null],
    name: ["a", "b"],
    value: Float64Array.of(1.5, 2.25),
  };
  for (const checksum of [true, false]) {
    const bytes = encodeTable(columns, { checksum, metadata: { unit: "EUR" } });
    list.push({
      name: "table",
      bytes,
      isChecked: checksum,
      read: (b, wasm) => decodeTable(b, { wasm, ...LIMIT }),
    });
  }
  const [before, after] = ["the quick brown fox", "the quick red fox jumps"].map((text) =>
    Uint8Array.from(text.repeat(20), (c) => c.charCodeAt(0)),
  ) as [Uint8Array, Uint8Array];
  const bytes = diff(before, after);
  list.push({ name: "patch", bytes, isChecked: true, read: (broken) => patch(before, broken) });
  return list;
}

/** A value here and there, each from its block alone, and what the index says. */
function readSingly(bytes: Uint8Array): unknown {
  const series = Series.fromBytes(bytes, { ...LIMIT, checksum: (bytes[4] ?? 0) === 1 });
  const values = [0, 1, 129, 255, 399].map((place) => series.at(place));
  return [values, series.chunks];
}

function mutate(bytes: Uint8Array, next: () => number): Uint8Array {
  const at = (): number => Math.floor(next() * bytes.length);
  switch (Math.floor(next() * 6)) {
    case 0:
      return bytes.slice(0, at());
    case 1: {
      const start = at();
      return Uint8Array.from([
        ...bytes.subarray(0, start),
        ...bytes.subarray(start + 1 + Math.floor(next() * 4)),
      ]);
    }
    case 2: {
      const start = at();
      return Uint8Array.from([
        ...bytes.subarray(0, start),
        Math.floor(next() * 256),
        ...bytes.subarray(start),
      ]);
    }
    case 3: {
      const copy = bytes.slice();
      copy.copyWithin(at(), at(), at());
      return copy;
    }
    default: {
      const copy = bytes.slice();
      for (let hits = 1 + Math.floor(next() * 3); hits > 0; hits -= 1) {
        const i = at();
        copy[i] = next() < 0.5 ? (copy[i] as number) ^ (1 << Math.floor(next() * 8)) : next() * 256;
      }
      return copy;
    }
  }
}

/** What reading came to: a value as text, or a DeltaError; anything else is a fault. */
function outcome(
  target: Target,
  bytes: Uint8Array,
  wasm: boolean,
): { value?: string; fault?: string } {
  const start = performance.now();
  try {
    const value = target.read(bytes, wasm);
    const ms = performance.now() - start;
    if (ms > SLOW_MS) return { fault: `took ${Math.round(ms)} ms` };
    return { value: fingerprint(value) };
  } catch (error) {
    return error instanceof DeltaError ? {} : { fault: String(error) };
  }
}

function fingerprint(value: unknown): string {
  if (ArrayBuffer.isView(value)) {
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("latin1");
  }
  return JSON.stringify(value, (_, each) => (typeof each === "bigint" ? `${each}n` : each)) ?? "";
}

function main(): number {
  const { values } = parseArgs({
    options: {
      inputs: { type: "string", default: "100000" },
      seed: { type: "string", default: "1" },
      seconds: { type: "string", default: "3600" },
    },
  });
  const inputs = Number(values.inputs);
  const seed = Number(values.seed);
  const end = performance.now() + Number(values.seconds) * 1_000;
  const list = targets();
  const written = new Map(
    list.map((target) => [target, fingerprint(target.read(target.bytes, false))]),
  );
  const next = random(seed);
  let faults = 0;
  let refused = 0;
  let done = 0;
  for (; done < inputs && performance.now() < end; done += 1) {
    const target = list[Math.floor(next() * list.length)] as Target;
    const bytes = mutate(target.bytes, next);
    const plain = outcome(target, bytes, false);
    // The second path on every other input: it must agree wherever the first gives values.
    const other = done % 2 === 0 ? outcome(target, bytes, true) : plain;
    if (plain.value === undefined) refused += 1;
    let fault = plain.fault ?? other.fault;
    if (plain.value !== other.value) fault ??= "JavaScript and WebAssembly disagree";
    if (target.isChecked && plain.value !== undefined && plain.value !== written.get(target)) {
      fault ??= "a checksum let other values pass";
    }
    if (fault === undefined) continue;
    faults += 1;
    console.log(
      `${target.name}: ${fault}; seed ${seed}, input ${done}: ${Buffer.from(bytes).toString("base64")}`,
    );
    if (faults > 20) break;
  }
  console.log(
    `${done} inputs from seed ${seed}: ${refused} refused, ${done - refused} read, ${faults} faults`,
  );
  return faults > 0 ? 1 : 0;
}

process.exitCode = main();
