import { basename } from "node:path";
import { type Finding, lineAt, type SourceFile } from "./source-file.ts";

const FILE_LINES_MAX = 800;

/** Words that say that a file has no subject. */
const EMPTY_WORDS = ["util", "utils", "helper", "helpers", "manager", "common", "misc"];

const COMMENT = /(?:\/\/|\/\*|^[ \t]*\*)(.*)$/gm;

/** Code, in a line that is nothing but a comment: it begins as a statement and ends as one. */
const CODE_IN_COMMENT =
  /^[ \t]*\/\/\s*(?:const|let|import|export|return|throw|await|if \(|for \(|while \().*[;{]$/gm;

export function checkLength(files: readonly SourceFile[]): Finding[] {
  const findings: Finding[] = [];
  for (const { path, text } of files) {
    const lines = text.split("\n").length - 1;
    if (lines <= FILE_LINES_MAX) continue;
    const message = `${lines} lines, at most ${FILE_LINES_MAX}: a file has one subject; split it.`;
    findings.push({ path, line: FILE_LINES_MAX + 1, message });
  }
  return findings;
}

export function checkNames(files: readonly SourceFile[]): Finding[] {
  const findings: Finding[] = [];
  for (const { path } of files) {
    const stem = basename(path).replace(/\..*$/, "");
    const word = stem.split("-").find((each) => EMPTY_WORDS.includes(each.toLowerCase()));
    if (word !== undefined) {
      const message = `"${word}" names no subject: name the file for the one noun in it.`;
      findings.push({ path, line: 1, message });
    }
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(stem)) {
      const message = "file names are kebab-case: lower-case words joined by hyphens.";
      findings.push({ path, line: 1, message });
    }
  }
  return findings;
}

export function checkExports(files: readonly SourceFile[]): Finding[] {
  return findAll(
    files.filter(({ path }) => basename(path) === "index.ts"),
    /^export \*/gm,
    () => "an index re-exports by name, so that what is public is a decision: list the names.",
  );
}

export function checkComments(files: readonly SourceFile[]): Finding[] {
  return [
    ...findAll(files, COMMENT, ([, comment = ""]) => commentObjection(comment)),
    ...findAll(files, CODE_IN_COMMENT, () => "commented-out code: delete it, git remembers."),
  ];
}

function commentObjection(comment: string): string | undefined {
  if (/\bFIXME\b/.test(comment)) return "FIXME may not be committed: fix it, or open an issue.";
  if (/\bTODO\b(?![( ]*#\d+)/.test(comment)) {
    return "a TODO needs the number of its issue: TODO(#12): what is left.";
  }
  return undefined;
}

function findAll(
  files: readonly SourceFile[],
  pattern: RegExp,
  objection: (match: RegExpExecArray) => string | undefined,
): Finding[] {
  const findings: Finding[] = [];
  for (const { path, text } of files) {
    for (const match of text.matchAll(pattern)) {
      const message = objection(match);
      if (message !== undefined) findings.push({ path, line: lineAt(text, match.index), message });
    }
  }
  return findings;
}
