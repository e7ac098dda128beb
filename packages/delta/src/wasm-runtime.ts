/** The part of WebAssembly that is used here, by its shape: this package compiles without a DOM. */
type Engine = {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (limits: { initial: number; maximum: number }) => WasmMemory;
  readonly Instance: new (
    module: object,
    imports: { e: Record<string, unknown> },
  ) => { readonly exports: Record<string, unknown> };
};

export type WasmMemory = { readonly buffer: ArrayBuffer };

export type Linked = {
  readonly memory: WasmMemory;
  readonly exports: Readonly<Record<string, unknown>>;
};

/**
 * Compiles a module over a memory of its own that never grows, so that views of it stay good. Undefined
 * where there is no WebAssembly with SIMD, or a content-security policy forbids it: JavaScript does it.
 */
export function link(bytes: () => Uint8Array, pages: number): Linked | undefined {
  const { WebAssembly: engine } = globalThis as { WebAssembly?: Engine };
  if (engine === undefined) return undefined;
  try {
    const memory = new engine.Memory({ initial: pages, maximum: pages });
    const { exports } = new engine.Instance(new engine.Module(bytes()), { e: { m: memory } });
    return { memory, exports };
  } catch {
    // Refused by a policy, or too old: every caller has a path in JavaScript.
    return undefined;
  }
}
