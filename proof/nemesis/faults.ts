import { basename } from "node:path";
import { Rng } from "@cubby/base";
import { ERROR_CODES } from "@cubby/protocol";
import { monotonicMs } from "../../packages/cli/src/process/monotonic.ts";
import { poll, sleep } from "../../packages/cli/src/process/sleep.ts";
import type { Cell } from "./cell.ts";
import { type Damage, damageCopy, damageJournal, damageSnapshot } from "./damage.ts";
import type { Disks } from "./disks.ts";
import type { Network } from "./network.ts";
import type { Program } from "./program.ts";
import type { Fault, FaultKind } from "./schedule.ts";

/** One fault as it was carried out. */
export type FaultWindow = {
  readonly kind: FaultKind;
  readonly target: number;
  readonly from: number;
  readonly until: number;
  /** What came of it. */
  readonly note: string;
  /** False where there was nothing to hit, or nobody noticed or needed what was hit. */
  readonly hasHappened: boolean;
};

export type ClientPrograms = {
  readonly endpoints: readonly number[];
  program(endpoint: number): Program | undefined;
  kill(endpoint: number): Promise<void>;
  start(endpoint: number): void;
};

export type Victims = {
  readonly cell: Cell;
  readonly network: Network;
  readonly disks: Disks;
  readonly clients: ClientPrograms;
  /** Who is master, as far as anyone has heard. */
  master(): number | undefined;
  /** The client that wrote last as the holder of a lock. */
  holder(): number | undefined;
};

const CLAIM_EVERY_MS = 20;
/** How long a replica's log may take to name what was damaged. */
const NAMED_WITHIN_MS = {
  /** A replica gathers what it logs for a quarter of a second, and a busy machine is slow to run it. */
  others: 1_000,
  /** Where silence breaks a promise, as long as it may take to serve: only one that is silent costs it. */
  copies: 20_000,
};
const LOSS_EVERY_MS = 40;
const LOSS_SHARE = 0.12;
const FLAP_MS = { min: 100, max: 800 };
/** The cell has put down who it was, which fails the run. */
const STUCK = "did not come back";
const NO_DAMAGE = "nothing to damage";
const NO_ROOM_NEEDED = "did not need room";
const NO_PROCESS = "nothing to pause";
const NOT_NEEDED = "not needed";
const NOT_HAPPENED = [NO_DAMAGE, NO_ROOM_NEEDED, NO_PROCESS, NOT_NEEDED];

/** What came of a fault, without the details. */
export function outcomeOf({ note }: Pick<FaultWindow, "note">): string {
  return note.split(":")[0] ?? "";
}

/** Carries out faults, heals each, and writes down when it was. */
export class Faults {
  readonly windows: FaultWindow[] = [];
  /** Damage that had to be mended, and of which the replica said nothing. */
  readonly unmended: string[] = [];
  readonly #victims: Victims;
  readonly #signal: AbortSignal;
  readonly #namedWithinMs: typeof NAMED_WITHIN_MS;
  /** Whatever is hit now, so that two lanes never hit the same. */
  readonly #claimed = new Set<number>();
  /** By replica, oldest first: what it served without stays in its journal, and may be needed later. */
  readonly #damaged = new Map<number, readonly Damage[]>();
  readonly current = new Map<number, FaultKind>();
  /** By link, how many faults cut it now: the last of them heals it. */
  readonly #cuts = new Map<string, number>();

  /** Once the signal is aborted faults are healed at once, and none begins. */
  constructor(victims: Victims, signal: AbortSignal, namedWithinMs = NAMED_WITHIN_MS) {
    this.#victims = victims;
    this.#signal = signal;
    this.#namedWithinMs = namedWithinMs;
  }

