import { posix } from "node:path";

/** A file of the repository: its path from the root, with forward slashes, and its text. */
export type SourceFile = { readonly path: string; readonly text: string };

/** What a rule has against a file. The message says what to do. */
export type Finding = { readonly path: string; readonly line: number; readonly message: string };

export type Import = { readonly specifier: string; readonly line: number };

const IMPORT_PATTERNS = [
  /^[ \t]*(?:import|export)\b[^;"'`]*?\bfrom\s*["']([^"']+)["']/gm,
  /^[ \t]*import\s*["']([^"']+)["']/gm,
  /\bimport\(\s*["']([^"']+)["']/g,
];

/** Every module that a file names: static, for side effects, or at run time. In order of lines. */
export function importsOf(file: SourceFile): Import[] {
  const imports: Import[] = [];
  for (const pattern of IMPORT_PATTERNS) {
    for (const match of file.text.matchAll(pattern)) {
      const line = lineAt(file.text, match.index + match[0].length);
      imports.push({ specifier: match[1] ?? "", line });
    }
  }
  return imports.sort((a, b) => a.line - b.line);
}

/** The path that a relative import leads to. */
export function resolveRelative(file: SourceFile, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(file.path), specifier));
}

export function lineAt(text: string, index: number): number {
  let line = 1;
  for (let i = text.indexOf("\n"); i !== -1 && i < index; i = text.indexOf("\n", i + 1)) line += 1;
  return line;
}
