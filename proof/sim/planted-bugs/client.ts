import type { PlantedBug } from "../planted-bug.ts";

const SESSION = "packages/client/src/core/session-machine.ts";
const LEASE = "packages/client/src/core/session-lease.ts";
const TABLE = "packages/client/src/core/request-table.ts";
const CALL = "packages/client/src/core/call.ts";
const CALLS = "packages/client/src/core/session-calls.ts";

/** The core of the client library. */
export const CLIENT_BUGS: readonly PlantedBug[] = [
  {
    name: "client-lease-from-the-reply",
    class: "P26",
    file: SESSION,
    find: "this.#lease.extend(now, control.sentAt, kept.leaseMs, kept.heldMs);",
    replace: "this.#lease.extend(now, now, kept.leaseMs, 0);",
    why: "the client counts its lease from when the KeepAlive's answer comes",
    expects: [16, 18],
  },
  {
    name: "client-lease-without-drift",
    class: "P26",
    file: LEASE,
    find: "const spanMs = Math.floor((held + lease) * (1 - CLOCK_RATE_ERROR)) - 1;",
    replace: "const spanMs = Math.floor((held + lease) * (1 + CLOCK_RATE_ERROR));",
    why: "the client relies on its session for as long as the master keeps it, whatever their clocks",
    expects: [16, 18],
  },
  {
    name: "client-lease-survives-suspend",
    class: "P26",
    file: SESSION,
    find: "this.#lease.voidAt(now);",
    replace: "",
    why: "a client that was suspended relies on its session where its clock stopped",
    expects: [16, 18],
  },
  {
    name: "held-after-the-deadline",
    class: "P26",
    file: LEASE,
    find: `get deadline(): Instant {
    return this.#deadline;`,
    replace: `get deadline(): Instant {
    return after(this.#deadline, 1_500);`,
    why: "a lock counts as held for a while after the session's lease is over",
    expects: [16, 18],
    isQuick: true,
  },
  {
    name: "retries-under-a-new-number",
    class: "P18",
    file: TABLE,
    find: "for (const call of this.inFlight()) this.markUnsent(call);",
    replace: `for (const call of [...this.inFlight()]) {
      if (call.body.$case === "setContents") this.renumber(call);
      else this.markUnsent(call);
    }`,
    why: "after a lost connection a write is sent again as another request",
    expects: [9, 10],
  },
  {
    name: "timeout-called-not-applied",
    class: "P18",
    file: CALL,
    find: 'return this.traits.mutating && this.doubtfulSends > 0 ? "unknown" : "not-applied";',
    replace: 'return "not-applied";',
    why: "a call that was given up is said not to have happened, though it may",
    expects: [10, 9],
    isQuick: true,
  },
  {
    name: "refusal-clears-all-doubt",
    class: "P18",
    file: CALLS,
    find: 'if (ERROR_CODES[code].outcome === "not-applied") call.doubtfulSends -= 1;',
    replace: "call.doubtfulSends = 0;",
    why: "a refusal of the last send is taken for one of all sends before it",
    expects: [10, 9],
  },
  {
    name: "unanswered-called-answered",
    class: "P19",
    file: TABLE,
    find: "lowestUnanswered(): number {\n    return this.#lowest;",
    replace: "lowestUnanswered(): number {\n    return this.#nextNumber - 1;",
    why: "the client lets go of results that it has not got yet",
    expects: [10, 23, 9],
  },
  {
    name: "idle-master-believed",
    class: "P8",
    file: "packages/client/src/core/master-locator.ts",
    find: "return now >= after(endpoint.idleSince, IDLE_MASTER_MS);",
    replace: "return now < 0;",
    why: "a deposed master that cannot hear of it keeps its clients, and serves none of them",
    expects: [23],
  },
  {
    name: "redirect-storm",
    class: "storm",
    file: "packages/client/src/core/master-locator.ts",
    find: "endpoint.quietUntil = after(now, firstProbeDelayMs(this.#rng));",
    replace: "",
    why: "a client goes round between a replica that says it is master and its refusals as none",
    expects: [23],
    also: [
      {
        file: "packages/cell/src/cell.ts",
        find: "this.#depose(this.#masterId === this.#options.replicaId ? undefined : this.#masterId);",
        replace: "this.#depose(this.#masterId);",
      },
      {
        file: "packages/paxos/src/host-reports.ts",
        find: "      if (restoring) return;\n",
        replace: "",
      },
    ],
  },
  {
    name: "overloaded-master-asked-at-once",
    class: "storm",
    file: CALLS,
    find: "call.repeatAt = after(now, repeatDelayMs(this.#rng, call.refusals));",
    replace: "",
    why: "a call that was refused for want of room is repeated at once, again and again",
    expects: [23],
  },
  {
    name: "fail-over-not-acknowledged",
    class: "P8",
    file: SESSION,
    find: "acknowledgedEpoch: this.#acknowledgedEpoch,",
    replace: "acknowledgedEpoch: this.#createdEpoch,",
    why: "the client never tells a new master that it has heard of it, and is served no more",
    expects: [23],
  },
  {
    name: "acquire-behind-a-release-never-sent",
    class: "P24",
    file: "packages/client/src/core/release-order.ts",
    find: "return unanswered.behind;",
    replace: "return [];",
    why: "an Acquire that is made before the Release of its handle is answered waits for ever",
    expects: [23],
  },
];
