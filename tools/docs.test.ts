import { expect, it } from "vitest";
import { stalePages } from "./docs.ts";

it("the generated parts of the docs are what the code gives (else: npm run docs)", () => {
  expect([...stalePages().keys()]).toEqual([]);
});
