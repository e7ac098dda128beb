import { CreateMode, NodeKind, type Stat } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { codeOf, Harness, TestSession } from "./test-support/harness.ts";

const bytes = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

describe("nodes", () => {
  it("are created with contents, once, and Open says whether it created (API-1, API-17)", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const first = session.open("/ls/local/f", { initialContents: bytes("a") });
    const second = session.open("/ls/local/f", { initialContents: bytes("b") });
    expect([first.created, second.created]).toEqual([true, false]);
    const read = session.get(second.handle);
    expect(read.$case === "getContentsAndStat" && read.value.contents).toEqual(bytes("a"));
  });

  it("have four generations, each raised by its own change (META-2), and a checksum (META-3)", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { handle, stat: born } = session.open("/ls/local/f");
    session.set(handle, "x");
    session.acquire(handle);
    const stat = session.stat(handle);
    expect(stat.instance).toBe(born?.instance);
    expect(stat.contentGeneration).toBe((born?.contentGeneration ?? 0) + 1);
    expect(stat.lockGeneration).toBe((born?.lockGeneration ?? 0) + 1);
    expect(stat.aclGeneration).toBe(born?.aclGeneration);
    expect(stat.checksum).toMatch(/^[0-9a-f]{16}$/);
    expect(stat.checksum).not.toBe(born?.checksum);
    expect(stat.sizeBytes).toBe(1);
  });

  it("never go down in any generation of a name, however often it is deleted (GAP-9)", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const highest = { instance: 0, contentGeneration: 0, lockGeneration: 0, aclGeneration: 0 };
    const watch = (stat: Stat | undefined) => {
      if (stat === undefined) throw new Error("a stat");
      for (const key of [
        "instance",
        "contentGeneration",
        "lockGeneration",
        "aclGeneration",
      ] as const) {
        expect(stat[key]).toBeGreaterThanOrEqual(highest[key]);
        highest[key] = stat[key];
      }
    };
    for (let life = 0; life < 5; life += 1) {
      const before = highest.instance;
      const { handle, stat } = session.open("/ls/local/f");
      expect(stat?.instance).toBeGreaterThan(before);
      watch(stat);
      for (let i = 0; i < 10 * life; i += 1) session.set(handle, `${i}`);
      session.acquire(handle);
      watch(session.stat(handle));
      session.delete(handle);
    }
  });

  it("are listed in order with their metadata, a page at a time (API-6)", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const dir = session.open("/ls/local/d", { kind: NodeKind.DIRECTORY }).handle;
    const names = Array.from({ length: 600 }, (_, i) => `n${(i * 7919) % 600}`);
    for (const name of names) session.close(session.open(name, { directory: dir }).handle);
    const listed: string[] = [];
    for (let more = true; more; ) {
      const after = listed[listed.length - 1] ?? "";
      const page = session.call({ $case: "readDir", value: { handle: dir, after } });
      if (page.$case !== "readDir") throw new Error(codeOf(page));
      expect(page.value.entries.length).toBeLessThanOrEqual(256);
      for (const entry of page.value.entries) {
        listed.push(entry.name);
        expect(entry.stat?.kind).toBe(NodeKind.FILE);
      }
      more = page.value.more;
    }
    expect(listed).toEqual([...names].sort((a, b) => (a < b ? -1 : 1)));
    expect(session.stat(dir).childCount).toBe(600);
  });

  it("take a name relative to a directory handle, which is bound to its instance (API-1)", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const dir = session.open("/ls/local/d", { kind: NodeKind.DIRECTORY }).handle;
    session.open("a", { directory: dir, kind: NodeKind.DIRECTORY });
    expect(session.open("a/b", { directory: dir }).created).toBe(true);
    expect(session.open("/ls/local/d/a/b").created).toBe(false);
    const empty = session.open("/ls/local/e", { kind: NodeKind.DIRECTORY }).handle;
    // Deleted and created again between the check at the master and the command.
    harness.isHeldBack = true;
    session.begin({ $case: "delete", value: { handle: empty } });
    const open = session.beginOpen("x", { directory: empty });
    harness.letGo();
    expect(codeOf(harness.resultOf(open))).toBe("stale_handle");
  });

  it("inherit the ACL names of their directory, which are empty at the root (ACL-2)", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const { stat } = session.open("/ls/local/f");
    expect(stat).toMatchObject({ readAcl: "", writeAcl: "", changeAcl: "" });
  });

  it("are opened without a command when they exist and are permanent", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    session.open("/ls/local/f");
    const before = harness.chosen.length;
    session.open("/ls/local/f");
    session.open("/ls/local/f", { create: CreateMode.NEVER });
    expect(harness.chosen.length).toBe(before);
  });

  it("free their handle's place when it is closed after they are gone", () => {
    const harness = new Harness(1, { quotas: { handlesPerSessionMax: 3 } });
    const session = new TestSession(harness);
    for (let i = 0; i < 10; i += 1) {
      const { handle } = session.open("/ls/local/f");
      session.delete(handle);
      expect(codeOf(session.close(handle))).toBe("close");
    }
  });

  it("are kept apart from the bytes that brought them", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const contents = bytes("precious");
    const { handle } = session.open("/ls/local/f", { initialContents: contents });
    contents.fill(0);
    for (const { command } of harness.chosen) command.fill(0);
    const read = session.get(handle);
    expect(read.$case === "getContentsAndStat" && read.value.contents).toEqual(bytes("precious"));
  });
});

