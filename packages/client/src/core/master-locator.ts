import { after, assert, earliest, type Instant, NEVER, type Rng } from "@cubby/base";
import type { ErrorCode, Located } from "@cubby/protocol";
import type { ConnectionId } from "./call.ts";
import { hasHostName, parseEndpoint } from "./cell-address.ts";
import {
  CONNECT_TIMEOUT_MS,
  ENDPOINTS_MAX,
  FAST_PROBE_MS_MIN,
  FAST_PROBE_PHASE_MS,
  IDLE_MASTER_MS,
  LASTING_MS,
  LOCATE_ANSWER_MS,
  LOOKUP_TIMEOUT_MS,
  PARALLEL_PROBES_MAX,
  PAST_EPOCH_MS,
  PROBES_PER_STEP,
  STRANGER_RETRY_MS,
  UPLOAD_MS_MAX,
} from "./limits.ts";
import { firstProbeDelayMs, probeDelayMs, reconnectDelayMs } from "./pacing.ts";

/** What the locator asks of the client around it. */
export interface LocatorHost {
  connect(address: string): ConnectionId;
  disconnect(connection: ConnectionId): void;
  sendLocate(connection: ConnectionId): void;
  /** When the connection last brought a byte. */
  lastHeardAt(connection: ConnectionId): Instant;
  /** How long what was sent on it before may keep a request on its way. */
  uploadMs(connection: ConnectionId): number;
  onMasterFound(now: Instant, connection: ConnectionId, epoch: number): void;
  onMasterLost(now: Instant): void;
}

type Endpoint = {
  readonly address: string;
  state: "idle" | "connecting" | "connected";
  connection: ConnectionId;
  connectBy: Instant;
  connectedAt: Instant;
  /** On this connection. */
  hasAnswered: boolean;
  retryAt: Instant;
  /** In a row: connections that were not made, or brought no answer. */
  failures: number;
  /** In a row: connections that brought an answer and then lasted a moment only. */
  breaks: number;
  lastProblem: { code: ErrorCode; detail: string } | undefined;
  /** When the unanswered Locate was sent, or undefined. */
  locateSentAt: Instant | undefined;
  /** Since when it has said that it is master and has served nothing, or undefined. */
  idleSince: Instant | undefined;
  /** When another one last had it asked out of turn, or undefined. */
  followedAt: Instant | undefined;
  /** It claimed to be master and then refused as none: until then it is not asked again. */
  quietUntil: Instant;
};

const NOT_LOOKED_UP = { code: "unreachable", detail: "the host name is still looked up" } as const;

/**
 * Finds the master and notices its loss (CELL-7). While none is known, several replicas are asked
 * at once and then a few more every few dozen milliseconds; a master that is named but cannot be
 * reached only delays its own next try, and the others are asked on.
 */
export class MasterLocator {
  readonly #host: LocatorHost;
  readonly #rng: Rng;
  /** Empty until it is known which cell this is. */
  #cellName: string;
  readonly #givenName: string;
  readonly #endpoints: Endpoint[] = [];
  /** So many of them, the first, are the user's own: those are never forgotten. */
  #given = 0;
  #isWanted = false;
  #master: Endpoint | undefined;
  #masterEpoch = 0;
  /**
   * The last epoch that a master was accepted with: one that claims less has been deposed. It goes
   * down only when the cell is taken to have begun anew.
   */
  #highestEpoch = 0;
  /** Since when masters have shown lower ones and none has been accepted, or undefined. */
  #pastEpochsSince: Instant | undefined;
  #seekingSince = 0 as Instant;
  #probeAt: Instant = NEVER;
  #probeSteps = 0;
  #slowSteps = 0;
  #nextProbed = 0;
  /** Replicas that have answered Locate since the search began, without naming a live master. */
  #masterlessAnswers = 0;

