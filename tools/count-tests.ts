/**
 * Prints "passed failed" for a run of Vitest, and to stderr what failed and why:
 * `tsx tools/count-tests.ts report.json exit-status`.
 * A file that broke before its first test, a run that failed for another reason, and a report that
 * is missing count as one failure each: nothing that went wrong may count as nothing.
 */

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

export type TestReport = {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
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

/** A paragraph for each test that failed, and each file that broke before its first test. */
export function describeFailures(report: TestReport): string[] {
  return report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    if (status === "failed" && assertionResults.length === 0) return [`${name}: ${message}`];
    return assertionResults
      .filter((test) => test.status === "failed")
      .map(
        ({ fullName, failureMessages }) => `${name}: ${fullName}\n${failureMessages.join("\n")}`,
      );
  });
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
  const report = readReport(path);
  const { passed, failed } = countTests(report, Number(exitStatus));
  for (const failure of report === undefined ? [] : describeFailures(report))
    console.error(failure);
  console.log(`${passed} ${failed}`);
}
