import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  connectionErrorCode,
  directoryError,
  listenError,
  platformCode,
} from "./platform-errors.ts";

function platformError(code: string): Error {
  return Object.assign(new Error(`${code}: what the system says`), { code });
}

test.each([
  ["EADDRINUSE", "address_in_use"],
  ["EACCES", "config_invalid"],
  ["EADDRNOTAVAIL", "config_invalid"],
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
