import type { PlantedBug } from "../planted-bug.ts";

const GRANTOR = "packages/paxos/src/lease-grantor.ts";
const MASTER_LEASE = "packages/paxos/src/master-lease.ts";
const LEADER = "packages/paxos/src/leader.ts";
const KEEP_ALIVE = "packages/cell/src/master/keep-alive.ts";
const MASTER = "packages/cell/src/master/master.ts";
const REPLICA = "packages/server/src/core/replica.ts";

/** The master lease and the leases of sessions, on the servers' side. */
export const LEASE_BUGS: readonly PlantedBug[] = [
  {
    name: "master-lease-from-the-reply",
    class: "lease",
    file: MASTER_LEASE,
    find: "if (this.#until === undefined || round.until > this.#until) this.#until = round.until;",
    replace: `const until = after(now, round.until - round.sentAt);
    if (this.#until === undefined || until > this.#until) this.#until = until;`,
    why: "a master counts its lease from when the grants arrive",
    expects: [8, 9],
    also: [
      {
        file: MASTER_LEASE,
        find: "onGrant(from: ReplicaId, leaseRound: number): void {",
        replace: "onGrant(from: ReplicaId, leaseRound: number, now: Instant): void {",
      },
      {
        file: MASTER_LEASE,
        find: "      leaseRound: this.#leaseRound,\n      until:",
        replace: "      leaseRound: this.#leaseRound,\n      sentAt: now,\n      until:",
      },
      {
        file: MASTER_LEASE,
        find: "filter((round) => round.until > now)",
        replace: "filter((round) => round.until + 5_000 > now)",
      },
      {
        file: LEADER,
        find: "onGrant(from: ReplicaId, message: LeaseGrantMessage): void {",
        replace: "onGrant(from: ReplicaId, message: LeaseGrantMessage, now: Instant): void {",
      },
      {
        file: LEADER,
        find: "this.lease.onGrant(from, message.leaseRound);",
        replace: "this.lease.onGrant(from, message.leaseRound, now);",
      },
      {
        file: "packages/paxos/src/paxos-replica.ts",
        find: "this.#leader?.onGrant(from, message);",
        replace: "this.#leader?.onGrant(from, message, now);",
      },
      {
        file: "packages/paxos/src/lease-protocol.ts",
        find: "leader.lease.onGrant(self, leaseRound);",
        replace: "leader.lease.onGrant(self, leaseRound, now);",
      },
    ],
  },
  {
    name: "master-lease-without-drift",
    class: "lease",
    file: GRANTOR,
    find: "return Math.ceil((leaseMs * (1000 + driftPerMille)) / 1000) + 1;",
    replace: "return Math.ceil((leaseMs * (1000 - driftPerMille)) / 1000) + 1;",
    why: "a grant binds its giver no longer than the master may believe in it, whatever their clocks",
    expects: [8, 9],
  },
  {
    name: "grants-not-waited-out-after-restart",
    class: "lease",
    file: GRANTOR,
    find: "grantMaxMs === 0 || alone",
    replace: "grantMaxMs >= 0 || alone",
    why: "an acceptor that restarted promises at once, whatever it granted before",
    expects: [8, 9],
  },
  {
    name: "promises-despite-a-grant",
    class: "lease",
    file: GRANTOR,
    find: "return grant.until > this.#restartUntil ? grant.until : this.#restartUntil;",
    replace: "return this.#restartUntil;",
    why: "an acceptor promises another ballot while its grant lasts",
    expects: [8, 9],
    isQuick: true,
  },
  {
    name: "grant-of-another-ballot",
    class: "lease",
    file: LEADER,
    find: "if (sameBallot(message.ballot, this.ballot)) this.lease.onGrant(from, message.leaseRound);",
    replace: "this.lease.onGrant(from, message.leaseRound);",
    why: "a grant for an older ballot counts for the same round of the present one",
    expects: [8, 9],
  },
  {
    name: "release-of-another-ballot",
    class: "lease",
    file: GRANTOR,
    find: "if (grant === undefined || !sameBallot(grant.ballot, ballot)) return;",
    replace: "if (grant === undefined) return;",
    why: "a deposed master's release ends the grant that its successor holds",
    expects: [8, 9],
    also: [
      {
        file: GRANTOR,
        find: "if (compareBallots(ballot, this.#released.ballot) < 0) return;",
        replace: "",
      },
    ],
  },
  {
    name: "lease-trusted-after-suspend",
    class: "lease",
    file: REPLICA,
    find: 'this.#engine.step(now, { kind: "voidLease" });',
    replace: "",
    why: "a master that was suspended goes on with its lease where its clock stopped",
    expects: [8, 9],
  },
  {
    name: "open-rounds-survive-suspend",
    class: "lease",
    file: MASTER_LEASE,
    find: `void(): void {
    this.#open = [];`,
    replace: "void(): void {",
    why: "a lease round sent before a suspend counts when its grants arrive after it",
    expects: [8, 9],
  },
  {
    name: "deposed-master-reads",
    class: "P8",
    file: MASTER,
    find: "if (this.#serving === undefined || !this.#clock.isLeaseLive(now)) {",
    replace: `const isRead = request.call?.$case === "getContentsAndStat";
    if (this.#serving === undefined || (!isRead && !this.#clock.isLeaseLive(now))) {`,
    why: "a master without a lease, which may have been replaced, answers reads",
    expects: [9],
    also: [
      {
        file: "packages/cell/src/master/answers.ts",
        find: "this.#answer(call, result, this.#clock.leaseUntil);",
        replace: "this.#answer(call, result, NEVER);",
      },
    ],
  },
  {
    name: "serves-before-its-epoch",
    class: "P8",
    file: MASTER,
    find: `        keyMaterial: options.keyMaterial,
        quotas: this.#quotas(),
      },
    });`,
    replace: `        keyMaterial: options.keyMaterial,
        quotas: this.#quotas(),
      },
    });
    this.#serve(mastership.now);`,
    why: "a new master serves before its own epoch entry is applied, and so before all older ones are",
    expects: [9],
  },
  {
    name: "session-lease-from-the-arrival",
    class: "P22",
    file: KEEP_ALIVE,
    find: "const end = this.#clock.read(now) + masterLeaseMs(session.leaseMs, heldMs);",
    replace:
      "const end = this.#clock.read(session.keepAliveAt) + masterLeaseMs(session.leaseMs, 0);",
    why: "the master counts a session's lease from when the KeepAlive came, and not from its answer",
    expects: [18],
    isQuick: true,
  },
  {
    name: "session-lease-without-drift",
    class: "P22",
    file: KEEP_ALIVE,
    find: "return leaseMs + Math.ceil((leaseMs + heldMs) * CLOCK_RATE_ERROR);",
    replace: "return leaseMs - Math.ceil((leaseMs + heldMs) * CLOCK_RATE_ERROR);",
    why: "the master keeps a session no longer than its client may rely on it, whatever their clocks",
    expects: [18],
  },
  {
    name: "held-time-on-the-master-s-clock",
    class: "P22",
    file: KEEP_ALIVE,
    find: "return leaseMs + Math.ceil((leaseMs + heldMs) * CLOCK_RATE_ERROR);",
    replace: "return leaseMs + Math.ceil(leaseMs * CLOCK_RATE_ERROR) + 0 * heldMs;",
    why: "what a fast master says that it held a KeepAlive for is taken for true time",
    expects: [18],
  },
  {
    name: "fail-over-cuts-leases-short",
    class: "P22",
    file: MASTER,
    find: "const master = new MasterSession(session, now, false, state.leaseMsMaxOf(session));",
    replace: `const shortMs = Math.floor(state.leaseMsMaxOf(session) / 4);
      const master = new MasterSession(session, now, false, shortMs);`,
    why: "a new master gives sessions less than its predecessor may have granted",
    expects: [18],
  },
  {
    name: "keep-alive-after-expiry-decision",
    class: "P21",
    file: MASTER,
    find: "} else if (session === undefined || session.isCondemned) {",
    replace: "} else if (session === undefined) {",
    why: "a KeepAlive is answered although the session's expiry has been decided",
    expects: [18, 0],
  },
  {
    name: "expiry-forgotten",
    class: "P22",
    file: MASTER,
    find: "if (session.session.openerCount > 0 && !gate.isOpen) gate.holdExpiry(session);",
    replace: "if (session.session.openerCount > 0) return;",
    why: "the expiry of a session with ephemeral nodes is decided and never carried out",
    expects: [18],
  },
  {
    name: "reads-keep-no-lease",
    class: "P7",
    file: "packages/cell/src/master/session-clock.ts",
    find: "return now < this.#leaseUntil;",
    replace: "return now < after(this.#leaseUntil, 2_000);",
    why: "a deposed master goes on with reads and expiries for two more seconds",
    expects: [8, 9],
  },
  {
    name: "instants-of-32-bits",
    class: "P28",
    file: "packages/base/src/instant.ts",
    find: "return instant(sum);",
    replace: "return instant(sum | 0);",
    why: "an instant is computed in 32 bits, which a machine passes that is up for 25 days",
    expects: [0, 23, 22, 18, 8],
    isQuick: true,
  },
];
