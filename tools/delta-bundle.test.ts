import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";

const SOURCE = fileURLToPath(new URL("../packages/delta/src/", import.meta.url));

type Codec = {
  readonly encode: (values: readonly string[]) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => unknown;
};

/** What a bundler makes of a program that imports this. */
async function bundled(imports: string, entry: "index" | "core"): Promise<string> {
  const contents = `export { ${imports} } from "./${entry}.ts";`;
  const stdin = { contents, resolveDir: SOURCE };
  const options = { bundle: true, minify: true, format: "esm", write: false } as const;
  const { outputFiles } = await build({ stdin, ...options });
  return outputFiles[0]?.text ?? "";
}

describe("a program that is bundled with @cubby/delta", () => {
  it("has strings and WebAssembly, though nothing but exports names them", async () => {
    const code = await bundled("encode, decode", "index");
    expect(code).toContain("WebAssembly");
    const url = `data:text/javascript;base64,${Buffer.from(code).toString("base64")}`;
    const { encode, decode } = (await import(/* @vite-ignore */ url)) as Codec;
    expect(decode(encode(["a", "b", "a"]))).toEqual(["a", "b", "a"]);
  });

  it("has nothing that it does not import", async () => {
    expect((await bundled("deltas, undelta", "index")).length).toBeLessThan(4_000);
    expect(await bundled("diff, patch", "index")).not.toContain("WebAssembly");
    expect(await bundled("encode, decode, Series", "core")).not.toContain("WebAssembly");
  });
});
