import { after, NEVER, Rng } from "@cubby/base";
import { type Ballot, replicaId } from "@cubby/paxos";
import { describe, expect, it } from "vitest";
import { LeaseChecker } from "./check-leases.ts";
import { QUIET_PLAN } from "./plan.ts";
import { fileScript } from "./script.ts";
import { World } from "./world.ts";

/** A cell of three with a client, and its master after some seconds. */
function serving() {
  const world = new World("leases", { ...QUIET_PLAN, replicas: 3 }, undefined);
  for (const replica of world.replicas) replica.start();
  const client = world.addClient(new Rng("client"), [[fileScript(world, new Rng("script"))]]);
  world.time.runTo(3_000);
  const master = world.master();
  const session = client.sessions[0];
  if (master?.cell === undefined || session === undefined) throw new Error("a cell that serves");
  return { world, client, session, master, cell: master.cell };
}

function leaseRequest(ballot: Ballot, leaseRound: number, leaseMs: number) {
  return { kind: "leaseRequest", ballot, leaseRound, leaseMs, chosen: 0, length: 0 } as const;
}

describe("the checker of leases", () => {
  it("finds a master to whom fewer than a quorum are bound (8)", () => {
    const { world, master } = serving();
    world.master();
    for (const each of world.replicas) {
      if (each === master || each.replica === undefined) continue;
      // As if their grants had been made on clocks that ran out long ago.
      Object.defineProperty(each.replica, "boundToUntil", { value: () => 0 });
    }
    expect(() => world.master()).toThrow(/1 of 2 replicas are bound as long as replica \d leads/);
  });

  it("counts those that are down, which will wait when they start", () => {
    const { world, master } = serving();
    for (const each of world.replicas) if (each !== master) each.crash("killed");
    expect(world.master()).toBe(master);
  });

  it("finds a replica that starts bound for less than it has granted in an earlier life (3)", () => {
    const { world, master } = serving();
    const grantor = world.replicas.find((each) => each !== master);
    if (grantor === undefined) throw new Error("a follower");
    grantor.crash("killed");
    const checker = new LeaseChecker(world.replicas, []);
    const ballot = { round: 7, priority: 0, replica: replicaId(master.id) };
    const { now } = world.time;
    const leaseMs = 600;
    checker.onLeaseRequest(master, leaseRequest(ballot, 1, leaseMs), now);
    checker.onLeaseGrant(grantor, { kind: "leaseGrant", ballot, leaseRound: 1 });
    grantor.start();
    checker.onStarted(grantor);
    // One of a length that its directory never heard of.
    checker.onLeaseRequest(master, leaseRequest(ballot, 2, 2 * leaseMs), now);
    checker.onStarted(grantor);
    checker.onLeaseGrant(grantor, { kind: "leaseGrant", ballot, leaseRound: 2 });
    expect(() => checker.onStarted(grantor)).toThrow(/bound for \d+ ms less than it has granted/);
  });

  it("finds a client that relies on its session for longer than the master keeps it (18)", () => {
    const { world, session, cell } = serving();
    const until = session.leaseDeadline;
    Object.defineProperty(cell, "sessionUntil", {
      configurable: true,
      value: () => until - 60_000_000,
    });
    expect(() => world.master()).toThrow(/relies on session \d+, \d+\.\d+ ms too long/);
    Object.defineProperty(cell, "sessionUntil", { value: () => undefined });
    expect(() => world.master()).toThrow(/relies on session \d+, which is over/);
  });

  it("finds a master that has not applied what is chosen (9)", () => {
    const { world } = serving();
    world.log.newest += 1;
    expect(() => world.master()).toThrow(/serves at \d+, and \d+ is chosen/);
  });

  it("finds an answer that may be given for longer than its master leads (9)", () => {
    const { master, cell } = serving();
    const until = cell.status(master.localNow()).leaseUntil;
    if (until === undefined) throw new Error("a master with a lease");
    const checker = new LeaseChecker([], []);
    checker.checkAnswer(master, true, until);
    checker.checkAnswer(master, false, NEVER);
    expect(() => checker.checkAnswer(master, false, after(until, 1))).toThrow(/1 ms longer/);
    expect(() => checker.checkAnswer(master, true, NEVER)).toThrow(/longer than it leads/);
  });
});
