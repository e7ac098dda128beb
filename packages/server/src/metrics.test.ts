import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, open, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ERROR_CODES, Status } from "@cubby/protocol";
import { describe, expect, test } from "vitest";
import { countError, createLaneCounters } from "./lane.ts";
import { Metrics } from "./metrics.ts";

function observed() {
  const session = createLaneCounters();
  const http = createLaneCounters();
  const counters = {
    bytesIn: 10,
    bytesOut: 20,
    framesIn: 1,
    framesOut: 2,
    droppedTotal: 3,
    dialsTotal: 4,
    refusedTotal: 5,
  };
  const status = Status.create({
    replicaId: 2,
    masterId: 2,
    role: "master",
    chosen: 90,
    clientEpoch: 2,
    applied: 89,
    accepted: 95,
    leaseLeftMs: 450,
    sessions: 12,
    locksHeld: 3,
    peers: [
      { replicaId: 1, acceptedSlot: 88, lastHeardMs: 40, connected: true },
      { replicaId: 3, acceptedSlot: 0, lastHeardMs: 0, connected: true },
      { replicaId: 4, acceptedSlot: 0, lastHeardMs: 0, connected: false },
    ],
  });
  const metrics = new Metrics({
    status: () => status,
    proposed: () => 0,
    lanes: { session, http },
    peers: { counters, peers: () => [{ replicaId: 1, connected: true }] },
  });
  return { metrics, session, http, status };
}

/** Reads the text format: each sample's value under its name and labels. */
function parse(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("# HELP ") || line.startsWith("# TYPE ")) continue;
    const match = /^([a-z_]+(?:\{[a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*\})?) (\S+)$/.exec(line);
    if (match === null) throw new Error(`not a sample: ${line}`);
    const [, name = "", value = ""] = match;
    if (samples.has(name)) throw new Error(`said twice: ${name}`);
    samples.set(name, value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value));
  }
  return samples;
}

describe("metrics", () => {
  test("are text that Prometheus reads, all under one prefix", async () => {
    const { metrics } = observed();
    const { contentType, text } = await metrics.page();
    expect(contentType).toContain("text/plain");
    const samples = parse(text);
    expect(samples.size).toBeGreaterThan(100);
    for (const [name, value] of samples) {
      expect(name).toMatch(/^cubby_/);
      expect(value).not.toBeNaN();
    }
  });

  test("say what the replica says of itself, in base units", async () => {
    const { metrics, session, status } = observed();
    session.requests.acquire += 7;
    session.connections = 4;
    countError(session, ERROR_CODES.lock_held.id);
    metrics.observeFsync(0.125);
    metrics.observeLoopLag(3);
    metrics.observeSnapshot(30);
    const samples = parse((await metrics.page()).text);
    const expected: [string, number][] = [
      ["cubby_has_leader", 1],
      ["cubby_is_master", 1],
      ["cubby_master_lease_left_seconds", 0.45],
      ["cubby_master_changes_total", 2],
      ["cubby_proposals_pending", 5],
      ["cubby_chosen_slot", 90],
      ["cubby_applied_slot", 89],
      ["cubby_sessions", 12],
      ["cubby_locks_held", 3],
      ['cubby_peer_connected{peer="1"}', 1],
      ['cubby_peer_accepted_slot{peer="1"}', 88],
      ['cubby_peer_last_heard_seconds{peer="1"}', 0.04],
      ['cubby_peer_last_heard_seconds{peer="3"}', 0],
      ['cubby_peer_bytes_total{direction="out"}', 20],
      ['cubby_requests_total{lane="session",call="acquire"}', 7],
      ['cubby_requests_total{lane="http",call="acquire"}', 0],
      ['cubby_request_errors_total{lane="session",code="lock_held"}', 1],
      ['cubby_connections{lane="session"}', 4],
      ["cubby_journal_fsync_seconds_sum", 0.000125],
      ['cubby_journal_fsync_seconds_bucket{le="0.0002"}', 1],
      ['cubby_journal_fsync_seconds_bucket{le="0.0001"}', 0],
      ["cubby_event_loop_lag_seconds_count", 1],
      ["cubby_snapshot_seconds_count", 1],
    ];
    expect(expected.map(([name]) => [name, samples.get(name)])).toEqual(expected);
    status.masterId = 0;
    status.role = "candidate";
    const later = parse((await metrics.page()).text);
    expect(later.get("cubby_has_leader")).toBe(0);
    expect(later.get("cubby_is_master")).toBe(0);
    expect(later.get("cubby_master_changes_total")).toBe(2);
    // As of a master that is cut off from its quorum.
    status.masterId = status.replicaId;
    expect(parse((await metrics.page()).text).get("cubby_has_leader")).toBe(0);
  });

  test("say no time for a peer that was never heard, which is not a peer heard just now", async () => {
    const { text } = await observed().metrics.page();
    expect(text).toContain('cubby_peer_last_heard_seconds{peer="3"}');
    expect(text).not.toContain('cubby_peer_last_heard_seconds{peer="4"}');
  });

  test("call the number of masters no counter, since a restart takes it back and it returns", async () => {
    expect((await observed().metrics.page()).text).toContain(
      "# TYPE cubby_master_changes_total gauge",
    );
  });

  test("of two replicas in one process stay apart", async () => {
    const one = observed();
    const two = observed();
    one.session.connections = 5;
    expect((await two.metrics.page()).text).toContain('cubby_connections{lane="session"} 0');
  });

  test("come while a disk that hangs holds all threads that wait for files", async () => {
    const { metrics } = observed();
    const before = parse((await metrics.page()).text).get("cubby_process_open_fds") ?? 0;
    expect(before).toBeGreaterThan(3);
    const directory = mkdtempSync(join(tmpdir(), "cubby-metrics-"));
    const pipe = join(directory, "pipe");
    execFileSync("mkfifo", [pipe]);
    // Without a writer each waits in its thread; Node has four, if the environment does not say more.
    const threads = Number(process.env["UV_THREADPOOL_SIZE"] ?? 4);
    const opened = Array.from(
      { length: threads },
      () => new Promise<number>((resolve) => open(pipe, "r", (_, file) => resolve(file))),
    );
    try {
      for (let page = 0; page < 3; page += 1) {
        const now = parse((await metrics.page()).text).get("cubby_process_open_fds");
        expect(now).toBe(before);
      }
    } finally {
      const writer = openSync(pipe, constants.O_RDWR);
      for (const file of await Promise.all(opened)) closeSync(file);
      closeSync(writer);
      rmSync(directory, { recursive: true });
    }
  });

  test("have a reference", () => {
    const reference = observed().metrics.reference();
    expect(reference).toContain(
      "| `cubby_has_leader` | gauge |  | 1 when this replica knows a master. |",
    );
    expect(reference).toContain("| `cubby_requests_total` | counter | `lane`, `call` | Requests");
  });
});
