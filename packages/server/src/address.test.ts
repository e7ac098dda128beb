import { describe, expect, test } from "vitest";
import { addressText, isLoopback, parseAddress } from "./address.ts";

describe("an address", () => {
  test.each(["127.0.0.1:0", "localhost:65535", "[::1]:7420", "a-b.example_c:1", "10.0.0.1:80"])(
    "%s is read and written alike",
    (text) => {
      const address = parseAddress(text);
      expect(address).toBeDefined();
      expect(address === undefined ? "" : addressText(address)).toBe(text);
    },
  );

  test.each([
    "",
    ":1",
    "host",
    "host:",
    "host:65536",
    "host:-1",
    "host: 1",
    "::1:1",
    "[]:1",
    "[::1]",
    "a b:1",
    "a:1:2",
    "http://a:1",
    "a:1/",
  ])("%j is refused", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test("is loopback only if no other machine can reach it", () => {
    expect(["127.0.0.1", "127.1.2.3", "::1", "localhost"].map(isLoopback)).not.toContain(false);
    const others = [
      "0.0.0.0",
      "::",
      "127.0.0.1.example",
      "10.0.0.1",
      "localhost.example",
      "1270.0.0.1",
      "",
    ];
    expect(others.map(isLoopback)).not.toContain(true);
  });
});
