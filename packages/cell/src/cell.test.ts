import { LockMode, NodeKind } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { codeOf, Harness, TestSession } from "./test-support/harness.ts";

describe("Cell, the thin whole", () => {
  it("creates a session, a directory and a file, and reads back what was written", () => {
    const harness = new Harness(3);
    const session = new TestSession(harness);
    const dir = session.open("/ls/local/web", { kind: NodeKind.DIRECTORY });
    expect(dir.created).toBe(true);
    const file = session.open("leader", { directory: dir.handle });
    expect(codeOf(session.set(file.handle, "web1"))).toBe("setContents");
    const read = session.get(file.handle);
    expect(read.$case === "getContentsAndStat" && String.fromCharCode(...read.value.contents)).toBe(
      "web1",
    );
    const hashes = harness.replicas.map(({ cell }) => cell.snapshot());
    expect(hashes[1]).toEqual(hashes[0]);
    expect(hashes[2]).toEqual(hashes[0]);
  });

  it("hands a lock from its holder to the next in line when it is released (LCK-6)", () => {
    const harness = new Harness();
    const [a, b] = [new TestSession(harness), new TestSession(harness)];
    const [ha, hb] = [a.open("/ls/local/l").handle, b.open("/ls/local/l").handle];
    const first = a.acquire(ha);
    expect(codeOf(first)).toBe("acquire");
    expect(codeOf(b.acquire(hb))).toBe("lock_held");
    const waiting = b.beginAcquire(hb);
    expect(harness.resultOf(waiting)).toBe(undefined);
    expect(codeOf(a.release(ha))).toBe("release");
    expect(codeOf(harness.resultOf(waiting))).toBe("acquire");
    expect(b.stat(hb).lockMode).toBe(LockMode.EXCLUSIVE);
  });

  it("passes over an entry of the log that holds no command, at every replica", () => {
    const harness = new Harness(3);
    const session = new TestSession(harness);
    harness.choose(Uint8Array.of(0xff));
    expect(codeOf(session.tryOpen("/ls/local/f"))).toBe("open");
    const refused = harness.trace.filter(({ kind }) => kind === "commandRefused");
    expect(refused).toEqual(
      Array(3).fill({ kind: "commandRefused", index: 3, reason: "undecodable" }),
    );
    const [hash, ...others] = harness.replicas.map(({ cell }) => cell.stateHash());
    expect(others).toEqual([hash, hash]);
  });

  it("holds a KeepAlive for 7 of 12 seconds (SES-7)", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const tag = session.keepAlive();
    harness.advance(6_999);
    expect(harness.replyTo(tag)).toBe(undefined);
    harness.advance(1);
    const reply = harness.replyTo(tag)?.reply.result;
    expect(reply).toEqual({
      $case: "keepAlive",
      value: { leaseMs: 12_000, heldMs: 7_000, failOverEpoch: 0 },
    });
  });

  it("frees the lock of a dead session only when its lock-delay is over (LCK-7)", () => {
    const harness = new Harness();
    const a = new TestSession(harness);
    const b = new TestSession(harness, { leaseMs: 60_000 });
    const [ha, hb] = [a.open("/ls/local/l").handle, b.open("/ls/local/l").handle];
    a.acquire(ha);
    const waiting = b.beginAcquire(hb);
    harness.advance(13_200);
    expect(codeOf(a.get(ha))).toBe("session_expired");
    expect(codeOf(b.acquire(hb))).toBe("lock_delayed");
    harness.advance(9_999);
    expect(harness.resultOf(waiting)).toBe(undefined);
    harness.advance(1);
    expect(codeOf(harness.resultOf(waiting))).toBe("acquire");
  });
});
