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
  readonly testResults: readonly TestFile[];
};

type TestFile = {
  readonly name: string;
  readonly status: string;
  readonly message: string;
  readonly assertionResults: readonly {
    readonly status: string;
    readonly fullName: string;
    readonly failureMessages: readonly string[];
  }[];
};

export function countTests(
  report: TestReport | undefined,
  exitStatus: number,
): { passed: number; failed: number } {
  if (report === undefined) return { passed: 0, failed: 1 };
  const failed = report.numFailedTests + report.testResults.filter(isBroken).length;
  const failedUnseen = failed === 0 && (exitStatus !== 0 || report.numPassedTests === 0);
  return { passed: report.numPassedTests, failed: failedUnseen ? 1 : failed };
}

/** A paragraph for each test that failed, and each file that broke before its first test. */
export function describeFailures(report: TestReport): string[] {
  return report.testResults.flatMap((file) => {
    const { name, message, assertionResults } = file;
    if (isBroken(file)) return [`${name}: ${message}`];
    return assertionResults
      .filter((test) => test.status === "failed")
      .map(
        ({ fullName, failureMessages }) => `${name}: ${fullName}\n${failureMessages.join("\n")}`,
      );
  });
}

/** Before its first test. */
function isBroken({ status, assertionResults }: TestFile): boolean {
  return status === "failed" && assertionResults.length === 0;
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
  const failures = report === undefined ? [] : describeFailures(report);
  for (const failure of failures) console.error(failure);
  if (failed > 0 && failures.length === 0) {
    console.error(`The tests ended with ${exitStatus}, and no test is known to have failed.`);
  }
  console.log(`${passed} ${failed}`);
}
