import { Status } from "@cubby/protocol";
import { expect, test } from "vitest";
import { knowsMaster, livenessOf, readinessOf } from "./health.ts";

test.each([
  ["a replica that knows the master", "replica", 2, 0, true],
  ["a candidate that still hears of another master", "candidate", 2, 0, true],
  ["a replica that knows none", "replica", 0, 0, false],
  ["one that waits for its cell to begin", "waiting", 0, 0, false],
  ["the master with a live lease", "master", 1, 400, true],
  ["the master without a lease", "master", 1, 0, false],
  ["a master that was cut off from its quorum and still names itself", "candidate", 1, 0, false],
])("readiness of %s", (_what, role, masterId, leaseLeftMs, ready) => {
  const status = Status.create({ replicaId: 1, role, masterId, leaseLeftMs });
  expect(readinessOf(status).ok).toBe(ready);
});

test("a replica that names itself knows a master only while it is one", () => {
  const status = Status.create({ replicaId: 1, masterId: 1, role: "candidate" });
  expect(knowsMaster(status)).toBe(false);
  expect(knowsMaster({ ...status, role: "master" })).toBe(true);
});

test("liveness ends with a request that the disk does not answer", () => {
  expect(livenessOf(0).ok).toBe(true);
  const { ok, reason } = livenessOf(5_000);
  expect([ok, reason]).toEqual([false, "the disk has not answered a request for 5000 ms"]);
});
