import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ERROR_CODES, type ErrorCode, FILE_BYTES_MAX, NAME_BYTES_MAX } from "@cubby/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LocalCell } from "./local-cell.ts";

type Json = Readonly<Record<string, unknown>>;
type Answer = { readonly status: number; readonly body: Json };

let directory = "";
let cell: LocalCell | undefined;
let master = 0;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "cubby-http-"));
  // One master throughout, however busy the machine is.
  const settings = { masterLeaseMs: 5_000, electionTimeoutMs: 2_000 };
  cell = await LocalCell.create({ directory, replicas: 3, segmentBytes: 1024 * 1024, settings });
  await cell.startAll();
  master = await cell.waitReady();
});

afterAll(async () => {
  await cell?.close();
  rmSync(directory, { recursive: true });
});

function url(replica: number, path: string): string {
  return `${cell?.httpUrl(replica)}${path}`;
}

async function post(call: string, body: Json, replica = master): Promise<Answer> {
  const response = await fetch(url(replica, `/v1/${call}`), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Json };
}

/** One session as any program with an HTTP client would keep it: one call after the other. */
class HttpSession {
  readonly #envelope: Json;
  #number = 0;

  private constructor(envelope: Json) {
    this.#envelope = envelope;
  }

  static async begin(): Promise<HttpSession> {
    const { body } = await post("CreateSession", { leaseMs: 60_000, clientName: "test" });
    const { sessionId, clientEpoch } = body;
    return new HttpSession({ sessionId, clientEpoch });
  }

