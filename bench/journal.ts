/**
 * The journal alone, on this machine's disk.
 *
 * First, how long a durable write takes by each way that Node has, which is why file-disk.ts writes
 * as it does. Then what group commit makes of it: records of 130 bytes through the real journal, as a
 * replica sets it up by default, so many of them in flight, on files in a temporary directory.
 */

import {
  closeSync,
  constants,
  fdatasync,
  fsyncSync,
  mkdtempSync,
  openSync,
  rmSync,
  write,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../packages/server/src/config-load.ts";
import { Journal, type JournalOptions } from "../packages/server/src/core/journal.ts";
import { format } from "../packages/server/src/core/journal-format.ts";
import { recover } from "../packages/server/src/core/journal-recovery.ts";
import { FileDisk } from "../packages/server/src/file-disk.ts";
import { driveOnDirectory } from "../packages/server/src/file-disk-drive.ts";
import { quantile, rounded } from "./statistics.ts";
import { count, fixed, textTable } from "./text-table.ts";

const FILE_BYTES = 16 << 20;
const RECORD_BYTES = 130;
const WRITE_SIZES = [4_096, 20_480] as const;
const DEPTHS = [1, 16, 128, 512] as const;

type Effort = {
  readonly rounds: number;
  readonly writesPerRound: number;
  readonly journalMs: number;
};

const FULL: Effort = { rounds: 5, writesPerRound: 400, journalMs: 3_000 };
const QUICK: Effort = { rounds: 2, writesPerRound: 150, journalMs: 500 };

type Way = {
  readonly name: string;
  readonly flags: number;
  /** Whether the file was written, and so has its length and its blocks, before. */
  readonly isWritten: boolean;
  readonly write: (file: number, bytes: Uint8Array, offset: number) => Promise<void>;
};

type WayFigures = {
  readonly way: string;
  readonly bytes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
};

type JournalFigures = {
  readonly inFlight: number;
  readonly recordsPerSecond: number;
  readonly writesPerSecond: number;
  readonly recordsPerWrite: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly bytesPerRecord: number;
};

const WAYS: readonly Way[] = [
  { name: "write + fdatasync", flags: 0, isWritten: true, write: writeThenSync },
  { name: "O_DSYNC", flags: constants.O_DSYNC, isWritten: true, write: writeSynchronously },
  { name: "write + fdatasync, growing file", flags: 0, isWritten: false, write: writeThenSync },
];

export async function benchJournal(options: { json: boolean; quick: boolean }): Promise<void> {
  const effort = options.quick ? QUICK : FULL;
  const directory = mkdtempSync(join(tmpdir(), "cubby-bench-journal-"));
  try {
    const ways = await measureWays(directory, effort);
    const identity = {
      cellId: "00".repeat(16),
      cellName: "bench",
      replica: 1,
      incarnation: "11".repeat(16),
    };
    const { config } = loadConfig({ flags: { dataDir: directory } });
    const { segmentBytes, snapshotJournalBytes } = config;
    await driveOnDirectory(directory, format({ identity, segmentBytes }));
    const journalOptions = { segmentBytes, snapshotEveryBytes: snapshotJournalBytes };
    const commits: JournalFigures[] = [];
    for (const depth of DEPTHS) {
      commits.push(await measureJournal(directory, journalOptions, depth, effort));
    }
    if (options.json) process.stdout.write(`${JSON.stringify({ ways, commits })}\n`);
    else print(ways, commits);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** What file-disk.ts does: fill the page cache at once, then wait for the disk. */
function writeThenSync(file: number, bytes: Uint8Array, offset: number): Promise<void> {
  writeSync(file, bytes, 0, bytes.length, offset);
  return new Promise((resolve, reject) => {
    fdatasync(file, (error) => (error === null ? resolve() : reject(error)));
  });
}

function writeSynchronously(file: number, bytes: Uint8Array, offset: number): Promise<void> {
  return new Promise((resolve, reject) => {
    write(file, bytes, 0, bytes.length, offset, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
}

async function measureWays(directory: string, effort: Effort): Promise<WayFigures[]> {
  const samples = new Map<string, number[]>();
  const key = (way: Way, size: number) => `${way.name}/${size}`;
  // Way after way within a round: whatever else the machine does falls on all of them.
  for (let round = 0; round < effort.rounds; round += 1) {
    for (const way of WAYS) {
      for (const size of WRITE_SIZES) {
        const taken = await measureWay(join(directory, "ways"), way, size, effort);
        samples.set(key(way, size), [...(samples.get(key(way, size)) ?? []), ...taken]);
      }
    }
  }
  return WRITE_SIZES.flatMap((bytes) =>
    WAYS.map((way) => {
      const taken = samples.get(key(way, bytes)) ?? [];
      const [p50Ms, p99Ms] = [rounded(quantile(taken, 0.5)), rounded(quantile(taken, 0.99))];
      return { way: way.name, bytes, p50Ms, p99Ms };
    }),
  );
}

async function measureWay(
  path: string,
  way: Way,
  size: number,
  { writesPerRound }: Effort,
): Promise<number[]> {
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC | way.flags);
  try {
    if (way.isWritten) {
      const zeros = new Uint8Array(1 << 20);
      for (let at = 0; at < FILE_BYTES; at += zeros.length) {
        writeSync(file, zeros, 0, zeros.length, at);
      }
      fsyncSync(file);
    }
    const bytes = new Uint8Array(size).fill(7);
    const samples: number[] = [];
    for (let i = 0; i < writesPerRound; i += 1) {
      const start = performance.now();
      await way.write(file, bytes, (i * size) % (FILE_BYTES - size));
      samples.push(performance.now() - start);
    }
    return samples;
  } finally {
    closeSync(file);
    rmSync(path);
  }
}

async function measureJournal(
  directory: string,
  options: Partial<JournalOptions>,
  inFlight: number,
  { journalMs }: Effort,
): Promise<JournalFigures> {
  const recovered = await driveOnDirectory(directory, recover({ expected: {} }));
  if (recovered.kind !== "recovered") throw new Error(`the directory is ${recovered.kind}`);
  const journal = new Journal(options, recovered.journal);
  const startedAt: number[] = [];
  const latencies: number[] = [];
  const payload = new Uint8Array(RECORD_BYTES).fill(120);
  const ballot = { round: 1, priority: 0, replica: 1 };
  let slot = 0;
  const append = (howMany: number): void => {
    const now = performance.now();
    for (let i = 0; i < howMany; i += 1) {
      slot += 1;
      startedAt.push(now);
      journal.append([{ type: 1, slot, ballot, payload }]);
    }
  };
  const start = performance.now();
  await new Promise<void>((resolve, reject) => {
    const disk = new FileDisk(directory, (completion) => {
      journal.onCompletion(completion);
      if (journal.fatal !== undefined) reject(new Error(journal.fatal.error.message));
      const now = performance.now();
      const done = journal.persistedThrough - latencies.length;
      for (let i = 0; i < done; i += 1) latencies.push(now - (startedAt[latencies.length] ?? now));
      if (now - start < journalMs) append(done);
      snapshotIfWanted(journal, slot);
      disk.submit(journal.takeRequests());
      if (disk.inFlight > 0) return;
      void disk.close().then(resolve);
    });
    append(inFlight);
    disk.submit(journal.takeRequests());
  });
  const seconds = (performance.now() - start) / 1_000;
  const { writes, writtenBytes } = journal.status();
  return {
    inFlight,
    recordsPerSecond: Math.round(slot / seconds),
    writesPerSecond: Math.round(writes / seconds),
    recordsPerWrite: rounded(slot / writes),
    p50Ms: rounded(quantile(latencies, 0.5)),
    p99Ms: rounded(quantile(latencies, 0.99)),
    bytesPerRecord: Math.round(writtenBytes / slot),
  };
}

/** As a replica does it, so that old segments are zeroed and used again during the measurement. */
function snapshotIfWanted(journal: Journal, slot: number): void {
  const ballot = { round: 1, priority: 0, replica: 1 };
  if (journal.needsCheckpoint) {
    const payload = new Uint8Array(1_000);
    journal.appendCheckpoint({ type: 2, slot: journal.snapshotSlot, ballot, payload });
  }
  if (!journal.wantsSnapshot) return;
  const [configuration, state] = [new Uint8Array(100), new Uint8Array(1 << 20)];
  journal.writeSnapshot({ slot, ballot, configuration, state });
}

function print(ways: readonly WayFigures[], commits: readonly JournalFigures[]): void {
  const wayRows = ways.map(({ way, bytes, p50Ms, p99Ms }) => [
    way,
    count(bytes),
    fixed(p50Ms, 3),
    fixed(p99Ms, 3),
  ]);
  const commitRows = commits.map((figures) => [
    count(figures.inFlight),
    count(figures.recordsPerSecond),
    count(figures.writesPerSecond),
    fixed(figures.recordsPerWrite, 1),
    fixed(figures.p50Ms, 2),
    fixed(figures.p99Ms, 2),
    count(figures.bytesPerRecord),
  ]);
  const text = [
    "One durable write",
    textTable(["way", "bytes", "p50 ms", "p99 ms"], wayRows),
    `Group commit, records of ${RECORD_BYTES} bytes`,
    textTable(
      ["in flight", "records/s", "writes/s", "records/write", "p50 ms", "p99 ms", "bytes/record"],
      commitRows,
    ),
  ];
  process.stdout.write(`${text.join("\n\n")}\n`);
}
