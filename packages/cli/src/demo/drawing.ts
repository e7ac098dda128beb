import { unreachable } from "@cubby/base";
import { clip, type Paint, padEnd, padStart, widthOf, wrap } from "./ansi.ts";

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
const CELL_COLUMNS = 17;
const WORDS_COLUMNS_MAX = 100;
/** Of a terminal that does not tell its size. */
const COLUMNS_DEFAULT = 80;
const ROWS_DEFAULT = 24;
/** With fewer rows the screen does without space and ornament, so that what happens has room. */
const ROWS_SPACIOUS = 32;

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

/** The whole screen: no line is longer than the terminal is wide, and with luck all fit into it. */
export function drawScreen(
  view: DemoView,
  size: { readonly columns: number; readonly rows: number },
  paint: Paint,
): string[] {
  const columns = size.columns > 0 ? size.columns : COLUMNS_DEFAULT;
  const rows = size.rows > 0 ? size.rows : ROWS_DEFAULT;
  const spacious = rows >= ROWS_SPACIOUS;
  const space = spacious ? [""] : [];
  const head = [
    `${paint("title", "Cubby")}  ${paint("dim", "five replicas, three web servers, one leader")}`,
    ...(spacious ? drawAddress(view.cellUrl, columns, paint) : []),
    ...space,
    ...drawReplicas(view.replicas, columns, paint),
    ...space,
    ...drawWebServers(view, paint),
    labelled("Lock", drawLock(view.lock, paint)),
    ...drawStore(view.store, columns),
    ...space,
    paint("strong", "What happens, and why"),
  ];
  const foot = [...space, ...drawKeys(columns, paint)];
  const room = Math.max(3, rows - head.length - foot.length);
  const lines = [...head, ...drawHappenings(view.happenings, columns, room, paint), ...foot];
  return lines.map((line) => clip(line, columns));
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

/** For copying into another terminal: broken where that terminal's lines end, if need be. */
function drawAddress(cellUrl: string, columns: number, paint: Paint): string[] {
  const text = `CUBBY_CELL=${cellUrl}`;
  const lines: string[] = [];
  for (let at = 0; at < text.length; at += columns) {
    lines.push(paint("dim", text.slice(at, at + columns)));
  }
  return lines;
}

function drawReplicas(replicas: readonly ReplicaView[], columns: number, paint: Paint): string[] {
  const up = (replica: ReplicaView, text: string): string =>
    replica.state === "up" ? text : paint("dim", "-");
  const cells = replicas.map((replica) => [
    drawReplica(replica, paint),
    up(replica, replica.ballot),
    up(replica, String(replica.position)),
    lagText(replica, replicas),
    up(replica, replica.role === "master" ? `${replica.leaseLeftMs} ms left` : ""),
  ]);
  const fits = LABEL_COLUMNS + replicas.length * CELL_COLUMNS <= columns;
  const padded = cells.map((lines) => {
    const width = fits ? CELL_COLUMNS : 1 + Math.max(...lines.map(widthOf));
    return lines.map((line) => padEnd(line, width));
  });
  return ["The cell", "  ballot", "  log at", "  lag", "  lease"].map((label, row) =>
    labelled(label, padded.map((lines) => lines[row] ?? "").join("")),
  );
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

function drawStore(store: StoreView, columns: number): string[] {
  const last = store.lastWorker === "" ? "" : `, the last by ${store.lastWorker}`;
  const seen = `greatest sequencer: generation ${store.greatestGeneration}`;
  const text = `${store.jobsDone} jobs done${last}; ${seen}; ${store.refused} refused`;
  return wrap(text, columns - LABEL_COLUMNS).map((line, at) =>
    labelled(at === 0 ? "Job store" : "", line),
  );
}

function drawKeys(columns: number, paint: Paint): string[] {
  const keys: readonly (readonly [string, string])[] = [
    ["m", "kill the master"],
    ["l", "kill the leader"],
    ["p", "pause it, resume it"],
    ["r", "restart the dead"],
    ["q", "quit"],
  ];
  const lines: string[] = [];
  for (const [key, does] of keys) {
    const word = `${paint("title", key)} ${does}`;
    const longer = `${lines.at(-1) ?? ""}   ${word}`;
    if (lines.length > 0 && widthOf(longer) <= columns) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
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
  const what = wrap(happening.what, columns - indent.length);
  const why = wrap(happening.why, columns - indent.length);
  return [
    ...what.map((line, at) => (at === 0 ? `${time}  ${line}` : indent + line)),
    ...why.map((line) => paint("dim", indent + line)),
  ];
}

function labelled(label: string, text: string): string {
  return `${label}${" ".repeat(Math.max(1, LABEL_COLUMNS - widthOf(label)))}${text}`.trimEnd();
}
