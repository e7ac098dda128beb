import { describe, expect, it } from "vitest";
import { cellNameOf, endpointsOf } from "./endpoints.ts";

describe("the url of a cell", () => {
  it("names replicas by host and port, 7070 where it is left out", () => {
    const url = "cubby://10.0.0.1:7080, db2 ,[::1]:65535,[::1]/prod";
    expect(endpointsOf(url)).toEqual(["10.0.0.1:7080", "db2:7070", "[::1]:65535", "[::1]:7070"]);
    expect(endpointsOf("cubby://localhost")).toEqual(["localhost:7070"]);
    expect(endpointsOf("cubby://localhost/prod/")).toEqual(["localhost:7070"]);
    expect(cellNameOf("cubby://localhost/prod/")).toBe("prod");
  });

  it("is refused where it names no host, or no port that there is", () => {
    for (const host of ["127.0.0.1:99999", "127.0.0.1:0", "a:b", "a,,b", "::1", "a b"]) {
      expect(() => endpointsOf(`cubby://${host}/local`)).toThrow("does not name a cell");
    }
  });
});
