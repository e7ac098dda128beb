import { Command, Request } from "@cubby/protocol";
import { describe, expect, it } from "vitest";
import type { ConnectionId } from "../options.ts";
import { FakeLog } from "../test-support/harness.ts";
import { Call } from "./call.ts";
import { Intake } from "./intake.ts";
import type { MasterParts } from "./parts.ts";
import { Proposals } from "./proposals.ts";

describe("the intake", () => {
  it("is full when so many commands are under way, however small, until one is applied", () => {
    const log = new FakeLog();
    const proposals = new Proposals(log, 1, { last: 0 });
    const intake = new Intake({ proposals } as MasterParts, {});
    const call = new Call(undefined, 1 as ConnectionId, Request.create());
    let count = 0;
    for (; !intake.isOverloaded && count < 200_000; count += 1) {
      proposals.proposeFor(call, { $case: "endSession", value: {} });
    }
    expect(count).toBe(131_072);
    proposals.take(Command.decode(log.proposed[0] ?? new Uint8Array(0)));
    expect(intake.isOverloaded).toBe(false);
  });
});
