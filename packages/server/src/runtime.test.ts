import { type Instant, instant, NEVER } from "@cubby/base";
import { Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import type { Replica, ReplicaInput, ReplicaOutput } from "./core/replica.ts";
import { Runtime, type RuntimePorts } from "./runtime.ts";

const NOTHING: ReplicaOutput = {
  peerFrames: [],
  replies: [],
  disk: [],
  wakeAt: NEVER,
  trace: [],
  ended: undefined,
};

/** A replica that notes what it is told, and a clock that moves on with every look at it. */
function rig(output: Partial<ReplicaOutput> = {}, ports: Partial<RuntimePorts> = {}) {
  const steps: { now: Instant; input: ReplicaInput }[] = [];
  const done: string[] = [];
  let clock = 1_000;
  let next: ReplicaOutput = { ...NOTHING, ...output };
  const replica = {
    step: (now: Instant, input: ReplicaInput) => {
      steps.push({ now, input });
    },
    take: () => {
      const taken = next;
      next = NOTHING;
      return taken;
    },
  } as unknown as Replica;
  const runtime = new Runtime(replica, {
    disk: { submit: () => done.push("disk") },
    peers: { send: () => done.push("peer"), flush: () => done.push("peers flushed") },
    clients: { send: () => done.push("reply"), flush: () => done.push("clients flushed") },
    beforeInput: () => undefined,
    onTrace: () => undefined,
    onJournalAppend: () => undefined,
    onEnded: ({ code }) => done.push(code),
    now: () => {
      clock += 1;
      return instant(clock);
    },
    ...ports,
  });
  return { runtime, steps, done };
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => resolve());
  });
}

describe("the runtime", () => {
  it("never hands in a time before the one of a stall that it has just told", async () => {
    const at: { runtime?: Runtime } = {};
    const beforeInput = () => at.runtime?.onStalled(500);
    const { runtime, steps } = rig({}, { beforeInput });
    at.runtime = runtime;
    runtime.onRequest(1, Request.create());
    expect(steps.map(({ input }) => input.kind)).toEqual(["stalled", "request"]);
    const [stalled, request] = steps;
    expect(request?.now).toBeGreaterThanOrEqual(stalled?.now ?? NEVER);
    await turn();
    runtime.stop();
  });

  it("lets accepts leave before replies, and both before the write of its own", async () => {
    const { runtime, done } = rig({
      peerFrames: [{ to: 2 as never, bytes: new Uint8Array(1) }],
      replies: [{ to: 1, reply: { tag: 1, clientEpoch: 0, result: undefined }, validUntil: NEVER }],
      disk: [{ kind: "list", id: 1 }],
    });
    await turn();
    expect(done).toEqual(["peer", "peers flushed", "reply", "clients flushed", "disk"]);
    runtime.stop();
  });

  it("carries out nothing of a turn in which the replica ends", async () => {
    const { runtime, steps, done } = rig({
      replies: [{ to: 1, reply: { tag: 1, clientEpoch: 0, result: undefined }, validUntil: NEVER }],
      ended: { code: "disk_failed", detail: "as the test says" },
    });
    await turn();
    expect(done).toEqual(["disk_failed"]);
    runtime.onRequest(1, Request.create());
    await turn();
    expect(steps).toEqual([]);
  });

  it("knows of a request that the disk does not answer, whatever it asks for", async () => {
    const { runtime } = rig({ disk: [{ kind: "syncDirectory", id: 7 }] });
    await turn();
    const later = performance.now() + 20;
    while (performance.now() < later) await turn();
    expect(runtime.oldestDiskRequestMs()).toBeGreaterThan(0);
    runtime.onDisk({ id: 7, ok: true });
    expect(runtime.oldestDiskRequestMs()).toBe(0);
    runtime.stop();
  });

  it("takes all that arrives in a turn before it asks for what follows from it", async () => {
    const { runtime, steps, done } = rig();
    for (let n = 0; n < 5; n += 1) runtime.onRequest(n, Request.create());
    expect(steps.length).toBe(5);
    expect(done).toEqual([]);
    await turn();
    expect(done).toEqual(["peers flushed", "clients flushed"]);
    runtime.stop();
  });
});
