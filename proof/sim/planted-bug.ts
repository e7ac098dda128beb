/** One change of text in one file. */
export type Edit = {
  readonly file: string;
  /** Occurs once in the file. */
  readonly find: string;
  readonly replace: string;
};

/**
 * A bug that somebody might make, or made elsewhere, as a change of production code. It exists only
 * in a bundle that was asked for it by name; nothing in production knows of it.
 */
export type PlantedBug = Edit & {
  readonly name: string;
  /** Its class in the list of known ones: P1 to P32, a rule of storage (S), or of the cell. */
  readonly class: string;
  /** What is wrong, in a line. */
  readonly why: string;
  /** Invariants that are likely to catch it; 0 stands for an assertion in production code. */
  readonly expects: readonly number[];
  /** Found within a few seeds, so that CI can look for it every time. */
  readonly isQuick?: boolean;
  /** Other places of the same bug; and second nets below it, which would hide it. */
  readonly also?: readonly Edit[];
};

export function editsOf(bug: PlantedBug): readonly Edit[] {
  const { file, find, replace, also = [] } = bug;
  return [{ file, find, replace }, ...also];
}

/** The text of `file` with the bug in it. */
export function plant(bug: PlantedBug, file: string, text: string): string {
  let planted = text;
  for (const { find, replace } of editsOf(bug).filter((edit) => edit.file === file)) {
    const parts = planted.split(find);
    if (parts.length !== 2) {
      const times = parts.length - 1;
      throw new Error(`${bug.name}: what it replaces occurs ${times} times in ${file}:\n${find}`);
    }
    planted = parts.join(replace);
  }
  return planted;
}
