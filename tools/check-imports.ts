import { isPure, PACKAGES, type PackageRow, packageOf } from "./floors.ts";
import {
  type Finding,
  type Import,
  importsOf,
  resolveRelative,
  type SourceFile,
} from "./source-file.ts";

/** Imports go down only, by package name, and a pure file reaches nothing that does I/O. */
export function checkImports(files: readonly SourceFile[]): Finding[] {
  const findings: Finding[] = [];
  for (const file of files) {
    for (const each of importsOf(file)) {
      const message = objectionTo(file, each);
      if (message !== undefined) findings.push({ path: file.path, line: each.line, message });
    }
  }
  return findings;
}

function objectionTo(file: SourceFile, { specifier }: Import): string | undefined {
  if (specifier.startsWith(".")) return relativeObjection(file, specifier);
  const target = PACKAGES.find(
    ({ name }) => specifier === name || specifier.startsWith(`${name}/`),
  );
  if (target !== undefined) return packageObjection(file, specifier, target);
  if (specifier.startsWith("@cubby/")) {
    return `${specifier} is no package of the house: add it to tools/floors.ts, or fix the name.`;
  }
  return outsideObjection(file, specifier);
}

function relativeObjection(file: SourceFile, specifier: string): string | undefined {
  if (!/\.(ts|tsx|json|css)$/.test(specifier)) {
    return `"${specifier}": end a relative import in .ts.`;
  }
  const target = resolveRelative(file, specifier);
  const home = packageOf(file.path);
  const targetHome = packageOf(target);
  // A benchmark measures, and a tool prints, what a package does not offer to users.
  const mayReachIn = /^(bench|proof|tools)\//.test(file.path);
  if (home !== targetHome && !mayReachIn) {
    const name = targetHome?.name ?? "a package";
    return `"${specifier}" leaves its package: import ${name} by name, from its index.ts.`;
  }
  if (isPure(file.path) && home?.purity === "pure core" && !target.includes("/src/core/")) {
    return (
      `"${specifier}" leads from the pure core into the shell of ${home.name}: ` +
      "take what it gives as an input, or move the pure part of it into src/core."
    );
  }
  return undefined;
}

function packageObjection(
  file: SourceFile,
  specifier: string,
  target: PackageRow,
): string | undefined {
  const home = packageOf(file.path);
  const hasCore = target.purity === "pure core";
  if (hasCore && home?.purity === "pure" && specifier === target.name && isPure(file.path)) {
    return `${home.name} is pure: import ${target.name}/core, which does no I/O.`;
  }
  const isCore = hasCore && specifier === `${target.name}/core`;
  if (specifier !== target.name && !isCore) {
    return `"${specifier}" reaches into a package: import ${target.name}, and export there by name.`;
  }
  if (home === undefined) return undefined;
  if (home === target) return `${home.name} imports itself by name: use a relative import.`;
  const reason = home.never[target.name];
  if (reason !== undefined) return `${home.name} never imports ${target.name}: ${reason}.`;
  if (target.floor >= home.floor) {
    return (
      `${home.name} (floor ${home.floor}) imports ${target.name} (floor ${target.floor}): imports ` +
      "go down only. Move what is shared down, or let the caller hand it in through an interface."
    );
  }
  return undefined;
}

function outsideObjection(file: SourceFile, specifier: string): string | undefined {
  if (!isPure(file.path)) return undefined;
  if (packageOf(file.path)?.pureImports.includes(specifier)) return undefined;
  return (
    `a pure file imports ${specifier}: cores do no I/O and stand on the house's own packages ` +
    "alone. Make it an input or an output (DESIGN §1), or allow it in tools/floors.ts."
  );
}