describe("ephemeral nodes", () => {
  it("go when nobody has them open any more, not when their creator goes (NS-5)", () => {
    const harness = new Harness();
    const [a, b, c] = [0, 1, 2].map(() => new TestSession(harness, { leaseMs: 60_000 }));
    if (!a || !b || !c) throw new Error("three sessions");
    const mine = a.open("/ls/local/e", { ephemeral: true });
    expect(mine.stat?.ephemeral).toBe(true);
    const theirs = b.open("/ls/local/e");
    a.close(mine.handle);
    expect(codeOf(b.get(theirs.handle))).toBe("getContentsAndStat");
    b.end();
    expect(codeOf(c.tryOpen("/ls/local/e", { create: CreateMode.NEVER }))).toBe("not_found");
  });

  it("go with the expiry of the session that had them open", () => {
    const harness = new Harness();
    const watcher = new TestSession(harness, { leaseMs: 60_000 });
    const dying = new TestSession(harness, { leaseMs: 2_000 });
    dying.open("/ls/local/e", { ephemeral: true });
    harness.advance(2_200);
    const found = watcher.tryOpen("/ls/local/e", { create: CreateMode.NEVER });
    expect(codeOf(found)).toBe("not_found");
  });

  it("that are directories stay until they are empty as well, and go with the last child (NS-5)", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const look = (name: string) => codeOf(session.tryOpen(name, { create: CreateMode.NEVER }));
    const kind = NodeKind.DIRECTORY;
    const outer = session.open("/ls/local/o", { kind, ephemeral: true }).handle;
    const inner = session.open("/ls/local/o/i", { kind, ephemeral: true }).handle;
    const file = session.open("/ls/local/o/i/f").handle;
    session.close(outer);
    session.close(inner);
    expect(look("/ls/local/o/i/f")).toBe("open");
    session.delete(file);
    expect([look("/ls/local/o/i"), look("/ls/local/o")]).toEqual(["not_found", "not_found"]);
  });

  it("survive a fail-over, since their handles are replicated", () => {
    const harness = new Harness(2);
    const session = new TestSession(harness);
    const { handle } = session.open("/ls/local/e", { ephemeral: true });
    harness.elect(1);
    session.acknowledge();
    expect(codeOf(session.get(handle))).toBe("getContentsAndStat");
    session.close(handle);
    expect(codeOf(session.tryOpen("/ls/local/e", { create: 0 }))).toBe("not_found");
  });

  it("can be deleted while open, and leave nothing of their handles behind", () => {
    const harness = new Harness();
    const [a, b] = [new TestSession(harness), new TestSession(harness)];
    const ha = a.open("/ls/local/e", { ephemeral: true }).handle;
    const hb = b.open("/ls/local/e").handle;
    b.acquire(hb);
    expect(codeOf(a.delete(ha))).toBe("delete");
    expect(codeOf(b.release(hb))).toBe("stale_handle");
    expect(codeOf(b.close(hb))).toBe("close");
    harness.cell.checkInvariants();
    expect(harness.cell.status(harness.now).locksHeld).toBe(0);
  });

  it("go when the Open that made them is cancelled", () => {
    const harness = new Harness();
    const session = new TestSession(harness);
    const number = session.next;
    session.beginOpen("/ls/local/e", { ephemeral: true });
    const cancel = session.begin({ $case: "cancel", value: { requestNumber: number } });
    expect(harness.resultOf(cancel)).toEqual({ $case: "cancel", value: { released: true } });
    const other = new TestSession(harness);
    expect(codeOf(other.tryOpen("/ls/local/e", { create: 0 }))).toBe("not_found");
  });
});
