import { describe, expect, it } from "vitest";
import { clientLimits, openFilesMax } from "./client-limits.ts";

const WANTED = 16_000;

describe("the connections of clients", () => {
  it("are as many as were asked for where enough files may be open", () => {
    expect(clientLimits(WANTED, 20_000)).toEqual({ session: 16_000, refusing: 256, http: 1_024 });
    const unbounded = clientLimits(WANTED, Number.MAX_SAFE_INTEGER);
    expect(unbounded).toEqual({ session: 16_000, refusing: 256, http: 1_024 });
  });

  it.each([256, 1_024, 4_096, 16_384])("leave files to open when %d may be", (openFiles) => {
    const { session, refusing, http } = clientLimits(WANTED, openFiles);
    expect(Math.min(session, refusing, http)).toBeGreaterThan(0);
    expect(session + refusing + http).toBeLessThanOrEqual(openFiles - 192);
  });

  it("are a few wherever a replica can run at all", () => {
    expect(clientLimits(WANTED, 128)).toEqual({ session: 13, refusing: 1, http: 2 });
    expect(clientLimits(1, 1_024)).toMatchObject({ session: 1 });
  });

  it("have a bound that the system tells, or none", () => {
    expect(openFilesMax()).toBeGreaterThan(200);
  });
});
