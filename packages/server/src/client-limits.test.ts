import { describe, expect, it } from "vitest";
import { clientLimits, openFilesMax } from "./client-limits.ts";

const MIB = 1024 ** 2;
const wanted = {
  connectionsMax: 16_000,
  segmentBytes: 64 * MIB,
  snapshotJournalBytes: 128 * MIB,
};

describe("the connections of clients", () => {
  it("are as many as were asked for where enough files may be open", () => {
    expect(clientLimits(wanted, 20_000)).toEqual({ session: 16_000, refusing: 256, http: 1_024 });
    const unbounded = clientLimits(wanted, Number.MAX_SAFE_INTEGER);
    expect(unbounded).toEqual({ session: 16_000, refusing: 256, http: 1_024 });
  });

  it.each([256, 1_024, 4_096, 16_384])("leave files to open when %d may be", (openFiles) => {
    const { session, refusing, http } = clientLimits(wanted, openFiles);
    expect(Math.min(session, refusing, http)).toBeGreaterThan(0);
    expect(session + refusing + http).toBeLessThanOrEqual(openFiles - 192);
  });

  it("leave more of them where the journal has many segments", () => {
    const small = { ...wanted, segmentBytes: MIB };
    const fewer = clientLimits(wanted, 4_096).session - clientLimits(small, 4_096).session;
    expect(fewer).toBeGreaterThan(128);
  });

  it("are a few wherever a replica can run at all", () => {
    expect(clientLimits(wanted, 128)).toEqual({ session: 13, refusing: 1, http: 2 });
    const endless = { ...wanted, snapshotJournalBytes: 2 ** 40, connectionsMax: 1 };
    expect(clientLimits(endless, 1_024)).toMatchObject({ session: 1 });
  });

  it("have a bound that the system tells, or none", () => {
    expect(openFilesMax()).toBeGreaterThan(200);
  });
});
