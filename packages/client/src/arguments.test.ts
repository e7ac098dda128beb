import { FILE_BYTES_MAX } from "@cubby/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect } from "./connect.ts";
import type { Handle } from "./handle.ts";
import type { CubbySession } from "./session.ts";
import { FakeReplica } from "./test-support/fake-replica.ts";

const PATH = "/ls/local/a";
const TOO_LONG = "x".repeat(600_000);

let replica: FakeReplica;
let cell: CubbySession;
let file: Handle;

beforeEach(async () => {
  replica = new FakeReplica();
  await replica.listen();
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
