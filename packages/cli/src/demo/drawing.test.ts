import { describe, expect, it } from "vitest";
import { paintAnsi, paintNothing, widthOf } from "./ansi.ts";
import { type DemoView, drawCell, drawCellLine, drawScreen, type ReplicaView } from "./drawing.ts";

function up(replica: number, position: number, role = "replica"): ReplicaView {
  return { replica, state: "up", role, ballot: "3.0.2", position, leaseLeftMs: 480 };
}

const FIVE: readonly ReplicaView[] = [
  up(1, 120),
  up(2, 120, "master"),
  { ...up(3, 0), state: "dead" },
  up(4, 117),
  { ...up(5, 0), state: "silent" },
];

const VIEW: DemoView = {
  cellUrl: "cubby://127.0.0.1:7070/local",
  replicas: FIVE,
  webServers: [
    { name: "web1", state: "paused", generation: 4, job: 11 },
    { name: "web2", state: "leading", generation: 6, job: 14 },
    { name: "web3", state: "dead", generation: 0, job: 0 },
  ],
  lock: { state: "held" },
  store: { jobsDone: 13, greatestGeneration: 6, lastWorker: "web2", refused: 1 },
  happenings: [
    { atMs: 1_250, what: "web1 is paused.", why: "It keeps its belief that it leads." },
    { atMs: 12_000, what: "web2 leads.", why: "The lock was free." },
  ],
};

describe("the drawing of a cell", () => {
  it("stars the master, and tells the dead from the silent", () => {
    expect(drawCell(FIVE, paintNothing)).toBe(
      "[Replica1] [Replica2*] [Replica3 dead] [Replica4] [Replica5 ?]",
    );
  });

  it("gives ballot, log position and each replica's lag in one line", () => {
    expect(drawCellLine(FIVE, paintNothing)).toMatch(
      /ballot 3\.0\.2, log at 120, lag 0\/0\/-\/3\/-$/,
    );
  });

  it("says so when there is no master", () => {
    expect(drawCellLine([up(1, 5), up(2, 5)], paintNothing)).toMatch(/no master$/);
  });
});

describe("the screen", () => {
  it("is a function of the view alone", () => {
    expect(drawScreen(VIEW, { columns: 100, rows: 40 }, paintNothing)).toEqual([
      "Cubby  five replicas, three web servers, one leader",
      "CUBBY_CELL=cubby://127.0.0.1:7070/local",
      "",
      "The cell     [Replica1]       [Replica2*]      [Replica3 dead]  [Replica4]       [Replica5 ?]",
      "  ballot     3.0.2            3.0.2            -                3.0.2            -",
      "  log at     120              120              -                117              -",
      "  lag        0                0                -                3                -",
      "  lease                       480 ms left      -                                 -",
      "",
      "Web servers  web1  paused  sequencer generation 4 is stale, but it cannot know",
      "             web2  LEADER  sequencer generation 6, job 14",
      "             web3  dead",
      "Lock         held",
      "Job store    13 jobs done, the last by web2; greatest sequencer: generation 6; 1 refused",
      "",
      "What happens, and why",
      "   1.3 s  web1 is paused.",
      "          It keeps its belief that it leads.",
      "  12.0 s  web2 leads.",
      "          The lock was free.",
      "",
      "m kill the master   l kill the leader   p pause it, resume it   r restart the dead   q quit",
    ]);
  });

  it("is as wide with colors as without", () => {
    const size = { columns: 100, rows: 40 };
    const plain = drawScreen(VIEW, size, paintNothing).map(widthOf);
    expect(drawScreen(VIEW, size, paintAnsi).map(widthOf)).toEqual(plain);
  });

  it.each([
    [80, 24],
    [60, 20],
    [0, 0],
  ])("fits into %d columns and %d rows without losing its keys", (columns, rows) => {
    const url = `cubby://${FIVE.map(({ replica }) => `127.0.0.1:2000${replica}`).join(",")}/local`;
    const what = "The job store REFUSES web2: generation 5 is stale: generation 6 was seen.";
    const why = "It was not running when it lost the lock, so it went on where it had stopped.";
    const happenings = Array.from({ length: 9 }, (_, i) => ({ atMs: i * 1_000, what, why }));
    const view = { ...VIEW, cellUrl: url, happenings };
    const lines = drawScreen(view, { columns, rows }, paintAnsi);
    expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(columns || 80);
    expect(lines.length).toBeLessThanOrEqual(rows || 24);
    const plain = drawScreen(view, { columns, rows }, paintNothing);
    expect(plain[0]).toMatch(/^Cubby/);
    expect(plain.at(-1)).toMatch(/q quit$/);
    expect(plain.join("\n")).toMatch(/The cell {5}\[Replica1\] +\[Replica2\*\] +\[Replica3 dead\]/);
  });

  it("keeps what happened last when there is not room for all", () => {
    const lines = drawScreen(VIEW, { columns: 100, rows: 16 }, paintNothing);
    expect(lines.join("\n")).not.toContain("web1 is paused.");
    expect(lines.join("\n")).toContain("web2 leads.");
  });
});