  /** A call that changes nothing and needs no number. */
  read(call: string, body: Json = {}): Promise<Answer> {
    return post(call, { ...this.#envelope, ...body });
  }

  change(call: string, body: Json = {}): Promise<Answer> {
    this.#number += 1;
    const numbers = { requestNumber: this.#number, lowestUnanswered: this.#number };
    return post(call, { ...this.#envelope, ...numbers, ...body });
  }

  async open(name: string, options: Json = {}): Promise<unknown> {
    const mode = { read: true, write: true, create: "IF_ABSENT" };
    const { body } = await this.change("Open", { name, ...mode, ...options });
    return body["handle"];
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

describe("a session over HTTP", () => {
  it("opens, writes, reads, locks, proves its lock, and gives all of it back", async () => {
    const session = await HttpSession.begin();
    const handle = await session.open("/ls/local/story");
    const written = await session.change("SetContents", { handle, contents: base64("hello") });
    expect(written).toMatchObject({ status: 200, body: { kind: "FILE", sizeBytes: 5 } });
    const read = await session.read("GetContentsAndStat", { handle });
    expect(read.body).toMatchObject({ contents: base64("hello") });
    const listed = await session.read("ReadDir", { handle: await session.open("/ls/local") });
    expect(listed.body).toMatchObject({ entries: [{ name: "story" }] });

    const held = await session.change("Acquire", { handle, mode: "EXCLUSIVE" });
    expect(held.status).toBe(200);
    const { sequencer } = held.body;
    expect((await session.read("GetSequencer", { handle })).body).toMatchObject({ sequencer });
    expect((await post("CheckSequencer", { sequencer })).body).toMatchObject({ valid: true });
    const other = await HttpSession.begin();
    const theirs = await other.open("/ls/local/story");
    expect(await other.change("Acquire", { handle: theirs, mode: "EXCLUSIVE" })).toMatchObject({
      status: 409,
      body: { error: { code: "lock_held", outcome: "not-applied", retryable: true } },
    });
    expect((await session.read("KeepAlive", { answerNow: true })).body).toMatchObject({
      leaseMs: 60_000,
    });

    await session.change("Release", { handle });
    expect((await post("CheckSequencer", { sequencer })).body).toMatchObject({ valid: false });
    expect((await session.change("Delete", { handle })).status).toBe(200);
    expect((await session.change("EndSession")).status).toBe(200);
    expect((await session.read("GetStat", { handle })).status).toBe(410);
  });

  it("gets the first result again when a request is repeated under its number", async () => {
    const session = await HttpSession.begin();
    const handle = await session.open("/ls/local/once");
    const number = { requestNumber: 2, lowestUnanswered: 2 };
    const write = { handle, contents: base64("x"), ...number };
    const first = await session.read("SetContents", write);
    expect(first.status).toBe(200);
    expect(await session.read("SetContents", write)).toEqual(first);
  });
});

describe("what a call may not do", () => {
  const cases: [string, ErrorCode, (session: HttpSession) => Promise<Answer>][] = [
    [
      "an unknown path",
      "not_found",
      (at) => at.change("Open", { name: "/ls/local/no", read: true }),
    ],
    [
      "a name that is too long",
      "invalid_name",
      (at) => at.change("Open", { name: `/ls/local/${"n".repeat(NAME_BYTES_MAX)}`, read: true }),
    ],
    [
      "a name with an empty part",
      "invalid_name",
      (at) => at.change("Open", { name: "/ls/local//x", read: true }),
    ],
    [
      "a file of more than 256 KiB",
      "file_too_large",
      async (at) => {
        const contents = base64("x".repeat(FILE_BYTES_MAX + 1));
        return at.change("SetContents", { handle: await at.open("/ls/local/large"), contents });
      },
    ],
    [
      "a write on another generation",
      "generation_mismatch",
      async (at) => {
        const condition = { hasIfGeneration: true, ifGeneration: 1 };
        const handle = await at.open("/ls/local/cas");
        return at.change("SetContents", { handle, contents: "", ...condition });
      },
    ],
    [
      "a deletion of a directory that is not empty",
      "not_empty",
      async (at) => {
        const handle = await at.open("/ls/local/full", { kind: "DIRECTORY" });
        await at.open("/ls/local/full/child");
        return at.change("Delete", { handle });
      },
    ],
    [
      "a handle whose node was deleted",
      "stale_handle",
      async (at) => {
        const handle = await at.open("/ls/local/gone");
        await at.change("Delete", { handle });
        return at.read("GetStat", { handle });
      },
    ],
    [
      "a handle with another last digit",
      "forged_handle",
      async (at) => {
        const digits = Buffer.from(String(await at.open("/ls/local/forged")), "base64");
        digits[digits.length - 1] = (digits.at(-1) ?? 0) ^ 1;
        return at.read("GetStat", { handle: digits.toString("base64") });
      },
    ],
    [
      "a handle of another session",
      "forged_handle",
      async (at) => {
        const handle = await (await HttpSession.begin()).open("/ls/local/theirs");
        return at.read("GetStat", { handle });
      },
    ],
    [
      "an Acquire without write mode",
      "permission_denied",
      async (at) => {
        const handle = await at.open("/ls/local", { write: false });
        return at.change("Acquire", { handle, mode: "SHARED" });
      },
    ],
    [
      "bytes that are no sequencer",
      "sequencer_malformed",
      () => post("CheckSequencer", { sequencer: "AAAA" }),
    ],
    [
      "a call guarded by a stale sequencer",
      "sequencer_stale",
      async (at) => {
        const handle = await at.open("/ls/local/guarded");
        const { body } = await at.change("Acquire", { handle, mode: "EXCLUSIVE" });
        await at.change("Release", { handle });
        return at.change("SetContents", { handle, contents: "", guard: body["sequencer"] });
      },
    ],
    ["an epoch that is over", "stale_epoch", (at) => at.read("KeepAlive", { clientEpoch: 0 })],
    [
      "a session that is over",
      "session_expired",
      async (at) => {
        await at.change("EndSession");
        return at.read("KeepAlive");
      },
    ],
  ];

  it.each(cases)("is refused by name: %s", async (_what, code, ask) => {
    const answer = await ask(await HttpSession.begin());
    expect(answer.body).toMatchObject({ error: { code } });
    expect(answer.status).toBe(ERROR_CODES[code].httpStatus);
  });
});

describe("any replica over HTTP", () => {
  it("sends who asks it for more than a master's address on to the master", async () => {
    const other = (cell?.replicas ?? []).find((replica) => replica !== master) ?? 0;
    const masterAddress = cell?.address(master);
    const located = await post("Locate", {}, other);
    expect(located.body).toMatchObject({ masterId: master, masterAddress });
    expect(await post("CreateSession", {}, other)).toMatchObject({
      status: 421,
      body: { error: { code: "not_master", masterId: master, masterAddress } },
    });
  });

  it("says how it is, to a person and to Prometheus", async () => {
    for (const replica of cell?.replicas ?? []) {
      for (const page of ["/livez", "/readyz"]) {
        const response = await fetch(url(replica, page));
        expect([page, response.status, await response.json()]).toMatchObject([
          page,
          200,
          { ok: true },
        ]);
      }
      const metrics = await (await fetch(url(replica, "/metrics"))).text();
      expect(metrics).toMatch(new RegExp(`^cubby_is_master ${replica === master ? 1 : 0}$`, "m"));
    }
  });
});
