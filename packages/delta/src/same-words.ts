type Runtime = { readonly Buffer?: { compare(a: Uint8Array, b: Uint8Array): number } };

export function sameWords(a: Int32Array, b: Int32Array): boolean {
  // A runtime that compares memory does it at ten times the speed of a loop.
  const { Buffer: memory } = globalThis as Runtime;
  if (memory !== undefined) return memory.compare(bytesOf(a), bytesOf(b)) === 0;
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i += 1) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}

function bytesOf({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