  constructor(host: LocatorHost, rng: Rng, addresses: readonly string[], cellName: string) {
    assert(addresses.length > 0, "there is a replica to ask");
    this.#host = host;
    this.#rng = rng;
    this.#cellName = cellName;
    this.#givenName = cellName;
    for (const address of addresses) this.#endpointOf(address);
    this.#given = this.#endpoints.length;
    // Clients with the same list do not all begin at its head.
    this.#nextProbed = rng.below(this.#endpoints.length);
  }

  get cellName(): string {
    return this.#cellName;
  }

  get master(): { connection: ConnectionId; epoch: number } | undefined {
    if (this.#master === undefined) return undefined;
    return { connection: this.#master.connection, epoch: this.#masterEpoch };
  }

  /** Someone needs the master, or nobody does any more: then every connection is closed. */
  setWanted(now: Instant, isWanted: boolean): void {
    if (isWanted === this.#isWanted) return;
    this.#isWanted = isWanted;
    if (isWanted) {
      // Of which cell the sessions before were says nothing of the one that is meant now.
      this.#cellName = this.#givenName;
      this.#seek(now);
      return;
    }
    this.#master = undefined;
    // Whoever comes next has no session yet: no master that was deposed can make one for him, and the
    // cell may have begun anew by then.
    this.#highestEpoch = 0;
    this.#probeAt = NEVER;
    for (const endpoint of this.#endpoints) this.#drop(endpoint);
  }

  /** The name of the host has been looked up: only now is the connection being made. */
  onLookedUp(now: Instant, connection: ConnectionId): void {
    const endpoint = this.#byConnection(connection);
    if (endpoint?.state !== "connecting") return;
    endpoint.connectBy = after(now, CONNECT_TIMEOUT_MS);
    if (endpoint.lastProblem === NOT_LOOKED_UP) endpoint.lastProblem = undefined;
  }

  onConnected(now: Instant, connection: ConnectionId): void {
    const endpoint = this.#byConnection(connection);
    if (endpoint === undefined) return;
    endpoint.state = "connected";
    endpoint.connectedAt = now;
    this.#locate(now, endpoint);
  }

  onDisconnected(now: Instant, connection: ConnectionId, code: ErrorCode, detail: string): void {
    const endpoint = this.#byConnection(connection);
    if (endpoint === undefined) return;
    this.#fail(now, endpoint, code, detail);
  }

  /** `epoch` is the one on the reply's envelope: 0 unless the replica is master. */
  onLocated(now: Instant, connection: ConnectionId, located: Located, epoch: number): void {
    const endpoint = this.#byConnection(connection);
    if (endpoint === undefined) return;
    endpoint.locateSentAt = undefined;
    endpoint.hasAnswered = true;
    endpoint.failures = 0;
    if (this.#cellName !== "" && located.cellName !== "" && located.cellName !== this.#cellName) {
      this.#refuseStranger(now, endpoint, located.cellName);
      return;
    }
    endpoint.lastProblem = undefined;
    if (this.#cellName === "") this.#cellName = located.cellName;
    for (const replica of located.replicas) this.#learn(replica.address);
    if (located.masterId !== 0 && located.masterId === located.replicaId) {
      this.#onMasterClaim(now, endpoint, epoch);
      return;
    }
    if (endpoint === this.#master) this.#lose(now);
    if (located.masterAddress === "") this.#masterlessAnswers += 1;
    else this.#follow(now, located.masterAddress);
  }

  /** Locate itself was refused: this replica cannot help now. */
  onLocateRefused(now: Instant, connection: ConnectionId, masterAddress: string): void {
    const endpoint = this.#byConnection(connection);
    if (endpoint === undefined) return;
    endpoint.locateSentAt = undefined;
    this.#masterlessAnswers += 1;
    if (endpoint === this.#master) this.#lose(now);
    if (masterAddress !== "") this.#follow(now, masterAddress);
  }

  /** A request was answered with not_master; the hint is empty when the replica knows of none. */
  onNotMaster(now: Instant, connection: ConnectionId, masterAddress: string): void {
    const endpoint = this.#byConnection(connection);
    if (endpoint === undefined || endpoint !== this.#master) return;
    // What it says of itself may be out of date for a moment: two such claims must not chase us.
    endpoint.quietUntil = after(now, firstProbeDelayMs(this.#rng));
    this.#lose(now);
    if (masterAddress !== "") this.#follow(now, masterAddress);
  }

  /** An answer is overdue: the master is to show that it lives, or is left. */
  checkMaster(now: Instant): void {
    if (this.#master !== undefined) this.#locate(now, this.#master);
  }

  onWake(now: Instant): void {
    if (!this.#isWanted) return;
    for (const endpoint of this.#endpoints) {
      if (endpoint.state === "connecting" && now >= endpoint.connectBy) {
        this.#giveUp(now, endpoint, "unreachable", "the connection was not made in time");
      } else if (this.#isSilent(now, endpoint)) {
        this.#giveUp(now, endpoint, "connection_lost", "it did not answer in time");
      }
    }
    if (this.#master === undefined && now >= this.#probeAt) this.#probe(now);
  }

  get wakeAt(): Instant {
    if (!this.#isWanted) return NEVER;
    let at: Instant = this.#master === undefined ? this.#probeAt : NEVER;
    for (const endpoint of this.#endpoints) {
      if (endpoint.state === "connecting") at = earliest(at, endpoint.connectBy);
      at = earliest(at, this.#silentAt(endpoint));
    }
    return at;
  }

  /** Why no master is known, for the error of whoever has waited in vain. */
  explain(): { code: ErrorCode; detail: string } {
    if (this.#master !== undefined) {
      return { code: "no_quorum", detail: `the master at ${this.#master.address} did not answer` };
    }
    const problems: string[] = [];
    let code: ErrorCode = this.#masterlessAnswers > 0 ? "no_quorum" : "unreachable";
    for (const { address, lastProblem } of this.#endpoints) {
      if (lastProblem === undefined) continue;
      problems.push(`${address}: ${lastProblem.detail}`);
      if (this.#masterlessAnswers > 0) continue;
      const says = lastProblem.code;
      // It is there, and says what is wrong: that tells more than others' silence.
      if (says === "handshake_failed" || (says === "overloaded" && code === "unreachable"))
        code = says;
    }
    const found = code === "no_quorum" ? "replicas answer, but none is master" : "no master found";
    return { code, detail: problems.length === 0 ? found : `${found} (${problems.join("; ")})` };
  }

  #onMasterClaim(now: Instant, endpoint: Endpoint, epoch: number): void {
    if (this.#isPast(now, epoch)) {
      this.#masterlessAnswers += 1;
      if (endpoint === this.#master) this.#lose(now);
      return;
    }
    if (this.#isIdleMaster(now, endpoint, epoch)) {
      this.#masterlessAnswers += 1;
      if (endpoint === this.#master) this.#lose(now);
      return;
    }
    if (epoch !== 0) this.#highestEpoch = epoch;
    // Also at epoch 0: it may serve for hours, and none of what was shown before it counts then.
    this.#pastEpochsSince = undefined;
    if (this.#master === endpoint && this.#masterEpoch === epoch) return;
    this.#master = endpoint;
    this.#masterEpoch = epoch;
    this.#probeAt = NEVER;
    // One connection is enough; the others would only cost the replicas.
    for (const other of this.#endpoints) {
      if (other !== endpoint) this.#drop(other);
    }
    this.#host.onMasterFound(now, endpoint.connection, epoch);
  }

  /**
   * A master shows its epoch while its lease is live. A past one was shown before another master was
   * elected and has been long on its way; or, if nothing else is shown for a while, the cell has begun
   * anew or was restored from a backup, and its epochs with it. Should that be wrong, nothing is lost
   * but time: a session speaks under its own epoch, and a master without a lease serves none.
   */
  #isPast(now: Instant, epoch: number): boolean {
    if (epoch === 0 || epoch >= this.#highestEpoch) return false;
    this.#pastEpochsSince ??= now;
    return now < after(this.#pastEpochsSince, PAST_EPOCH_MS);
  }

  /**
   * A master without a lease may have it in a moment, or may be one that was deposed and is cut off
   * from whoever could tell it so: after a while it is one answer among others, until it serves.
   */
  #isIdleMaster(now: Instant, endpoint: Endpoint, epoch: number): boolean {
    if (epoch !== 0) {
      endpoint.idleSince = undefined;
      return false;
    }
    endpoint.idleSince ??= now;
    return now >= after(endpoint.idleSince, IDLE_MASTER_MS);
  }

  #seek(now: Instant): void {
    this.#seekingSince = now;
    this.#probeSteps = 0;
    this.#slowSteps = 0;
    this.#masterlessAnswers = 0;
    this.#probe(now);
  }

  #lose(now: Instant): void {
    if (this.#master === undefined) return;
    this.#master = undefined;
    this.#host.onMasterLost(now);
    if (this.#isWanted) this.#seek(now);
  }

  /** One step of the search: the first asks several replicas at once, each later one a few. */
  #probe(now: Instant): void {
    const most = this.#probeSteps === 0 ? PARALLEL_PROBES_MAX : PROBES_PER_STEP;
    let asked = 0;
    for (let i = 0; i < this.#endpoints.length && asked < most; i += 1) {
      const endpoint = this.#endpoints[this.#nextProbed % this.#endpoints.length];
      this.#nextProbed = (this.#nextProbed + 1) % this.#endpoints.length;
      if (endpoint !== undefined && this.#ask(now, endpoint)) asked += 1;
    }
    const seekingForMs = now - this.#seekingSince;
    if (seekingForMs >= FAST_PROBE_PHASE_MS) this.#slowSteps += 1;
    this.#probeSteps += 1;
    this.#probeAt = after(now, probeDelayMs(this.#rng, seekingForMs, this.#slowSteps));
  }

  /** True when it could be asked now. */
  #ask(now: Instant, endpoint: Endpoint): boolean {
    if (now < endpoint.quietUntil) return false;
    if (endpoint.state === "connected") return this.#locate(now, endpoint);
    if (endpoint.state === "connecting" || now < endpoint.retryAt) return false;
    endpoint.state = "connecting";
    endpoint.hasAnswered = false;
    const mustLookUp = hasHostName(endpoint.address);
    if (mustLookUp) endpoint.lastProblem ??= NOT_LOOKED_UP;
    // A look-up cannot be given up: new attempts would only queue behind it.
    endpoint.connectBy = after(now, mustLookUp ? LOOKUP_TIMEOUT_MS : CONNECT_TIMEOUT_MS);
    endpoint.connection = this.#host.connect(endpoint.address);
    return true;
  }

  #locate(now: Instant, endpoint: Endpoint): boolean {
    if (endpoint.locateSentAt !== undefined) return false;
    endpoint.locateSentAt = now;
    this.#host.sendLocate(endpoint.connection);
    return true;
  }

  /**
   * A replica named the master: look there now, unless that was tried a moment ago. While an election
   * goes on two replicas may name each other, and would be asked for as long as they do.
   */
  #follow(now: Instant, address: string): void {
    const endpoint = this.#learn(address);
    if (endpoint === undefined || this.#master !== undefined) return;
    // What this answer took the master from may have been the last session.
    if (!this.#isWanted) return;
    const { followedAt } = endpoint;
    if (followedAt !== undefined && now < after(followedAt, FAST_PROBE_MS_MIN)) return;
    if (this.#ask(now, endpoint)) endpoint.followedAt = now;
  }

  /** When the answer to the Locate is overdue. */
  #silentAt({ connection, locateSentAt }: Endpoint): Instant {
    if (locateSentAt === undefined) return NEVER;
    const uploadMs = Math.min(this.#host.uploadMs(connection), UPLOAD_MS_MAX);
    return after(locateSentAt, LOCATE_ANSWER_MS + uploadMs);
  }

  #isSilent(now: Instant, endpoint: Endpoint): boolean {
    const { locateSentAt } = endpoint;
    if (locateSentAt === undefined || now < this.#silentAt(endpoint)) return false;
    if (this.#host.lastHeardAt(endpoint.connection) <= locateSentAt) return true;
    // It is slow, not dead: other answers, or parts of them, came meanwhile.
    endpoint.locateSentAt = undefined;
    return false;
  }

  #giveUp(now: Instant, endpoint: Endpoint, code: ErrorCode, detail: string): void {
    this.#host.disconnect(endpoint.connection);
    this.#fail(now, endpoint, code, detail);
  }

  #fail(now: Instant, endpoint: Endpoint, code: ErrorCode, detail: string): void {
    const wasMaster = endpoint === this.#master;
    const { hasAnswered, connectedAt } = endpoint;
    if (!hasAnswered) endpoint.failures += 1;
    // One that breaks as soon as it is used would be made again and again, with all calls on it.
    else endpoint.breaks = now < after(connectedAt, LASTING_MS) ? endpoint.breaks + 1 : 1;
    const attempts = hasAnswered ? endpoint.breaks : endpoint.failures;
    endpoint.state = "idle";
    endpoint.connection = 0;
    endpoint.locateSentAt = undefined;
    endpoint.lastProblem = { code, detail };
    endpoint.retryAt = after(now, reconnectDelayMs(this.#rng, attempts));
    if (wasMaster) this.#lose(now);
  }

  #refuseStranger(now: Instant, endpoint: Endpoint, cellName: string): void {
    const detail = `it serves the cell "${cellName}", not "${this.#cellName}"`;
    this.#giveUp(now, endpoint, "handshake_failed", detail);
    endpoint.retryAt = after(now, STRANGER_RETRY_MS);
  }

  #drop(endpoint: Endpoint): void {
    if (endpoint.state !== "idle") this.#host.disconnect(endpoint.connection);
    if (endpoint.hasAnswered) endpoint.breaks = 0;
    if (endpoint.lastProblem === NOT_LOOKED_UP) endpoint.lastProblem = undefined;
    endpoint.state = "idle";
    endpoint.connection = 0;
    endpoint.locateSentAt = undefined;
  }

  #learn(address: string): Endpoint | undefined {
    const normal = parseEndpoint(address);
    return normal === undefined ? undefined : this.#endpointOf(normal);
  }

  #endpointOf(address: string): Endpoint | undefined {
    const known = this.#endpoints.find((endpoint) => endpoint.address === address);
    if (known !== undefined) return known;
    let at = this.#endpoints.length;
    if (at >= ENDPOINTS_MAX) at = this.#worst();
    if (at === -1) return undefined;
    const endpoint: Endpoint = {
      address,
      state: "idle",
      connection: 0,
      connectBy: NEVER,
      connectedAt: NEVER,
      hasAnswered: false,
      retryAt: 0 as Instant,
      failures: 0,
      breaks: 0,
      lastProblem: undefined,
      locateSentAt: undefined,
      idleSince: undefined,
      followedAt: undefined,
      quietUntil: 0 as Instant,
    };
    this.#endpoints[at] = endpoint;
    return endpoint;
  }

  /**
   * Of those learned, the one that has failed most often in a row and is not tried now; -1: none has.
   * Liveness: replicas may move for as long as the client runs, and where they were nobody answers.
   */
  #worst(): number {
    let worst = -1;
    let most = 0;
    for (const [at, { state, failures }] of this.#endpoints.entries()) {
      if (at < this.#given || state !== "idle" || failures <= most) continue;
      worst = at;
      most = failures;
    }
    return worst;
  }

  #byConnection(connection: ConnectionId): Endpoint | undefined {
    return this.#endpoints.find(
      (endpoint) => endpoint.state !== "idle" && endpoint.connection === connection,
    );
  }
}
