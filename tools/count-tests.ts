/**
 * Prints "passed failed" for a run of Vitest: `tsx tools/count-tests.ts report.json exit-status`.
 * A file that broke before its first test, a run that failed for another reason, and a report that
 * is missing count as one failure each: nothing that went wrong may count as nothing.
 */

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

export type TestReport = {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly unknown[];
  }[];
};

export function countTests(
  report: TestReport | undefined,
  exitStatus: number,
): { passed: number; failed: number } {
  if (report === undefined) return { passed: 0, failed: 1 };
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
  );
  const failed = report.numFailedTests + brokenFiles.length;
  const failedUnseen = failed === 0 && (exitStatus !== 0 || report.numPassedTests === 0);
  return { passed: report.numPassedTests, failed: failedUnseen ? 1 : failed };
}

function readReport(path: string): TestReport | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as TestReport;
  } catch (error) {
    console.error(`no report of the tests: ${error}`);
    return undefined;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [, , path = "", exitStatus = "1"] = process.argv;
  const { passed, failed } = countTests(readReport(path), Number(exitStatus));
  console.log(`${passed} ${failed}`);
}
