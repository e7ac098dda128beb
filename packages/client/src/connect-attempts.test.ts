import { expect, it } from "vitest";
import { ConnectAttempts } from "./connect-attempts.ts";

it("gives a name's addresses ever longer, and then a short time again, until a connection is made", () => {
  const attempts = new ConnectAttempts();
  const failed = () => {
    attempts.onFailed("name");
    return attempts.msFor("name");
  };
  expect(attempts.msFor("name")).toBe(250);
  expect([failed(), failed(), failed(), failed()]).toEqual([500, 1_000, 250, 500]);
  expect(attempts.msFor("other")).toBe(250);
  attempts.onMade("name");
  expect(attempts.msFor("name")).toBe(250);
});
