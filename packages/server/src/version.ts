/** Of all packages alike; `tools/check.ts` compares it with their package.json. */
export const VERSION = "0.1.0";