  async runLane(faults: readonly Fault[], beginning: number): Promise<void> {
    for (const fault of faults) {
      await this.#hold(beginning + fault.atMs - monotonicMs());
      if (this.#signal.aborted) return;
      const target = fault.kind === "rolling restart" ? 0 : await this.#claim(fault);
      if (target === undefined) return;
      const from = monotonicMs();
      this.current.set(target, fault.kind);
      const note = await this.#perform(fault, target);
      this.current.delete(target);
      this.#claimed.delete(target);
      const until = monotonicMs();
      const hasHappened = !NOT_HAPPENED.includes(outcomeOf({ note }));
      this.windows.push({ kind: fault.kind, target, from, until, note, hasHappened });
    }
  }

  #perform(fault: Fault, target: number): Promise<string> {
    const { cell, clients } = this.#victims;
    switch (fault.kind) {
      case "kill":
        return this.#downFor(target, fault.durationMs);
      case "pause":
        return this.#pause(cell.program(target), fault.durationMs);
      case "rolling restart":
        return this.#restartAll();
      case "isolate":
        return this.#cut(this.#split(target, fault), fault.durationMs);
      case "quorum loss":
        return this.#cut(this.#withoutQuorum(target, fault), fault.durationMs);
      case "one-way":
        return this.#cut(this.#oneWay(target, fault), fault.durationMs);
      case "link":
        return this.#cut(this.#between(target, fault), fault.durationMs);
      case "slow link":
        return this.#slow(target, fault.durationMs);
      case "loss":
        return this.#lose(target, fault);
      case "flapping":
        return this.#flap(target, fault);
      case "full disk":
        return this.#fillDisk(target, fault.durationMs);
      case "damaged copy":
        return this.#damage(target, fault, (directory) => damageCopy(directory, fault.draws));
      case "damaged snapshot":
        return this.#damage(target, fault, (directory) => damageSnapshot(directory, fault.draws));
      case "damaged journal":
        return this.#damage(target, fault, (directory) => damageJournal(directory, fault.draws));
      case "client pause":
        return this.#pause(clients.program(target), fault.durationMs);
      case "client kill":
        return this.#killClient(target, fault.durationMs);
      case "client cut": {
        const links = cell.replicas.flatMap((replica) => bothWays(target, replica));
        return this.#cut(links, fault.durationMs);
      }
      default:
        return Promise.reject(new Error(`No such fault: ${fault.kind satisfies never}`));
    }
  }

  /** Waits for a target that nothing else has hit; undefined when the run is over before. */
  async #claim(fault: Fault): Promise<number | undefined> {
    const { disks } = this.#victims;
    for (;;) {
      const isForReplicas = !fault.kind.startsWith("client");
      const leader = isForReplicas ? this.#victims.master() : this.#victims.holder();
      const isWanted = fault.wantsLeader && leader !== undefined;
      const wanted = isWanted ? [leader, ...fault.order] : fault.order;
      const isFit = (each: number): boolean =>
        !this.#claimed.has(each) && (fault.kind !== "full disk" || disks.has(each));
      const target = wanted.find(isFit);
      if (target !== undefined) {
        this.#claimed.add(target);
        return target;
      }
      if (this.#signal.aborted) return undefined;
      await this.#hold(CLAIM_EVERY_MS);
    }
  }

  async #hold(ms: number): Promise<void> {
    // Told to end while it waits: heal now.
    if (ms > 0) await sleep(ms, this.#signal).catch(() => undefined);
  }

  async #downFor(replica: number, ms: number): Promise<string> {
    const { cell } = this.#victims;
    await cell.kill(replica);
    await this.#hold(ms);
    return (await this.#startAgain(replica)) ?? "came back";
  }

