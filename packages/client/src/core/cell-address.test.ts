import { describe, expect, it } from "vitest";
import { hasHostName, parseCellAddress, splitEndpoint } from "./cell-address.ts";

describe("a cell's address", () => {
  it("names replicas and the cell, with the default port filled in", () => {
    expect(parseCellAddress("cubby://10.0.0.1,10.0.0.2:7001,host.example/local")).toEqual({
      endpoints: ["10.0.0.1:7070", "10.0.0.2:7001", "host.example:7070"],
      cellName: "local",
    });
  });

  it("may leave the cell open, and repeat a host", () => {
    expect(parseCellAddress("cubby://a,a:7070/")).toEqual({
      endpoints: ["a:7070"],
      cellName: "",
    });
  });

  it("takes IPv6 addresses in brackets", () => {
    const { endpoints } = parseCellAddress("cubby://[::1]:7001,[fe80::1]/local");
    expect(endpoints).toEqual(["[::1]:7001", "[fe80::1]:7070"]);
    expect(splitEndpoint("[::1]:7001")).toEqual({ host: "::1", port: 7001 });
  });

  it("is known for one whose host must be looked up", () => {
    for (const name of ["a:7001", "localhost:1", "10.example:1", "1.2.3.4.example:1"]) {
      expect(hasHostName(name), name).toBe(true);
    }
    for (const literal of ["127.0.0.1:7001", "[::1]:1", "[fe80::1%eth0]:1"]) {
      expect(hasHostName(literal), literal).toBe(false);
    }
  });

  it("is refused with the reason when it cannot be read", () => {
    for (const bad of [
      "",
      "http://a/local",
      "cubby://",
      "cubby:///local",
      "cubby://a:0/local",
      "cubby://a:70000/local",
      "cubby://a,,b/local",
      "cubby://a/local/more",
      "cubby://user@a/local",
      "cubby://::1/local",
    ]) {
      expect(() => parseCellAddress(bad), bad).toThrow(/^\[invalid_argument\]/);
    }
  });
});
