import type { PlantedBug } from "../planted-bug.ts";

const REPLICA = "packages/paxos/src/paxos-replica.ts";
const ACCEPTOR = "packages/paxos/src/acceptor.ts";
const FOLLOWER = "packages/paxos/src/follower.ts";
const LEADER = "packages/paxos/src/leader.ts";
const REPLICATION = "packages/paxos/src/replication.ts";
const ELECTION = "packages/paxos/src/ballot-leader-election.ts";
const CATCH_UP = "packages/paxos/src/catch-up.ts";

/** Ballots, promises, logs and snapshots of the log engine. */
export const CONSENSUS_BUGS: readonly PlantedBug[] = [
  {
    name: "promise-before-durable",
    class: "P2",
    file: REPLICA,
    find: "this.#outbox.vouch(to, promise, this.#acceptor.stateIndex);",
    replace: "this.#outbox.send(to, promise);",
    why: "a promise leaves before its record is on the disk",
    expects: [3, 1],
  },
  {
    name: "accepted-before-durable",
    class: "P2",
    file: FOLLOWER,
    find: 'this.#outbox.vouch(to, { kind: "accepted", ballot, length }, logIndex);',
    replace: 'this.#outbox.send(to, { kind: "accepted", ballot, length });',
    why: "a follower says accepted before its log is on the disk",
    expects: [2, 1],
    isQuick: true,
  },
  {
    name: "leader-counts-itself-early",
    class: "P2",
    file: REPLICATION,
    find: "insertDescending(lengths, acceptor.durableLength);",
    replace: "insertDescending(lengths, acceptor.length);",
    why: "a leader counts its own acceptance before its own write is durable",
    expects: [2, 1],
  },
  {
    name: "promise-forgotten-on-restart",
    class: "P3",
    file: "packages/paxos/src/recovery.ts",
    find: "promised: maxBallot(this.#promised, this.#acceptedBallot),",
    replace: "promised: this.#acceptedBallot,",
    why: "after a restart only what was accepted counts as promised",
    expects: [3, 4],
  },
  {
    name: "wiped-acceptor-votes",
    class: "P3",
    file: "packages/paxos/src/genesis.ts",
    find: "if (named?.incarnation !== this.#incarnation) return;",
    replace: `if (named?.incarnation !== this.#incarnation) {
      this.#record(now, members, true);
      return;
    }`,
    why: "a directory that was formatted anew votes under its old replica id, unchecked by its peers",
    expects: [3, 4, 0, 24],
    also: [
      {
        file: REPLICA,
        find: "const known = recorded === undefined || recorded === incarnation;",
        replace: "const known = true;",
      },
    ],
  },
  {
    name: "ballot-reused",
    class: "P4",
    file: LEADER,
    find: "for (const peer of settings.peers) outbox.vouch(peer, this.#prepare, acceptor.promisedIndex);",
    replace: "for (const peer of settings.peers) outbox.send(peer, this.#prepare);",
    why: "a prepare leaves before its ballot is durable, so a later life may use the same one",
    expects: [4, 3],
  },
  {
    name: "old-ballot-accepts-count",
    class: "P1",
    file: REPLICATION,
    find: "if (sameBallot(promise.acceptedBallot, this.ballot)) {",
    replace: "if (promise.length > 0) {",
    why: "what a follower accepted in an older ballot counts as accepted in the leader's",
    expects: [1, 2, 23],
  },
  {
    name: "longest-log-wins",
    class: "P1",
    file: "packages/paxos/src/prepare-phase.ts",
    find: "const byBallot = compareBallots(promise.acceptedBallot, best.promise.acceptedBallot);",
    replace: "const byBallot = 0;",
    why: "a new leader adopts the longest log, whatever ballot it was accepted in",
    expects: [1, 0],
  },
  {
    name: "no-log-adopted",
    class: "P1",
    file: LEADER,
    find: "const { from, promise } = this.#phase1.freshest();",
    replace: `const { promise } = this.#phase1.freshest();
    const from = this.#settings.self;`,
    why: "a new leader goes on with its own log, though a promise told of a fresher one",
    expects: [1, 0],
  },
  {
    name: "quorum-off-by-one",
    class: "P1",
    file: "packages/paxos/src/options.ts",
    find: "quorum: Math.floor(members.length / 2) + 1,",
    replace: "quorum: Math.max(1, Math.floor(members.length / 2)),",
    why: "half of the replicas, less one half, are taken for a quorum",
    expects: [1, 2, 8],
    isQuick: true,
  },
  {
    name: "hole-closed-up",
    class: "P14",
    file: FOLLOWER,
    find: `if (skip < 0) {
      this.#askAgain(now, from);
      return;
    }`,
    replace: "",
    why: "an accept that leaves a hole is appended to the log as if there were none",
    expects: [1, 0],
    isQuick: true,
    also: [
      {
        file: FOLLOWER,
        find: "const entries = skip === 0 ? message.entries : message.entries.slice(skip);",
        replace: "const entries = skip <= 0 ? message.entries : message.entries.slice(skip);",
      },
    ],
  },
  {
    name: "chosen-before-synchronised",
    class: "P14",
    file: FOLLOWER,
    find: `if (!this.#isSynchronised()) {
      this.#follow(now, from);
      return;
    }
    this.#acceptor.choose(message.chosen);`,
    replace: `this.#acceptor.choose(message.chosen);
    if (!this.#isSynchronised()) {
      this.#follow(now, from);
      return;
    }`,
    why: "a follower believes the leader's chosen index before its log is the leader's",
    expects: [1, 0],
  },
  {
    name: "crash-between-truncation-and-suffix",
    class: "P14",
    file: ACCEPTOR,
    find: 'this.#wroteLog(this.#outbox.record(now, { kind: "synchronised", ballot, firstSlot, entries }));',
    replace: `this.#outbox.record(now, { kind: "synchronised", ballot, firstSlot, entries: [] });
    this.#wroteLog(this.#outbox.record(now, { kind: "appended", ballot, firstSlot, entries }));`,
    why: "a log is cut and filled up by two records, each with a write of its own",
    expects: [1, 2],
    also: [
      {
        file: "packages/server/src/core/journal.ts",
        find: "for (; count < this.#pending.length; count += 1) {",
        replace: "for (; count < 1; count += 1) {",
      },
    ],
  },
  {
    name: "learned-slots-drop-accepted",
    class: "P14",
    file: "packages/paxos/src/entry-log.ts",
    find: "this.append(beyond);",
    replace: "",
    why: "slots that are learned take away what was accepted behind them",
    expects: [1, 2, 3],
  },
  {
    name: "snapshot-over-newer-log",
    class: "P12",
    file: CATCH_UP,
    find: "if (this.complete || message.slot < this.#next) return;",
    replace: "if (this.complete) return;",
    why: "a snapshot that is older than the log is installed over it",
    expects: [0, 1],
    also: [
      {
        file: FOLLOWER,
        find: "if (message.slot <= chosen) {",
        replace: "if (message.slot < 0) {",
      },
    ],
  },
  {
    name: "snapshot-installed-again-and-again",
    class: "P10",
    file: CATCH_UP,
    find: "this.#first = identity.slot + 1;",
    replace: "",
    why: "whoever installed a snapshot goes on asking for what it stands for",
    expects: [0, 22, 23],
  },
  {
    name: "install-keeps-conflicting-entries",
    class: "P10",
    file: "packages/paxos/src/acceptor.ts",
    find: "this.#delivered = slot;\n    this.#recordedChosen = slot;\n    this.#leaseMs",
    replace:
      "this.#delivered = slot;\n    this.#recordedChosen = slot;\n    this.#acceptedBallot = ballot;\n    this.#leaseMs",
    why: "what was accepted behind an installed snapshot counts as accepted in its ballot",
    expects: [0, 1, 2, 23],
  },
  {
    name: "parts-of-two-snapshots-put-together",
    class: "P13",
    file: "packages/paxos/src/snapshot-store.ts",
    find: "slot === snapshot.identity.slot ? offset : 0",
    replace: "offset",
    why: "a snapshot is fetched by offset alone, and a new one goes on where the last one was",
    expects: [0, 5, 23],
    also: [
      {
        file: "packages/paxos/src/snapshot-store.ts",
        find: "served && !pinned ? this.#snapshot() : undefined",
        replace: "undefined as Snapshot | undefined",
      },
      {
        file: CATCH_UP,
        find: "transit === undefined || !sameSnapshot(transit.identity, message)",
        replace: "transit === undefined",
      },
      {
        file: CATCH_UP,
        find: "if (crc32c(bytes) !== identity.checksum) {",
        replace: "if (bytes.length !== identity.sizeBytes) {",
      },
    ],
  },
  {
    name: "prepare-never-repeated",
    class: "P9",
    file: LEADER,
    find: "} else if (!this.#phase1.has(peer) && this.#preparedAt < now) {",
    replace: "} else if (this.#preparedAt > now) {",
    why: "a prepare that was lost is not sent again, and its sender is followed by all",
    expects: [22],
  },
  {
    name: "leader-without-quorum-is-content",
    class: "P9",
    file: ELECTION,
    find: "if (this.leads) return this.quorumFollows(now);",
    replace: "if (this.leads) return true;",
    why: "a leader that too few can reach stays, and those who reach it go on following",
    expects: [22, 23],
  },
  {
    name: "happy-neighbors-outvoted",
    class: "P9",
    file: ELECTION,
    find: "if (reply.happy) return false;",
    replace: "",
    why: "whoever misses the leader takes over, though others reach it: the ends of a chain in turn",
    expects: [22, 23],
    isQuick: true,
  },
  {
    name: "accept-never-repeated",
    class: "P9",
    file: REPLICATION,
    find: "if (follower.matched >= this.#acceptor.dropped) this.#tell(now, follower);",
    replace: "if (follower.matched >= this.#acceptor.dropped) return;",
    why: "an accept that was lost is not missed, and one whose answer was lost is not answered again",
    expects: [22, 23],
    also: [
      {
        file: "packages/paxos/src/lease-protocol.ts",
        find: "length: leader.streamedTo(peer)",
        replace: "length: 0",
      },
    ],
  },
  {
    name: "parts-left-over-in-the-next-snapshot",
    class: "P11",
    file: CATCH_UP,
    find: "identity: { slot, sizeBytes, checksum, leaseMs }, parts: [],",
    replace: "identity: { slot, sizeBytes, checksum, leaseMs }, parts: transit?.parts ?? [],",
    why: "the parts of a snapshot that was given up are read as the beginning of the next one",
    expects: [0, 5, 24],
    also: [
      {
        file: CATCH_UP,
        find: "if (crc32c(bytes) !== identity.checksum) {",
        replace: "if (bytes.length < identity.sizeBytes) {",
      },
      {
        file: "packages/paxos/src/snapshot-store.ts",
        find: "served && !pinned ? this.#snapshot() : undefined",
        replace: "undefined as Snapshot | undefined",
      },
      {
        file: CATCH_UP,
        find: "if (transit !== undefined && now < after(this.#progressAt, this.#retransmitMs)) return;",
        replace: "",
      },
    ],
  },
  {
    name: "window-of-any-number-of-bytes",
    class: "P31",
    file: REPLICATION,
    find: "return log.bytesBetween(first, last) <= windowBytesMax;",
    replace: "return log.bytesBetween(first, last) <= windowBytesMax * 1_000;",
    why: "so much is under way to a follower that heartbeats and leases come too late behind it",
    expects: [22],
  },
];