  /**
   * Until it serves: undefined; or what else came of it. A replica may refuse to start if it names what
   * was damaged, now or earlier. Then the bytes are put back: nothing has run on them meanwhile, so
   * nothing is forgotten, and all five replicas stay.
   */
  async #startAgain(replica: number, damage?: Damage): Promise<string | undefined> {
    const { cell } = this.#victims;
    cell.start(replica);
    cell.expectEnd(replica);
    const exit = await cell.served(replica);
    cell.expectEnd(replica, false);
    if (exit === "stuck") return STUCK;
    const earlier = this.#damaged.get(replica) ?? [];
    const damages = stillThere(damage === undefined ? earlier : [...earlier, damage]);
    if (exit === undefined) {
      const isToStay = (each: Damage): boolean => earlier.includes(each);
      this.#damaged.set(replica, damages.filter(isToStay));
      return undefined;
    }
    const said = cell.program(replica)?.lastLines.join("\n") ?? "";
    const named = damages.filter(({ file }) => said.includes(basename(file)));
    const mayRefuse = exit.code === ERROR_CODES.data_damaged.exitCode && named.length > 0;
    if (!mayRefuse) {
      cell.addCrash(replica, exit, [...damages.map(describeDamage), said].join("\n"));
    }
    // The newest first: a file may have been damaged twice.
    for (const each of damages.toReversed()) if (each.isThere()) each.undo();
    this.#damaged.delete(replica);
    cell.start(replica);
    await cell.served(replica);
    return mayRefuse ? `refused to start: ${named.map(describeDamage).join("; ")}` : "ended";
  }

  async #pause(program: Program | undefined, ms: number): Promise<string> {
    if (program === undefined || program.hasExited) return NO_PROCESS;
    program.pause();
    await this.#hold(ms);
    program.resume();
    return "";
  }

  /** One after the other, each told to end and started again, whatever else goes on. */
  async #restartAll(): Promise<string> {
    const { cell } = this.#victims;
    let note = "";
    for (const replica of cell.replicas) {
      while (this.#claimed.has(replica)) await sleep(CLAIM_EVERY_MS);
      this.#claimed.add(replica);
      const said = cell.lines(replica).at(-1) ?? "";
      const exit = await cell.stop(replica);
      if (exit !== undefined && exit.code !== 0) cell.addCrash(replica, exit, said);
      note = (await this.#startAgain(replica)) ?? note;
      this.#claimed.delete(replica);
      if (this.#signal.aborted) break;
    }
    return note;
  }

  async #cut(links: readonly Link[], ms: number): Promise<string> {
    const { network } = this.#victims;
    for (const [from, to] of links) {
      const link = `${from}>${to}`;
      this.#cuts.set(link, (this.#cuts.get(link) ?? 0) + 1);
      network.cut(from, to);
    }
    await this.#hold(ms);
    for (const [from, to] of links) {
      const link = `${from}>${to}`;
      const left = (this.#cuts.get(link) ?? 1) - 1;
      this.#cuts.set(link, left);
      if (left === 0) network.heal(from, to);
    }
    return "";
  }

  async #slow(replica: number, ms: number): Promise<string> {
    const { network } = this.#victims;
    network.slow(replica, true);
    await this.#hold(ms);
    network.slow(replica, false);
    return "";
  }

  async #lose(replica: number, fault: Fault): Promise<string> {
    const links = this.#around(replica, { clients: false });
    const rng = rngOf(fault);
    const until = monotonicMs() + fault.durationMs;
    while (monotonicMs() < until && !this.#signal.aborted) {
      for (const [from, to] of links) {
        if (rng.chance(LOSS_SHARE)) this.#victims.network.lose(from, to);
      }
      await this.#hold(LOSS_EVERY_MS);
    }
    return "";
  }

  async #flap(replica: number, fault: Fault): Promise<string> {
    const [share = 0] = fault.draws;
    const links = this.#around(replica, { clients: share < 0.5 });
    const rng = rngOf(fault);
    const until = monotonicMs() + fault.durationMs;
    while (monotonicMs() < until && !this.#signal.aborted) {
      await this.#cut(links, rng.between(FLAP_MS.min, FLAP_MS.max));
      await this.#hold(rng.between(FLAP_MS.min, FLAP_MS.max));
    }
    return "";
  }

  /** A full disk ends the replica with a status of its own, as soon as it needs more room. */
  async #fillDisk(replica: number, ms: number): Promise<string> {
    const { cell, disks } = this.#victims;
    const program = cell.program(replica);
    cell.expectEnd(replica);
    disks.fill(replica);
    const until = monotonicMs() + ms;
    while (program?.hasExited === false && monotonicMs() < until && !this.#signal.aborted) {
      await this.#hold(CLAIM_EVERY_MS);
    }
    disks.free(replica);
    if (program?.hasExited !== true) {
      cell.expectEnd(replica, false);
      return NO_ROOM_NEEDED;
    }
    const exit = await program.exited;
    if (exit.code !== ERROR_CODES.disk_full.exitCode) {
      cell.addCrash(replica, exit, program.lastLines.join("\n"));
    }
    return (await this.#startAgain(replica)) ?? "ended, and came back with room";
  }

  /** Damages a file between two starts: the replica mends it, needs it no more, or refuses to start. */
  async #damage(
    replica: number,
    fault: Fault,
    make: (directory: string) => Damage | undefined,
  ): Promise<string> {
    const { cell } = this.#victims;
    await cell.kill(replica);
    const damage = make(cell.dataDirectory(replica));
    await this.#hold(fault.durationMs);
    const mustMend = fault.kind === "damaged copy";
    const refused = await this.#startAgain(replica, mustMend ? undefined : damage);
    if (refused !== undefined) return refused;
    if (damage === undefined) return NO_DAMAGE;
    if (fault.kind === "damaged journal") {
      // Copies and snapshots are replaced; the journal's segments are read again at each start.
      this.#damaged.set(replica, [...(this.#damaged.get(replica) ?? []), damage]);
    }
    const described = describeDamage(damage);
    const { copies, others } = this.#namedWithinMs;
    const withinMs = mustMend ? copies : others;
    if (await this.#isNamed(replica, basename(damage.file), withinMs)) {
      return `named and mended: ${described}`;
    }
    if (mustMend) this.unmended.push(`Replica ${replica} did not mend ${described}.`);
    return `${NOT_NEEDED}: ${described}`;
  }

  async #isNamed(replica: number, file: string, timeoutMs: number): Promise<boolean> {
    const isThere = (): true | undefined =>
      this.#victims.cell.lines(replica).some((line) => line.includes(file)) || undefined;
    const describe = (): string => `${file} is not named`;
    // All that polling some lines can throw is that the time is over.
    return poll(isThere, { timeoutMs, describe }).catch(() => false);
  }

  async #killClient(client: number, ms: number): Promise<string> {
    await this.#victims.clients.kill(client);
    await this.#hold(ms);
    this.#victims.clients.start(client);
    return "";
  }

  #around(target: number, options: { clients: boolean }): Link[] {
    const { cell, clients } = this.#victims;
    const others = [...cell.replicas, ...(options.clients ? clients.endpoints : [])];
    return others.filter((other) => other !== target).flatMap((other) => bothWays(target, other));
  }

  /** Some clients are on the target's side: a master that does not know better serves them still. */
  #split(target: number, fault: Fault): Link[] {
    const { cell, clients } = this.#victims;
    const others = cell.replicas.filter((replica) => replica !== target);
    const links = clients.endpoints.flatMap((client, index) => {
      const isBeside = (fault.draws[index] ?? 0) < 0.5;
      return (isBeside ? others : [target]).flatMap((replica) => bothWays(client, replica));
    });
    return [...links, ...others.flatMap((other) => bothWays(target, other))];
  }

  /** A majority, each of it cut off from every replica: nobody anywhere has a quorum. */
  #withoutQuorum(target: number, fault: Fault): Link[] {
    const { replicas } = this.#victims.cell;
    const others = fault.order.filter((each) => each !== target);
    const alone = [target, ...others.slice(0, Math.floor(replicas.length / 2))];
    const isCut = (a: number, b: number): boolean => alone.includes(a) || alone.includes(b);
    return replicas.flatMap((a) =>
      replicas.flatMap((b): Link[] => (a !== b && isCut(a, b) ? [[a, b]] : [])),
    );
  }

  #oneWay(target: number, fault: Fault): Link[] {
    const [direction = 0, withClients = 0] = fault.draws;
    const links = this.#around(target, { clients: withClients < 0.3 });
    return links.filter(([from]) => (from === target) === direction < 0.5);
  }

  #between(target: number, fault: Fault): Link[] {
    const other = fault.order.find((each) => each !== target) ?? target;
    return bothWays(target, other);
  }
}

type Link = readonly [from: number, to: number];

function bothWays(a: number, b: number): Link[] {
  return [
    [a, b],
    [b, a],
  ];
}

function describeDamage({ file, how }: Damage): string {
  return `${basename(file)}, ${how}`;
}

/** Of a file that was damaged twice, the newest damage tells whether it was written since. */
function stillThere(damages: readonly Damage[]): readonly Damage[] {
  const newest = new Map(damages.map((damage) => [damage.file, damage]));
  const files = new Set([...newest.values()].flatMap((each) => (each.isThere() ? each.file : [])));
  return damages.filter(({ file }) => files.has(file));
}

/** For draws of which there are as many as the time allows. */
function rngOf({ draws }: Fault): Rng {
  return new Rng(draws.join());
}
