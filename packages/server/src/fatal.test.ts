import { CubbyError } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import { exitStatusOf, FATAL_CODES, fatalOf, operatorLine } from "./fatal.ts";

describe("the end of a replica", () => {
  it("has an exit status of its own for each reason, and none that a shell uses", () => {
    const statuses = FATAL_CODES.map(exitStatusOf);
    expect(new Set(statuses).size).toBe(statuses.length);
    for (const status of statuses) {
      expect(status).toBeGreaterThan(2);
      expect(status).toBeLessThan(126);
    }
  });

  it("is told in one line that says what happened and what to do", () => {
    const detail = "write of segment-00000002 failed:\n ENOSPC no space left on device.";
    expect(operatorLine({ code: "disk_full", detail })).toBe(
      "[disk_full] write of segment-00000002 failed: ENOSPC no space left on device. " +
        "Free space on the disk, then start it again. (exit status 97)",
    );
  });

  it("keeps the code of what was thrown, and calls anything else a fault of the program", () => {
    expect(fatalOf(new CubbyError("wrong_directory", "It is replica 2's."))).toEqual({
      code: "wrong_directory",
      detail: "It is replica 2's.",
    });
    expect(fatalOf(new TypeError("x is not a function"))).toEqual({
      code: "internal",
      detail: "TypeError: x is not a function",
    });
  });
});
