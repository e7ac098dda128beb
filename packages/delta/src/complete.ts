import { addTextCodec } from "./chunk-body.ts";
import { addRuntimeCompressors } from "./handoff.ts";
import { inspect as inspectBytes } from "./inspect.ts";
import { addPackedEngine } from "./packed.ts";
import { forgetPackedWasm, packedWasm } from "./packed-wasm.ts";
import { runtimeCompressors } from "./runtime-compressors.ts";
import { Series as CoreSeries } from "./series.ts";
import { decode as decodeSeries, encode as encodeSeries } from "./series-codec.ts";
import { addSlotsEngine } from "./small.ts";
import { decodeStream as decodePieces, encodeStream as encodePieces } from "./stream.ts";
import { decodeTable as decodeColumns, encodeTable as encodeColumns } from "./table.ts";
import { decodeText, encodeText } from "./text-body.ts";
import { decodePackedSlotsWasm } from "./wasm-rans.ts";

/**
 * Adds strings, WebAssembly and the runtime's compressors to the core, and gives back what it was given.
 * Bundlers are told that these calls are pure: whatever nobody imports costs no program a byte, and no
 * import has an effect of its own.
 */
function complete<T>(given: T): T {
  addTextCodec({ encodeText, decodeText });
  addPackedEngine({ packedWasm, forgetPackedWasm });
  addSlotsEngine(decodePackedSlotsWasm);
  addRuntimeCompressors(runtimeCompressors);
  return given;
}

export const encode = /* @__PURE__ */ complete(encodeSeries);
export const decode = /* @__PURE__ */ complete(decodeSeries);
export const encodeStream = /* @__PURE__ */ complete(encodePieces);
export const decodeStream = /* @__PURE__ */ complete(decodePieces);
export const encodeTable = /* @__PURE__ */ complete(encodeColumns);
export const decodeTable = /* @__PURE__ */ complete(decodeColumns);
export const inspect = /* @__PURE__ */ complete(inspectBytes);
export const Series = /* @__PURE__ */ complete(CoreSeries);
export type Series = CoreSeries;
