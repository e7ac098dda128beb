import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  connectionErrorCode,
  directoryError,
  listenError,
  messageOf,
  platformCode,
} from "./platform-errors.ts";

function platformError(code: string): Error {
  return Object.assign(new Error(`${code}: what the system says`), { code });
}

test.each([
  ["EADDRINUSE", "address_in_use"],
  ["EACCES", "config_invalid"],
  ["EADDRNOTAVAIL", "config_invalid"],
  ["ENOTFOUND", "config_invalid"],
  ["EINVAL", "config_invalid"],
  ["EAI_AGAIN", "unreachable"],
  ["EMFILE", "overloaded"],
  ["EWEIRD", "internal"],
])("listening that fails with %s is %s, and names the setting", (code, expected) => {
  const cause = platformError(code);
  const error = listenError("peerAddress", "127.0.0.1:7071", cause);
  expect(error).toMatchObject({ code: expected, cause });
  expect(error.message).toContain("peerAddress 127.0.0.1:7071");
});

test.each([
  ["EACCES", "directory_denied"],
  ["EROFS", "directory_denied"],
  ["ENOENT", "config_invalid"],
  ["EEXIST", "config_invalid"],
  ["ENOSPC", "disk_full"],
  ["EIO", "disk_failed"],
  ["EWEIRD", "internal"],
])("a directory that fails with %s is %s, and is named", (code, expected) => {
  const error = directoryError("/data", platformError(code));
  expect(error.code).toBe(expected);
  expect(error.message).toContain("/data");
});

test.each([
  ["ECONNREFUSED", "unreachable"],
  ["ENOTFOUND", "unreachable"],
  ["ECONNRESET", "connection_lost"],
  ["EPIPE", "connection_lost"],
  ["EWEIRD", "connection_lost"],
])("a connection that ends with %s is %s", (code, expected) => {
  expect(connectionErrorCode(platformError(code))).toBe(expected);
});

test("a name server that does not answer is not blamed on the configuration", () => {
  const { message } = listenError("sessionAddress", "host-a:7070", platformError("EAI_AGAIN"));
  expect(message).toContain("cannot be looked up now");
  expect(message).not.toContain("Correct");
});

test("an error that gathers others says what they say", () => {
  const refused = new AggregateError([platformError("ECONNREFUSED"), platformError("ENETUNREACH")]);
  expect(messageOf(refused)).toBe(
    "ECONNREFUSED: what the system says; ENETUNREACH: what the system says",
  );
  expect(messageOf(new AggregateError([], "none was tried"))).toBe("none was tried");
  expect(messageOf(new Error("plain"))).toBe("plain");
});

test("the system's own errors carry the code that is looked for", () => {
  const directory = mkdtempSync(join(tmpdir(), "cubby-errors-"));
  try {
    readdirSync(join(directory, "missing"));
    expect.unreachable();
  } catch (error) {
    expect(platformCode(error)).toBe("ENOENT");
  } finally {
    rmSync(directory, { recursive: true });
  }
  expect(platformCode(new Error("no code"))).toBe("");
  expect(platformCode("not an error")).toBe("");
});
