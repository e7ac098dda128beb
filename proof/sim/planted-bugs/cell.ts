import type { PlantedBug } from "../planted-bug.ts";

const APPLY = "packages/cell/src/state/apply.ts";
const APPLY_LOCK = "packages/cell/src/state/apply-lock.ts";
const APPLY_NODE = "packages/cell/src/state/apply-node.ts";
const APPLY_SESSION = "packages/cell/src/state/apply-session.ts";
const SNAPSHOT = "packages/cell/src/state/snapshot.ts";
const HANDLES = "packages/cell/src/state/handles.ts";
const NAMESPACE = "packages/cell/src/state/namespace.ts";
const DELAY_TIMERS = "packages/cell/src/master/lock-delay-timers.ts";
const CALLS = "packages/cell/src/master/calls.ts";
const LOCK_CALLS = "packages/cell/src/master/lock-calls.ts";
const MASTER = "packages/cell/src/master/master.ts";
const WAITERS = "packages/cell/src/master/waiters.ts";
const ANSWERS = "packages/cell/src/master/answers.ts";

/** The replicated state, and what a master does with it. */
export const CELL_BUGS: readonly PlantedBug[] = [
  {
    name: "results-left-out-of-snapshot",
    class: "P19",
    file: SNAPSHOT,
    find: "    writeResults(session);\n",
    replace: "",
    why: "the results of requests are in no snapshot, so a repeated request runs again",
    expects: [5, 9, 10],
    also: [{ file: SNAPSHOT, find: "    readResults(reader, session);\n", replace: "" }],
  },
  {
    name: "lock-delay-left-out-of-snapshot",
    class: "lock-delay",
    file: SNAPSHOT,
    find: "  state.namespace.setContents(node, reader.bytes());\n  node.lockDelay = readDelay(reader);",
    replace: "  state.namespace.setContents(node, reader.bytes());",
    why: "a lock in delay is free after a snapshot",
    expects: [5, 9, 13, 20],
    also: [
      {
        file: SNAPSHOT,
        find: "  writer.bytes(node.contents);\n  writeDelay(node.lockDelay);",
        replace: "  writer.bytes(node.contents);",
      },
    ],
  },
  {
    name: "limits-not-taken-from-a-snapshot",
    class: "P19",
    file: SNAPSHOT,
    find: "  state.quotas = {\n    sessionsMax: reader.varint(),",
    replace: "  void {\n    sessionsMax: reader.varint(),",
    why: "who goes on from a snapshot has the built-in limits, not those of the last master",
    expects: [5],
  },
  {
    name: "map-order-after-restore",
    class: "P16",
    file: "packages/base/src/ordered-map.ts",
    find: "    if (this.#isSorted) return this.#keys;\n    const added",
    replace: "    if (!this.#isSorted) return this.#keys;\n    const added",
    why: "a directory is listed in the order of a Map, which a restored one has differently",
    expects: [9, 5],
    isQuick: true,
  },
  {
    name: "followers-apply-otherwise",
    class: "P16",
    file: "packages/cell/src/cell.ts",
    find: "if (command === undefined) return;",
    replace: `if (command === undefined) return;
    const own = this.#state.sessions.get(command.sessionId);
    if (this.#master === undefined) own?.results?.delete(command.requestNumber);`,
    why: "only the master keeps the results of requests",
    expects: [5],
    isQuick: true,
  },
  {
    name: "grant-to-dead-session",
    class: "P20",
    file: APPLY,
    find: "const session = state.sessions.get(command.sessionId);",
    replace: `const terms = { leaseMs: 0, caches: false, clientName: "" };
    const isClaim = command.body?.$case === "acquireLock";
    const ghost = isClaim ? new Session(command.sessionId, terms) : undefined;
    const session = state.sessions.get(command.sessionId) ?? ghost;`,
    why: "a lock is granted to a session that is over",
    expects: [13, 17, 0],
    also: [
      {
        file: APPLY,
        find: 'import type { Session } from "./session.ts";',
        replace: 'import { Session } from "./session.ts";',
      },
    ],
  },
  {
    name: "stale-expiry-decision",
    class: "P7",
    file: APPLY,
    find: "if (state.clientEpoch === 0 || command.paxosEpoch !== state.paxosEpoch) return OTHER_EPOCH;",
    replace: "if (state.clientEpoch === 0) return OTHER_EPOCH;",
    why: "what a deposed master wanted, expiries among it, is proposed when it leads again, and counts",
    expects: [4, 13],
    also: [
      {
        file: "packages/paxos/src/leader.ts",
        find: "return this.#proposals.clear();",
        replace: "return 0;",
      },
      {
        file: "packages/paxos/src/leader.ts",
        find: "readonly #proposals = new Proposals();",
        replace: "#proposals = new Proposals();",
      },
      {
        file: "packages/paxos/src/leader.ts",
        find: "  dropProposals(): number {",
        replace: `  inherit(before: Leader | undefined): void {
    if (before !== undefined) this.#proposals = before.#proposals;
  }

  dropProposals(): number {`,
      },
      {
        file: "packages/paxos/src/paxos-replica.ts",
        find: "  #electionDue = true;\n  #prepareRequestedAt",
        replace: "  #deposed: Leader | undefined;\n  #electionDue = true;\n  #prepareRequestedAt",
      },
      {
        file: "packages/paxos/src/paxos-replica.ts",
        find: "    const { ballot, lease } = leader;\n    const { leaseRound } = lease;\n    lease.void();",
        replace:
          "    this.#deposed = leader;\n    const { ballot, lease } = leader;\n    const { leaseRound } = lease;\n    lease.void();",
      },
      {
        file: "packages/paxos/src/paxos-replica.ts",
        find: `      this.#outbox,
      this.#now,
    );
  }

  /** Ends our lease`,
        replace: `      this.#outbox,
      this.#now,
    );
    this.#leader.inherit(this.#deposed);
  }

  /** Ends our lease`,
      },
    ],
  },
  {
    name: "generation-reset-on-re-create",
    class: "lock",
    file: NAMESPACE,
    find: "this.generationCounter = Math.max(this.generationCounter, node.highestGeneration);",
    replace: "",
    why: "a node that is created again starts below what its name had reached",
    expects: [14, 9],
  },
  {
    name: "lock-delay-lost-at-fail-over",
    class: "lock-delay",
    file: DELAY_TIMERS,
    find: "for (const path of state.namespace.sortedPathsInDelay()) this.begin(now, state, path);",
    replace: `for (const path of state.namespace.sortedPathsInDelay()) {
      const beganAt = state.namespace.delayOf(path)?.beganAt ?? 0;
      this.#timers.add({ path, beganAt, dueAt: 0, heapIndex: -1 }, now);
    }`,
    why: "a new master ends every lock-delay at once",
    expects: [20],
  },
  {
    name: "lock-delay-for-ever-after-fail-over",
    class: "lock-delay",
    file: MASTER,
    find: "this.#delays.beginAll(now, state);",
    replace: "",
    why: "a new master times no lock-delay that began before it",
    expects: [23, 20],
  },
  {
    name: "lock-delay-of-another-failure",
    class: "lock-delay",
    file: APPLY_LOCK,
    find: "if (state.namespace.delayOf(body.path)?.beganAt !== body.beganAt) return;",
    replace: "",
    why: "the end of an earlier lock-delay ends the one that has begun since",
    expects: [20, 9, 13],
    also: [
      {
        file: DELAY_TIMERS,
        find: "if (state.namespace.delayOf(timer.path)?.beganAt !== timer.beganAt) continue;",
        replace: "",
      },
    ],
  },
  {
    name: "lock-delay-six-seconds-more",
    class: "lock-delay",
    file: DELAY_TIMERS,
    find: "after(now, delay.lengthMs)",
    replace: "after(now, delay.lengthMs + 6_000)",
    why: "a lock-delay lasts far longer than its holder asked for",
    expects: [20],
  },
  {
    name: "lock-delay-after-end-on-purpose",
    class: "lock-delay",
    file: HANDLES,
    find: "else giveBack(state, record);\n  }\n  for",
    replace: "else lose(state, record, end.index);\n  }\n  for",
    why: "a session that its client ended leaves its locks in delay",
    expects: [20, 9],
  },
  {
    name: "lock-not-freed-with-its-session",
    class: "lock",
    file: HANDLES,
    find: "if (end.hasFailed) lose(state, record, end.index);",
    replace: "if (end.hasFailed) continue;",
    why: "the locks of an expired session stay held by nobody",
    expects: [13],
  },
  {
    name: "ephemeral-outlives-its-session",
    class: "lock",
    file: HANDLES,
    find: "for (const record of records) endOpener(state, session, record);",
    replace: "if (!end.hasFailed) for (const record of records) endOpener(state, session, record);",
    why: "the ephemeral nodes of an expired session stay",
    expects: [13, 20, 0],
  },
  {
    name: "session-ids-reused",
    class: "P17",
    file: APPLY_SESSION,
    find: "const session = new Session(index, {",
    replace: "const session = new Session(state.sessions.size + 1, {",
    why: "a session gets an id that another one had",
    expects: [9, 10, 13],
    isQuick: true,
  },
  {
    name: "result-kept-by-the-master-alone",
    class: "P19",
    file: APPLY,
    find: "if (stored !== undefined) return",
    replace: 'if (stored !== undefined && stored.$case === "open") return',
    why: "apply runs a repeated request once more, unless its master remembers it",
    expects: [9, 10, 13],
  },
  {
    name: "cancelled-request-runs-later",
    class: "P18",
    file: APPLY_SESSION,
    find: `session.storeResult(number, failure("cancelled", "The caller cancelled the request."));
    return cancelled(false);`,
    replace: "return cancelled(false);",
    why: "a request that was cancelled before it ran is run when it comes",
    expects: [9, 10, 13, 5],
  },
  {
    name: "guard-stops-a-close",
    class: "lock",
    file: "packages/cell/src/master/proposals.ts",
    find: "mayFail(body) ? request.guard : EMPTY_BYTES,",
    replace: "request.guard,",
    why: "a Close with a stale guard is forgotten by the master, and refused in the log",
    expects: [9, 23],
  },
  {
    name: "cancelled-lock-stays-held",
    class: "P18",
    file: APPLY_SESSION,
    find: "return keepClaims(state, session, record, others);",
    replace: "record.claims = others;\n    return false;",
    why: "a lock that was granted to a cancelled request is held by code that gave up",
    expects: [10, 13],
  },
  {
    name: "sequencer-generation-ignored",
    class: "lock",
    file: "packages/cell/src/state/sequencer.ts",
    find: "if (node.lockGeneration !== token.lockGeneration) {",
    replace: "if (node.lockGeneration < token.lockGeneration) {",
    why: "the sequencer of an earlier holder is valid while another one holds the lock",
    expects: [14, 9],
  },
  {
    name: "shared-overtakes-exclusive",
    class: "P24",
    file: WAITERS,
    find: `if (mode === LockMode.EXCLUSIVE && !isFirst) return;
      if (!call.isProposed) {
        if (!isGrantable(node, mode)) return;`,
    replace: `if (mode === LockMode.EXCLUSIVE && !isFirst) continue;
      if (!call.isProposed) {
        if (mode === LockMode.EXCLUSIVE && !isGrantable(node, mode)) continue;
        if (!isGrantable(node, mode)) return;`,
    why: "shared requests pass an exclusive one that waits, which may wait for ever",
    expects: [23],
  },
  {
    name: "exclusive-overtakes-shared",
    class: "P24",
    file: WAITERS,
    find: "for (const { call } of queue.places) {",
    replace: `for (const { call } of [...queue.places].sort(
      ({ call: a }, { call: b }) =>
        Number(a.claim?.mode === LockMode.SHARED) - Number(b.claim?.mode === LockMode.SHARED),
    )) {`,
    why: "exclusive requests pass shared ones that wait, which may wait for ever",
    expects: [23],
  },
  {
    name: "wake-up-lost",
    class: "P24",
    file: MASTER,
    find: "for (const node of effects.unlocked) if (!node.isDeleted) serving.parts.waiters.pump(node);",
    replace: "",
    why: "who waits for a lock is not told when it becomes free",
    expects: [23],
    isQuick: true,
  },
  {
    name: "deposed-master-says-not-applied",
    class: "P18",
    file: MASTER,
    find: 'const unknown = failure("connection_lost", detail);',
    replace: 'const unknown = failure("overloaded", detail);',
    why: "a deposed master says of what it has proposed that it did not happen",
    expects: [10],
  },
  {
    name: "woken-without-a-lease",
    class: "P7",
    file: MASTER,
    find: "if (due < this.#clock.leaseUntil && !this.#wokeLapsed) wakeAt = earliest(wakeAt, due);",
    replace: "wakeAt = earliest(wakeAt, due);",
    why: "a master without a lease is woken again and again for what it may not do",
    expects: [23],
  },
  {
    name: "last-come-first-served",
    class: "P23",
    file: WAITERS,
    find: "for (const { call } of queue.places) {",
    replace: "for (const { call } of [...queue.places].reverse()) {",
    why: "of those who wait for a lock the last one is woken, whoever came before",
    expects: [23],
  },
  {
    name: "asked-anew-at-the-end",
    class: "P24",
    file: LOCK_CALLS,
    find: "      this.#parts.waiters.swap(cancelled, heir);\n",
    replace: "",
    why: "who makes calls beside a waiting Acquire loses its place each time it is asked anew",
    expects: [23],
  },
  {
    name: "condition-checked-before-the-log",
    class: "P27",
    file: CALLS,
    find: "const value = { path, instance, contents, hasIfGeneration, ifGeneration };",
    replace: `if (hasIfGeneration && handle.node.contentGeneration !== ifGeneration) {
      const detail = "The file has another generation.";
      this.#parts.answers.fromState(call, failure("generation_mismatch", detail));
      return;
    }
    const value = { path, instance, contents, hasIfGeneration: false, ifGeneration: 0 };`,
    why: "a compare-and-swap compares when it is proposed, and swaps when it is applied",
    expects: [9, 10],
  },
  {
    name: "results-never-forgotten",
    class: "P31",
    file: "packages/cell/src/state/session.ts",
    find: "const results = this.results;\n    if (results === undefined) return;",
    replace: "const results = this.results;\n    if (results !== null) return;",
    why: "a session keeps every result it ever had",
    expects: [0, 13],
  },
  {
    name: "release-answered-when-proposed",
    class: "P2",
    file: CALLS,
    find: "call.releases = handleId;",
    replace: `call.releases = handleId;
        if (session.session.handles?.has(handleId) === true) {
          this.#parts.answers.asFact(call, done("release"));
        }`,
    why: "a Release is answered before it is chosen, and may be lost",
    expects: [9],
    isQuick: true,
  },
  {
    name: "close-answered-when-proposed",
    class: "P2",
    file: CALLS,
    find: 'this.#intake.propose(session, call, { $case: "closeHandle", value: { handleId } });',
    replace: `this.#parts.answers.asFact(call, done("close"));
      this.#intake.propose(session, call, { $case: "closeHandle", value: { handleId } });`,
    why: "a Close is answered before it is chosen, and what the handle held may stay held",
    expects: [9],
    isQuick: true,
  },
  {
    name: "close-never-answered",
    class: "P2",
    file: ANSWERS,
    find: "    call.tellAll(",
    replace: `    if (call.request.call?.$case === "close") return;
    call.tellAll(`,
    why: "a Close is done, and nobody is told",
    expects: [23],
  },
  {
    name: "stat-tells-free",
    class: "P8",
    file: CALLS,
    find: "return stat(handle.node);",
    replace: `return {
        $case: "getStat",
        value: session.session.handles?.has(handle.token.handleId) === true
          ? handle.node.stat()
          : { ...handle.node.stat(), lockMode: LockMode.FREE, lockHolders: 0 },
      };`,
    why: "whoever does not hold a lock is told that it is free",
    expects: [9],
  },
  {
    name: "open-tells-old-metadata",
    class: "P8",
    file: CALLS,
    find: "value: { handle: bytes, created: false, stat: node.stat() } };",
    replace: `value: { handle: bytes, created: false, stat: {
      ...node.stat(), lockGeneration: Math.max(node.instance, node.lockGeneration - 1),
    } } };`,
    why: "opening what exists, which is a read, tells what was true before",
    expects: [9],
    isQuick: true,
  },
  {
    name: "ephemeral-called-missing",
    class: "P8",
    file: CALLS,
    find: "else if (node !== undefined) this.#intake.propose(session, call, body);",
    replace:
      "else if (node !== undefined && !node.isEphemeral) this.#intake.propose(session, call, body);",
    why: "an Open is told that an ephemeral file does not exist, and it does",
    expects: [9],
  },
  {
    name: "free-lock-called-held",
    class: "lock",
    file: WAITERS,
    find: "return queue !== undefined && (mode",
    replace: `if (queue === undefined) return node.lockGeneration % 4 === 3;
    return queue !== undefined && (mode`,
    why: "a tryAcquire is told of others that wait, and nobody does",
    expects: [9],
  },
  {
    name: "handle-without-its-lock-delay",
    class: "lock-delay",
    file: CALLS,
    find: "lockDelayMs: target.lockDelayMs,",
    replace: "lockDelayMs: 0,",
    why: "a lock that is opened and not created has no lock-delay, whatever its Open asks for",
    expects: [20],
    isQuick: true,
  },
  {
    name: "lock-delay-longer-after-fail-over",
    class: "lock-delay",
    file: DELAY_TIMERS,
    find: "for (const path of state.namespace.sortedPathsInDelay()) this.begin(now, state, path);",
    replace: `for (const path of state.namespace.sortedPathsInDelay()) {
      this.begin(after(now, 15_000), state, path);
    }`,
    why: "a new master keeps every lock-delay for a quarter of a minute more",
    expects: [20],
  },
  {
    name: "created-without-its-contents",
    class: "P8",
    file: "packages/cell/src/master/open-target.ts",
    find: "initialContents: open.initialContents,",
    replace: "initialContents: new Uint8Array(0),",
    why: "a file is created empty, whatever its Open gives it",
    expects: [9],
    isQuick: true,
  },
  {
    name: "opened-called-created",
    class: "P8",
    file: CALLS,
    find: "value: { handle: bytes, created: false, stat: node.stat() } };",
    replace: "value: { handle: bytes, created: true, stat: node.stat() } };",
    why: "whoever opens what exists is told that he made it",
    expects: [9],
    isQuick: true,
  },
  {
    name: "handles-end-with-their-master",
    class: "P8",
    file: "packages/cell/src/master/open-handles.ts",
    find: "if (token.epoch > state.clientEpoch) return FORGED;",
    replace: "if (token.epoch !== state.clientEpoch) return FORGED;",
    why: "no handle outlives the master that gave it",
    expects: [9],
  },
  {
    name: "release-refused-from-state",
    class: "lock",
    file: CALLS,
    find: "        call.releases = handleId;\n",
    replace: `        if (this.#parts.state !== undefined) {
          const detail = "This handle does not hold its lock.";
          this.#parts.answers.fromState(call, failure("lock_not_held", detail));
          return;
        }
        call.releases = handleId;
`,
    why: "no Release frees a lock",
    expects: [9],
    isQuick: true,
  },
  {
    name: "sequencer-of-a-free-lock",
    class: "lock",
    file: "packages/cell/src/master/reads.ts",
    find: "  return sequencerProblem(state, token);",
    replace: `  const node = state.namespace.get(token.name);
  const isLast = node?.instance === token.instance && node.lockGeneration === token.lockGeneration;
  return isLast && node.lockMode === LockMode.FREE ? undefined : sequencerProblem(state, token);`,
    why: "a sequencer is valid until somebody else is granted the lock",
    expects: [14],
    isQuick: true,
  },
  {
    name: "cancel-undoes-what-is-done",
    class: "P19",
    file: APPLY_SESSION,
    find: `  if (stored.$case !== "acquire" && stored.$case !== "open") return cancelled(false);
`,
    replace: "",
    why: "a write that is done counts as cancelled once its Cancel comes",
    expects: [9, 10],
  },
  {
    name: "directories-opened-as-files",
    class: "node",
    file: APPLY_NODE,
    find: "if (kind === NodeKind.DIRECTORY && node.kind !== NodeKind.DIRECTORY) {",
    replace: "if (kind === NodeKind.DIRECTORY) {",
    why: "a directory that exists is refused to whoever opens it",
    expects: [9],
  },
  {
    name: "locked-ephemeral-forgotten",
    class: "lock",
    file: HANDLES,
    find: "if (!record.isIdle || !session.handles?.has(record.handleId)) return;",
    replace: "if (!session.handles?.has(record.handleId)) return;",
    why: "a handle that gives its lock back no longer keeps its ephemeral node",
    expects: [0, 5],
  },
  {
    name: "release-of-an-idle-handle",
    class: "lock",
    file: APPLY_LOCK,
    find: "if (record === undefined || record.holds === LockMode.FREE) {",
    replace: "if (record === undefined) {",
    why: "a Release frees a lock that its ephemeral handle does not hold",
    expects: [0, 5, 9],
  },
];
