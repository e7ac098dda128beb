import { unreachable } from "@cubby/base";
import { type Paint, padEnd, padStart, widthOf, wrap } from "./ansi.ts";

export type ReplicaView = {
  readonly replica: number;
  readonly state: "dead" | "silent" | "up";
  /** As the replica says: "master", "replica", "candidate", "waiting". */
  readonly role: string;
  readonly ballot: string;
  /** The last slot that it knows to be chosen. */
  readonly position: number;
  readonly leaseLeftMs: number;
};

export type WebServerView = {
  readonly name: string;
  readonly state: "starting" | "waiting" | "leading" | "jeopardy" | "paused" | "dead";
  /** Generation of the sequencer under which it leads or led last; 0 before. */
  readonly generation: number;
  readonly job: number;
};

export type StoreView = {
  readonly jobsDone: number;
  readonly greatestGeneration: number;
  readonly lastWorker: string;
  readonly refused: number;
};

export type LockView = { readonly state: "unknown" | "free" | "held" | "delayed" };

export type Happening = { readonly atMs: number; readonly what: string; readonly why: string };

/** Everything on the screen; the drawing is a function of it alone. */
export type DemoView = {
  readonly cellUrl: string;
  readonly replicas: readonly ReplicaView[];
  readonly webServers: readonly WebServerView[];
  readonly lock: LockView;
  readonly store: StoreView;
  /** Oldest first. */
  readonly happenings: readonly Happening[];
};

const LABEL_COLUMNS = 13;
const CELL_COLUMNS = 14;
const WORDS_COLUMNS_MAX = 100;

/** `[Replica1] [Replica2*] …`: the star is the master; a dead replica is crossed out. */
export function drawCell(replicas: readonly ReplicaView[], paint: Paint): string {
  return replicas.map((replica) => drawReplica(replica, paint)).join(" ");
}

/** The cell in one line, with ballot, position and lag, for output that only ever grows. */
export function drawCellLine(replicas: readonly ReplicaView[], paint: Paint): string {
  const master = masterOf(replicas);
  const about =
    master === undefined
      ? "no master"
      : `ballot ${master.ballot}, log at ${master.position}, lag ${replicas
          .map((replica) => lagText(replica, replicas))
          .join("/")}`;
  return `${drawCell(replicas, paint)}  ${about}`;
}

/** The whole screen, as lines of at most `columns` for ordinary widths. */
export function drawScreen(
  view: DemoView,
  size: { readonly columns: number; readonly rows: number },
  paint: Paint,
): string[] {
  const head = [
    `${paint("title", "Cubby")}  ${paint("dim", "five replicas, three web servers, one leader")}`,
    paint("dim", `CUBBY_CELL=${view.cellUrl}`),
    "",
    ...drawReplicas(view.replicas, paint),
    "",
    ...drawWebServers(view, paint),
    labelled("Lock", drawLock(view.lock, paint)),
    labelled("Job store", drawStore(view.store)),
    "",
    paint("strong", "What happens, and why"),
  ];
  const foot = ["", drawKeys(paint)];
  const room = Math.max(3, size.rows - head.length - foot.length - 1);
  return [...head, ...drawHappenings(view.happenings, size.columns, room, paint), ...foot];
}

/** The last slot known to be chosen at the master, less what this replica knows to be chosen. */
export function lagOf(replica: ReplicaView, replicas: readonly ReplicaView[]): number | undefined {
  if (replica.state !== "up") return undefined;
  const furthest = Math.max(
    ...replicas.map(({ state, position }) => (state === "up" ? position : 0)),
  );
  return Math.max(0, furthest - replica.position);
}

function masterOf(replicas: readonly ReplicaView[]): ReplicaView | undefined {
  return replicas.find(({ state, role }) => state === "up" && role === "master");
}

function drawReplica({ replica, state, role }: ReplicaView, paint: Paint): string {
  switch (state) {
    case "dead":
      return paint("bad", `[Replica${replica} dead]`);
    case "silent":
      return paint("busy", `[Replica${replica} ?]`);
    case "up":
      if (role === "master") return paint("good", `[Replica${replica}*]`);
      return role === "replica" ? `[Replica${replica}]` : paint("busy", `[Replica${replica} …]`);
    default:
      return unreachable(state);
  }
}

