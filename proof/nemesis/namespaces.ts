import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { isAlive } from "../../packages/cli/src/process/is-alive.ts";
import { poll } from "../../packages/cli/src/process/sleep.ts";
import type { Address, Endpoint, Network } from "./network.ts";
import type { FaultKind } from "./schedule.ts";

const PORTS = { session: 7_070, peer: 7_071 } as const;
const PREFIX = "cubby-nemesis-";
/** Nobody has it: frames to it leave, and arrive nowhere. */
const NOWHERE = "02:cb:00:00:ff:ff";
/** Of one burst of lost packets; TCP repeats them after 200 ms or more. */
const LOSS_MS = 25;
/** What is written to an `ip` is done within milliseconds. */
const DONE_WITHIN_MS = 5_000;
const NETEM = ["netem", "delay", "60ms", "30ms"];
/** Slower than a busy replica sends: its packets queue, and the queue overflows. */
const BUCKET = ["tbf", "rate", "600kbit", "burst", "8kb", "latency", "250ms"];

/**
 * One network namespace for each endpoint, and one with the bridge between them: real packets and
 * real TCP, and nothing of it on this machine's own network. A directed link is cut by giving its
 * start a wrong hardware address of its end, which no program can notice.
 */
export class Namespaces implements Network {
  readonly kind = "namespaces";
  readonly lacks: ReadonlyMap<FaultKind, string>;
  readonly description: string;
  readonly #name: string;
  readonly #endpoints: readonly Endpoint[];
  /** One `ip` for each namespace, which reads commands: starting one for each would be slow. */
  readonly #shells = new Map<Endpoint, ChildProcess>();
  readonly #slowing: readonly string[];
  readonly #cut = new Set<string>();
  #problem: string | undefined;
  #isClosing = false;

