/**
 * CRC-32C (Castagnoli, as in iSCSI, RFC 3720), eight bytes a turn: table k holds what a byte
 * contributes when k more bytes follow it in the group.
 */

const POLYNOMIAL = 0x82f63b78;

const TABLES = makeTables();

/**
 * Unsigned, 32 bits. `seed` is the checksum of the bytes before:
 * `crc32c(b, crc32c(a))` is the checksum of a and b in one.
 */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed;
  let at = 0;
  const wholeEnd = bytes.length - (bytes.length % 8);
  const t = TABLES;
  for (; at < wholeEnd; at += 8) {
    const b = bytes;
    crc ^=
      byteAt(b, at) |
      (byteAt(b, at + 1) << 8) |
      (byteAt(b, at + 2) << 16) |
      (byteAt(b, at + 3) << 24);
    crc =
      entry(t, 1792 + (crc & 0xff)) ^
      entry(t, 1536 + ((crc >>> 8) & 0xff)) ^
      entry(t, 1280 + ((crc >>> 16) & 0xff)) ^
      entry(t, 1024 + (crc >>> 24)) ^
      entry(t, 768 + byteAt(b, at + 4)) ^
      entry(t, 512 + byteAt(b, at + 5)) ^
      entry(t, 256 + byteAt(b, at + 6)) ^
      entry(t, byteAt(b, at + 7));
  }
  for (; at < bytes.length; at += 1) {
    crc = entry(t, (crc ^ byteAt(bytes, at)) & 0xff) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number;
}

function entry(table: Int32Array, at: number): number {
  return table[at] as number;
}

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    tables[byte] = crc;
  }
  for (let at = 256; at < tables.length; at += 1) {
    const before = entry(tables, at - 256);
    tables[at] = entry(tables, before & 0xff) ^ (before >>> 8);
  }
  return tables;
}
