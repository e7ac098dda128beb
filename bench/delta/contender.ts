/**
 * One way of packing in a process of its own: engines of JavaScript specialize code to what has run
 * before, and what another contender did to shared code or memory is not to be measured.
 */

import type { ChildProcess } from "node:child_process";
import { nextMessage, startProcess } from "../child-process.ts";
import type { Scope } from "../scope.ts";
import { loadPeers, type PeerEffort } from "./peers.ts";

export const COPY = "TypedArray.set";
export const FRESH_COPY = "TypedArray.slice";
export const RESIDENT = "fast, left in WASM";
export const CUBBY = [
  "fast, JavaScript",
  "fast, WASM",
  "small, JavaScript",
  "small, WASM",
] as const;

/** At their highest efforts general compressors are too slow for their speed to mean anything. */
export const SPEED_EFFORT: PeerEffort = { gzip: 6, brotli: 5 };

export type Work = "encode" | "decode";
/** What the process says first, and after each run. */
export type ContenderMessage = { readonly works: readonly Work[] } | { readonly ms: number };

export class Contender {
  readonly name: string;
  /** None where it does not take the series. */
  readonly works: readonly Work[];
  readonly #process: ChildProcess;

  private constructor(name: string, works: readonly Work[], process: ChildProcess) {
    this.name = name;
    this.works = works;
    this.#process = process;
  }

  static async start(scope: Scope, name: string, series: string): Promise<Contender> {
    const process = startProcess(scope, "delta/contender-process.ts", [name, series]);
    const message = await nextMessage<ContenderMessage>(process);
    return new Contender(name, "works" in message ? message.works : [], process);
  }

  /** How long one run took, in ms. */
  async run(work: Work): Promise<number> {
    const message = nextMessage<ContenderMessage>(this.#process);
    this.#process.send(work);
    const told = await message;
    return "ms" in told ? told.ms : Number.NaN;
  }

  close(): void {
    this.#process.disconnect();
  }
}

/** The names of all, in the order of the tables. */
export async function contenderNames(): Promise<string[]> {
  const peers = await loadPeers(SPEED_EFFORT);
  // Starting a program is no part of a codec.
  const inProcess = peers.filter(({ runtime }) => runtime !== "program");
  return [COPY, FRESH_COPY, RESIDENT, ...CUBBY, ...inProcess.map(({ name }) => name)];
}
