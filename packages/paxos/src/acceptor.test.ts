import { instant, utf8Encode } from "@cubby/base";
import { expect, it, vi } from "vitest";
import { Acceptor } from "./acceptor.ts";
import { Outbox } from "./outbox.ts";
import { emptyLog } from "./recovery.ts";
import { ballot } from "./test-support/lone-engine.ts";

it("an acceptor costs the same with each record, however many became durable before", () => {
  const outbox = new Outbox();
  const own = ballot(1, 1);
  const acceptor = new Acceptor(outbox, { ...emptyLog(), promised: own, acceptedBallot: own });
  const covers = vi.spyOn(outbox.durability, "covers");
  for (let n = 0; n < 1_000; n += 1) {
    acceptor.append(instant(n), own, [utf8Encode("a")]);
    outbox.durability.persistedThrough(instant(n), acceptor.logIndex);
    acceptor.onPersisted();
    expect(acceptor.durableLength).toBe(n + 1);
  }
  expect(covers.mock.calls.length).toBeLessThan(5_000);
});