  private constructor(name: string, endpoints: readonly Endpoint[]) {
    this.#name = name;
    this.#endpoints = endpoints;
    this.#create();
    const slowing = [NETEM, BUCKET].find((how) => succeeds("tc", this.#slowCommand("add", how)));
    if (slowing !== undefined) run("tc", this.#slowCommand("del", []));
    this.#slowing = slowing ?? [];
    this.lacks = new Map(slowing === undefined ? [["slow link", "no netem and no tbf here"]] : []);
    this.description = `network namespaces; a slow link is tc ${this.#slowing.join(" ")}`;
    // Last: all that is before it may throw, and nobody would end them.
    this.#startShells();
  }

  /** Why this machine cannot do it, or the network. */
  static async create(endpoints: readonly Endpoint[]): Promise<Namespaces | string> {
    if (process.getuid?.() !== 0) return "not root";
    if (!succeeds("ip", ["-V"]) || !succeeds("tc", ["-V"])) return "no ip and tc (iproute2)";
    removeStale();
    const name = `${PREFIX}${process.pid}`;
    let spaces: Namespaces | undefined;
    try {
      spaces = new Namespaces(name, endpoints);
      await spaces.#tryCuts();
      return spaces;
    } catch (error) {
      // What has been started would keep this process from ending.
      if (spaces !== undefined) await spaces.close();
      else remove(name, endpoints);
      return error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    }
  }

  /** With an `ip` that has ended, as it does when a command is refused, a fault would be counted, and be none. */
  get problem(): string | undefined {
    return this.#problem;
  }

  prefix(endpoint: Endpoint): readonly string[] {
    return ["ip", "netns", "exec", this.#space(endpoint)];
  }

  address(replica: Endpoint, lane: "session" | "peer"): Address {
    return { host: hostOf(replica), port: PORTS[lane] };
  }

  peerAddress(_from: Endpoint, to: Endpoint): Address {
    return this.address(to, "peer");
  }

  cut(from: Endpoint, to: Endpoint): void {
    this.#cut.add(`${from}>${to}`);
    this.#point(from, to, NOWHERE);
  }

  heal(from: Endpoint, to: Endpoint): void {
    this.#cut.delete(`${from}>${to}`);
    this.#point(from, to, hardwareOf(to));
  }

  lose(from: Endpoint, to: Endpoint): void {
    this.#point(from, to, NOWHERE);
    setTimeout(() => {
      if (!this.#cut.has(`${from}>${to}`)) this.#point(from, to, hardwareOf(to));
    }, LOSS_MS);
  }

  slow(replica: Endpoint, isSlow: boolean): void {
    const space = ["-n", this.#space(replica), "qdisc"];
    const how = isSlow ? ["replace", ...ROOT, ...this.#slowing] : ["del", ...ROOT];
    run("tc", [...space, ...how]);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const shell of this.#shells.values()) shell.stdin?.end();
    await Promise.all(
      [...this.#shells.values()].map(async (shell) => {
        if (shell.exitCode !== null || shell.signalCode !== null) return;
        await new Promise((resolve) => shell.once("exit", resolve));
      }),
    );
    remove(this.#name, this.#endpoints);
  }

  #create(): void {
    const hub = `${this.#name}-hub`;
    run("ip", ["netns", "add", hub]);
    run("ip", ["-n", hub, "link", "add", "bridge", "type", "bridge"]);
    run("ip", ["-n", hub, "link", "set", "bridge", "up"]);
    for (const endpoint of this.#endpoints) {
      const space = this.#space(endpoint);
      const port = `port${endpoint}`;
      run("ip", ["netns", "add", space]);
      const near = ["eth0", "netns", space, "address", hardwareOf(endpoint)];
      run("ip", ["link", "add", ...near, "type", "veth", "peer", "name", port, "netns", hub]);
      run("ip", ["-n", hub, "link", "set", port, "master", "bridge", "up"]);
      run("ip", ["-n", space, "link", "set", "lo", "up"]);
      run("ip", ["-n", space, "address", "add", `${hostOf(endpoint)}/24`, "dev", "eth0"]);
      run("ip", ["-n", space, "link", "set", "eth0", "up"]);
    }
  }

  #startShells(): void {
    for (const endpoint of this.#endpoints) {
      // Without -force, with which it goes on after some commands that it has refused.
      const shell = spawn("ip", ["-n", this.#space(endpoint), "-batch", "-"], {
        stdio: ["pipe", "ignore", "pipe"],
        detached: true,
      });
      let said = "";
      shell.on("error", () => undefined);
      shell.stdin?.on("error", () => undefined);
      shell.stderr?.on("data", (chunk) => {
        said += String(chunk);
      });
      shell.once("close", () => {
        if (this.#isClosing) return;
        const [why = ""] = said.split("\n");
        this.#problem ??= `the ip of endpoint ${endpoint} ended${why === "" ? "" : `: ${why}`}`;
      });
      this.#shells.set(endpoint, shell);
    }
    for (const from of this.#endpoints) {
      for (const to of this.#endpoints) if (from !== to) this.#point(from, to, hardwareOf(to));
    }
  }

  /** One link of each endpoint is cut and healed, and the kernel asked whether it was. */
  async #tryCuts(): Promise<void> {
    for (const from of this.#endpoints) {
      const to = this.#endpoints.find((each) => each !== from) ?? from;
      this.cut(from, to);
      await this.#pointed(from, to, NOWHERE);
      this.heal(from, to);
      await this.#pointed(from, to, hardwareOf(to));
    }
  }

  async #pointed(from: Endpoint, to: Endpoint, hardware: string): Promise<void> {
    const show = ["-n", this.#space(from), "neigh", "show", hostOf(to)];
    const isThere = (): boolean =>
      execFileSync("ip", show, { encoding: "utf8" }).includes(hardware);
    await poll(() => isThere() || undefined, {
      timeoutMs: DONE_WITHIN_MS,
      describe: () => "ip cuts no links",
    });
  }

  #point(from: Endpoint, to: Endpoint, hardware: string): void {
    const neighbor = `neigh replace ${hostOf(to)} lladdr ${hardware} dev eth0 nud permanent`;
    this.#shells.get(from)?.stdin?.write(`${neighbor}\n`);
  }

  #slowCommand(verb: string, how: readonly string[]): string[] {
    return ["-n", this.#space(this.#endpoints[0] ?? 0), "qdisc", verb, ...ROOT, ...how];
  }

  #space(endpoint: Endpoint): string {
    return `${this.#name}-${endpoint}`;
  }
}

const ROOT = ["dev", "eth0", "root"];

function hostOf(endpoint: Endpoint): string {
  return `10.231.0.${endpoint}`;
}

function hardwareOf(endpoint: Endpoint): string {
  return `02:cb:00:00:00:${endpoint.toString(16).padStart(2, "0")}`;
}

/** Those of a run that was killed before it could clean up. */
function removeStale(): void {
  const names = execFileSync("ip", ["netns", "list"], { encoding: "utf8" }).split("\n");
  for (const line of names) {
    const name = line.split(" ")[0] ?? "";
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) succeeds("ip", ["netns", "delete", name]);
  }
}

function remove(name: string, endpoints: readonly Endpoint[]): void {
  // A link goes with either of its ends.
  for (const each of ["hub", ...endpoints]) succeeds("ip", ["netns", "delete", `${name}-${each}`]);
}

function run(command: string, args: readonly string[]): void {
  execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"] });
}

function succeeds(command: string, args: readonly string[]): boolean {
  try {
    run(command, args);
    return true;
  } catch {
    return false;
  }
}