function drawReplicas(replicas: readonly ReplicaView[], paint: Paint): string[] {
  const row = (label: string, cell: (replica: ReplicaView) => string): string =>
    labelled(label, replicas.map((replica) => padEnd(cell(replica), CELL_COLUMNS + 3)).join(""));
  const up = (text: (replica: ReplicaView) => string) => (replica: ReplicaView) =>
    replica.state === "up" ? text(replica) : paint("dim", "-");
  return [
    row("The cell", (replica) => drawReplica(replica, paint)),
    row(
      "  ballot",
      up(({ ballot }) => ballot),
    ),
    row(
      "  log at",
      up(({ position }) => String(position)),
    ),
    row("  lag", (replica) => lagText(replica, replicas)),
    row(
      "  lease",
      up(({ role, leaseLeftMs }) => (role === "master" ? `${leaseLeftMs} ms left` : "")),
    ),
  ].map((line) => line.trimEnd());
}

function lagText(replica: ReplicaView, replicas: readonly ReplicaView[]): string {
  const lag = lagOf(replica, replicas);
  return lag === undefined ? "-" : String(lag);
}

function drawWebServers(view: DemoView, paint: Paint): string[] {
  return view.webServers.map((server, index) =>
    labelled(
      index === 0 ? "Web servers" : "",
      `${padEnd(server.name, 6)}${drawWebServer(server, view.store, paint)}`,
    ),
  );
}

function drawWebServer(server: WebServerView, store: StoreView, paint: Paint): string {
  const sequencer = `sequencer generation ${server.generation}`;
  switch (server.state) {
    case "starting":
      return paint("dim", "starts");
    case "waiting":
      return "waits for the lock";
    case "leading":
      return `${paint("good", "LEADER")}  ${sequencer}, job ${server.job}`;
    case "jeopardy":
      return `${paint("busy", "in jeopardy")}  its lease ran out unrenewed: it holds its work`;
    case "paused": {
      const stale = server.generation > 0 && server.generation < store.greatestGeneration;
      const note = stale ? `${sequencer} is stale, but it cannot know` : "it knows nothing of time";
      return `${paint("busy", "paused")}  ${note}`;
    }
    case "dead":
      return paint("bad", "dead");
    default:
      return unreachable(server.state);
  }
}

function drawLock(lock: LockView, paint: Paint): string {
  switch (lock.state) {
    case "unknown":
      return paint("dim", "no answer from the cell");
    case "free":
      return "free";
    case "held":
      return "held";
    case "delayed":
      return `${paint("busy", "in lock-delay")}  its holder failed: closed to everybody for a while`;
    default:
      return unreachable(lock.state);
  }
}

function drawStore(store: StoreView): string {
  const last = store.lastWorker === "" ? "" : `, the last by ${store.lastWorker}`;
  const seen = `greatest sequencer: generation ${store.greatestGeneration}`;
  return `${store.jobsDone} jobs done${last}; ${seen}; ${store.refused} refused`;
}

function drawKeys(paint: Paint): string {
  const keys: readonly (readonly [string, string])[] = [
    ["m", "kill the master"],
    ["l", "kill the leader"],
    ["p", "pause it, resume it"],
    ["r", "restart the dead"],
    ["q", "quit"],
  ];
  return keys.map(([key, does]) => `${paint("title", key)} ${does}`).join("   ");
}

/** The latest that fit into `rows`, oldest first; one is drawn whole or not at all. */
function drawHappenings(
  happenings: readonly Happening[],
  columns: number,
  rows: number,
  paint: Paint,
): string[] {
  const blocks: string[][] = [];
  let used = 0;
  for (const happening of happenings.toReversed()) {
    const block = drawHappening(happening, Math.min(columns, WORDS_COLUMNS_MAX), paint);
    if (used + block.length > rows && blocks.length > 0) break;
    blocks.unshift(block);
    used += block.length;
  }
  return blocks.flat();
}

function drawHappening(happening: Happening, columns: number, paint: Paint): string[] {
  const time = paint("dim", padStart(`${(happening.atMs / 1_000).toFixed(1)} s`, 8));
  const indent = " ".repeat(10);
  const why = wrap(happening.why, columns - indent.length);
  return [`${time}  ${happening.what}`, ...why.map((line) => paint("dim", indent + line))];
}

function labelled(label: string, text: string): string {
  return `${label}${" ".repeat(Math.max(1, LABEL_COLUMNS - widthOf(label)))}${text}`.trimEnd();
}
