import { describe, expect, it } from "vitest";
import { adapt } from "./generate-protocol.ts";

const GENERATED = `import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";

function bytesFromBase64(b64: string): Uint8Array {
  return Buffer.from(b64);
}

function base64FromBytes(arr: Uint8Array): string {
  return btoa(arr);
}

function longToNumber(int64: { toString(): string }): number {
  return globalThis.Number(int64.toString());
}
`;

describe("adapt", () => {
  it("takes the platform out of what ts-proto writes", () => {
    const adapted = adapt(GENERATED);
    expect(adapted).not.toMatch(/Buffer|btoa|toString\(\)\)/);
    expect(adapted).toContain('from "@cubby/base";');
  });

  it("says which part it no longer finds", () => {
    expect(() => adapt(GENERATED.replace("base64FromBytes", "toText"))).toThrow(
      "the base64 encoder over Buffer and btoa: expected once",
    );
  });
});
