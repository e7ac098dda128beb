/** Values in a block of the `fast` back end, which is what random access reads. */
export const BLOCK_VALUES = 128;

/** Values in a chunk, the unit of streaming and of checksums. */
export const CHUNK_VALUES_MAX = 2 ** 18;
export const CHUNK_VALUES_FAST = 65_536;

/** What `decode` will make unless it is told otherwise: 2^28 values. */
export const VALUES_MAX = 2 ** 28;

/**
 * The same for plain arrays, where a date, which takes most, counts as two: their values stand on the heap,
 * and where that is full, the process is aborted.
 */
export const PLAIN_VALUES_MAX = 2 ** 25;

/** Bytes of text in one `decode`, or four for each of `maxValues` if that is more. */
export const DECODED_TEXT_MAX = 2 ** 30;

/** Bytes that all strings of one chunk may take. */
export const TEXT_BYTES_MAX = 2 ** 28;

/** Columns of a table, and bytes of a column's name. */
export const COLUMNS_MAX = 16_384;
export const NAME_BYTES_MAX = 4_096;

/** One section of a file, so that a stream's reader knows what it may have to hold. */
export const SECTION_BYTES_MAX = 2 ** 30;
