import { FILE_BYTES_MAX } from "@cubby/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ConnectOptions, connect } from "./connect.ts";
import type { AcquireOptions, Handle } from "./handle.ts";
import type { OpenOptions } from "./open-options.ts";
import type { CallOptions } from "./pending-call.ts";
import type { CubbySession } from "./session.ts";
import { FakeReplica, until } from "./test-support/fake-replica.ts";

const PATH = "/ls/local/a";
const TOO_LONG = "x".repeat(600_000);

const none = undefined as unknown as string;

let replica: FakeReplica;
let cell: CubbySession;
let file: Handle;

beforeEach(async () => {
  replica = await FakeReplica.start();
  cell = await connect(replica.url);
  file = await cell.open(PATH, { create: true });
});

afterEach(async () => {
  await cell.close();
  await replica.close();
});

describe("arguments", () => {
  const bad: readonly (readonly [string, string, () => Promise<unknown>])[] = [
    ...[-1, Number.NaN, 1.5, 2 ** 60].flatMap((ifGeneration) => [
      arg(`generation ${ifGeneration}`, "invalid_argument", () =>
        file.setContents("x", { ifGeneration }),
      ),
      arg(`generation ${ifGeneration} of a path`, "invalid_argument", () =>
        cell.write(`${PATH}/b`, "x", { ifGeneration }),
      ),
    ]),
    ...[undefined, 5, [1], new ArrayBuffer(4)].map((contents) =>
      arg(`contents of type ${typeof contents}`, "invalid_argument", () =>
        file.setContents(contents as unknown as Uint8Array),
      ),
    ),
    arg("too much", "file_too_large", () => file.setContents(new Uint8Array(FILE_BYTES_MAX + 1))),
    arg("too much text", "file_too_large", () => file.setContents(TOO_LONG)),
    arg("too much for a path", "file_too_large", () => cell.write(`${PATH}/b`, TOO_LONG)),
    arg("too much at first", "file_too_large", () =>
      cell.open(`${PATH}/b`, { create: true, contents: TOO_LONG }),
    ),
    arg("too much of a leader", "file_too_large", () =>
      cell.elect(`${PATH}/b`, { value: TOO_LONG }, () => undefined),
    ),
    arg("a mode that is none", "invalid_argument", () =>
      file.acquire({ mode: "exlusive" as "exclusive" }),
    ),
    arg("a mode that is none, at once", "invalid_argument", () =>
      file.tryAcquire({ mode: "" as "shared" }),
    ),
    arg("a mode that no sequencer has", "invalid_argument", () =>
      cell.checkSequencer(PATH, new Uint8Array(8), { mode: "free" as "shared" }),
    ),
    arg("a create that is none", "invalid_argument", () =>
      cell.open(`${PATH}/b`, { create: "Must" as "must" }),
    ),
    ...(["read", "write", "directory", "ephemeral"] as const).map((what) =>
      arg(`${what} as text`, "invalid_argument", () =>
        cell.open(`${PATH}/b`, { create: true, [what]: "false" }),
      ),
    ),
    arg("no path", "invalid_argument", () => cell.open(none)),
    arg("no relative name", "invalid_argument", () => file.open(none)),
    arg("a lock-delay that is none", "invalid_argument", () =>
      cell.open(`${PATH}/b`, { create: true, lockDelay: null as unknown as string }),
    ),
    arg("a timeout that is none", "invalid_argument", () =>
      file.getStat({ timeoutMs: true as unknown as number }),
    ),
    ...[new AbortController(), "abort", 5].flatMap((given) => {
      const signal = given as unknown as AbortSignal;
      return [
        arg(`a signal that is none: ${typeof given}`, "invalid_argument", () =>
          file.getStat({ signal }),
        ),
        arg(`that of an acquire: ${typeof given}`, "invalid_argument", () =>
          file.acquire({ signal }),
        ),
        arg(`that of an election: ${typeof given}`, "invalid_argument", () =>
          cell.elect(`${PATH}/b`, { value: "x", signal }, () => undefined),
        ),
      ];
    }),
    arg("a generation in the place of options", "invalid_argument", () =>
      cell.write(PATH, "x", 5 as CallOptions),
    ),
    arg("a mode in their place", "invalid_argument", () =>
      file.acquire("shared" as AcquireOptions),
    ),
    arg("a create in their place", "invalid_argument", () =>
      cell.open(`${PATH}/b`, true as unknown as OpenOptions),
    ),
    ...(["read", "stat", "list", "mkdir", "remove"] as const).map((name) =>
      arg(`a number in their place: ${name}`, "invalid_argument", () =>
        cell[name](PATH, 5_000 as CallOptions),
      ),
    ),
    arg("nothing to lead with", "invalid_argument", () =>
      cell.elect(`${PATH}/b`, { value: "x" }, none as unknown as () => void),
    ),
    ...["cs1.", new Uint8Array(0)].flatMap((sequencer) => [
      arg(`an empty sequencer: ${typeof sequencer}`, "sequencer_malformed", () =>
        cell.open(PATH, { sequencer }),
      ),
      arg(`one to check: ${typeof sequencer}`, "sequencer_malformed", () =>
        file.checkSequencer(sequencer),
      ),
    ]),
    arg("a long relative name", "invalid_name", () => file.open(TOO_LONG)),
    arg("a long sequencer", "sequencer_malformed", () =>
      cell.checkSequencer(PATH, new Uint8Array(600_000)),
    ),
  ];

  it.each(bad)("that cannot be sent fail by themselves: %s", async (_what, code, call) => {
    const sent = replica.requests.filter((r) => r.call?.$case !== "keepAlive").length;
    await expect(call()).rejects.toMatchObject({ code, outcome: "not-applied" });
    await cell.stat(PATH);
    const later = replica.requests.filter((r) => r.call?.$case !== "keepAlive").slice(sent);
    expect(later.map((r) => r.call?.$case).filter((kind) => kind !== "close")).toEqual(["open"]);
    expect(replica.connectionCount).toBe(1);
  });

  it.each([-1, Number.NaN, 0.5])(
    "of connect are checked by it: a timeout of %s",
    async (timeout) => {
      const connecting = connect(replica.url, { requestTimeoutMs: timeout });
      await expect(connecting).rejects.toMatchObject({ code: "invalid_argument" });
      await expect(connecting).rejects.toThrow(/requestTimeoutMs/);
    },
  );

  it("of connect may be no limit: it waits until there is a cell, or it is aborted", async () => {
    replica.intercept = ({ call }) => (call?.$case === "createSession" ? undefined : "default");
    const controller = new AbortController();
    const how = { connectTimeoutMs: Number.POSITIVE_INFINITY, signal: controller.signal };
    const connecting = connect(replica.url, how);
    await until(() => replica.numbersOf("createSession").length === 2);
    controller.abort();
    await expect(connecting).rejects.toMatchObject({ code: "cancelled" });
    replica.intercept = () => "default";
    await using again = await connect(replica.url, { connectTimeoutMs: Number.POSITIVE_INFINITY });
    expect(again.state).toBe("safe");
  });

  it("of connect are checked by it: an address and a signal", async () => {
    const sessions = replica.numbersOf("createSession").length;
    const signal = new AbortController() as unknown as AbortSignal;
    for (const connecting of [connect(none), connect(replica.url, { signal })]) {
      await expect(connecting).rejects.toMatchObject({ code: "invalid_argument" });
    }
    expect(replica.numbersOf("createSession")).toHaveLength(sessions);
  });

  it("that are null are none", async () => {
    const options = { signal: null, timeoutMs: null } as unknown as CallOptions;
    await file.getStat(options);
    await file.setContents("x", null as unknown as CallOptions);
    await (await file.acquire(null as unknown as CallOptions)).release();
    await cell.write(PATH, "y", null as unknown as CallOptions);
    await (await cell.open(PATH, null as unknown as OpenOptions)).close();
    await (await connect(replica.url, null as unknown as ConnectOptions)).close();
  });

  // Also for the compiler, with exactOptionalPropertyTypes: callers pass on what they were not given.
  it("that are undefined are none", async () => {
    const how: CallOptions & { ifGeneration?: number | undefined } = {};
    const { signal, ifGeneration } = how;
    await using session = await connect(replica.url, { signal });
    await session.write(PATH, "x", { signal, ifGeneration });
    await (await file.acquire({ mode: undefined, signal })).release();
    const elected = { value: "x", lockDelay: undefined, signal };
    expect(await session.elect(PATH, elected, () => 1)).toBe(1);
  });

  it("do not lift the condition of a handle by an empty sequencer", async () => {
    const { sequencer } = await file.acquire();
    file.setSequencer(sequencer);
    for (const empty of [new Uint8Array(0), "cs1."]) {
      expect(() => file.setSequencer(empty)).toThrow(/sequencer_malformed/);
    }
    await file.setContents("x");
    expect(replica.requests.at(-1)?.guard).toEqual(Buffer.from(sequencer));
  });

  it("of an open are nothing to a call that only reads", async () => {
    const options = { create: true, ephemeral: true, contents: "x", timeoutMs: 1_000 };
    const path = `${PATH}/new`;
    for (const call of [cell.stat(path, options), cell.read(path, options)]) {
      await expect(call).rejects.toMatchObject({ code: "not_found" });
    }
    expect(replica.files.has(path)).toBe(false);
  });

  it("may be used again by the caller at once", async () => {
    const bytes = new Uint8Array([1, 2, 3]);
    const writing = file.setContents(bytes);
    bytes.fill(9);
    await writing;
    expect([...(await file.getContentsAndStat()).contents]).toEqual([1, 2, 3]);
  });

  it("takes a file of the largest size", async () => {
    const stat = await file.setContents(new Uint8Array(FILE_BYTES_MAX));
    expect(stat.contentGeneration).toBe(2);
  });
});

function arg(what: string, code: string, call: () => Promise<unknown>) {
  return [what, code, call] as const;
}
