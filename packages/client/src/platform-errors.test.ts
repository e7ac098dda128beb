import { runInNewContext } from "node:vm";
import { CubbyError } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { describePlatformError } from "./platform-errors.ts";

function coded(code: string): Error {
  return Object.assign(new Error("text that nobody should read"), { code });
}

describe("a platform error", () => {
  it("is named by its code, never by its text", () => {
    expect(describePlatformError(coded("ECONNREFUSED"))).toEqual({
      code: "unreachable",
      detail: "the connection was refused (ECONNREFUSED)",
    });
    expect(describePlatformError(coded("ECONNRESET")).code).toBe("connection_lost");
    expect(describePlatformError(coded("ESOMETHINGNEW"))).toEqual({
      code: "connection_lost",
      detail: "the connection failed (ESOMETHINGNEW)",
    });
  });

  it("stands for all addresses of a host when none could be reached", () => {
    const error = new AggregateError([coded("ECONNREFUSED"), coded("ENETUNREACH")]);
    expect(describePlatformError(error).detail).toContain("ECONNREFUSED");
  });

  it("is named by its code also where a test runner gives each file a realm of its own", () => {
    const foreign = (text: string): unknown => runInNewContext(text);
    const refused = "Object.assign(new Error(), { code: 'ECONNREFUSED' })";
    for (const error of [foreign(refused), foreign(`new AggregateError([${refused}])`)]) {
      expect(describePlatformError(error).code).toBe("unreachable");
    }
  });

  it("is passed on when it is one of ours", () => {
    const error = new CubbyError("bad_frame", "a frame is broken");
    expect(describePlatformError(error).code).toBe("bad_frame");
  });
});
