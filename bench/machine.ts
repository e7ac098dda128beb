/**
 * What this machine can do at best, measured in the same run as everything else: without these,
 * figures from two machines, or from two hours of one machine, cannot be compared.
 */

import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { nextMessage, startProcess } from "./child-process.ts";
import type { Scope } from "./scope.ts";
import { quantile, rounded } from "./statistics.ts";

const BLOCK_BYTES = 4_096;
const FILE_BLOCKS = 1_024;
const ECHO_BYTES = 64;

export type MachineFigures = {
  readonly cpus: number;
  readonly memoryGiB: number;
  readonly node: string;
  /** Of 4 KiB into a file that was written before, as the journal does it. */
  readonly fdatasyncMs: { readonly p50: number; readonly p99: number };
  /** 64-byte messages to another process and back, on one connection. */
  readonly echoPerSecond: { readonly depth1: number; readonly depth128: number };
  /** Million rounds a second of a loop of integer arithmetic. */
  readonly loopMillionsPerSecond: number;
};

export async function measureMachine(
  scope: Scope,
  directory: string,
  quick: boolean,
): Promise<MachineFigures> {
  const samples = fdatasyncSamples(directory, quick ? 200 : 1_000);
  const server = startProcess(scope, "echo-server.ts");
  const { port } = await nextMessage<{ port: number }>(server);
  const echoMs = quick ? 400 : 1_500;
  const depth1 = await echoPerSecond(port, 1, echoMs);
  const depth128 = await echoPerSecond(port, 128, echoMs);
  server.disconnect();
  return {
    cpus: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    fdatasyncMs: { p50: rounded(quantile(samples, 0.5)), p99: rounded(quantile(samples, 0.99)) },
    echoPerSecond: { depth1: Math.round(depth1), depth128: Math.round(depth128) },
    loopMillionsPerSecond: Math.round(loopMillionsPerSecond()),
  };
}

function fdatasyncSamples(directory: string, count: number): number[] {
  const path = join(directory, "fdatasync");
  const file = openSync(path, "w");
  try {
    const block = new Uint8Array(BLOCK_BYTES).fill(1);
    for (let i = 0; i < FILE_BLOCKS; i += 1)
      writeSync(file, block, 0, BLOCK_BYTES, i * BLOCK_BYTES);
    fdatasyncSync(file);
    return Array.from({ length: count }, (_, i) => {
      block.fill(i & 0xff);
      const start = performance.now();
      writeSync(file, block, 0, BLOCK_BYTES, (i % FILE_BLOCKS) * BLOCK_BYTES);
      fdatasyncSync(file);
      return performance.now() - start;
    });
  } finally {
    closeSync(file);
    rmSync(path);
  }
}

/** Keeps `depth` messages under way; what one turn of the loop brings goes out again as one write. */
async function echoPerSecond(port: number, depth: number, durationMs: number): Promise<number> {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  const message = new Uint8Array(depth * ECHO_BYTES);
  let bytes = 0;
  const start = performance.now();
  await new Promise<void>((resolve, reject) => {
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      bytes += chunk.length;
      if (performance.now() - start >= durationMs) resolve();
      else socket.write(message.subarray(0, chunk.length));
    });
    socket.write(message);
  });
  const seconds = (performance.now() - start) / 1_000;
  await closed(socket);
  return bytes / ECHO_BYTES / seconds;
}

async function closed(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    socket.once("close", () => resolve());
    socket.destroy();
  });
}

function loopMillionsPerSecond(): number {
  const rounds = 100_000_000;
  const start = performance.now();
  let x = 1;
  for (let i = 0; i < rounds; i += 1) x = (Math.imul(x, 1_664_525) + 1_013_904_223) | 0;
  const elapsedMs = performance.now() - start;
  // The result is used, so that the loop is not left out.
  return x === 0 ? 0 : rounds / 1_000 / elapsedMs;
}
