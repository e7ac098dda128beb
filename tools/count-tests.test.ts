import { describe, expect, it } from "vitest";
import { countTests, type TestReport } from "./count-tests.ts";

function report(fields: Partial<TestReport>): TestReport {
  return { numPassedTests: 0, numFailedTests: 0, testResults: [], ...fields };
}

describe("countTests", () => {
  it("counts what passed and what failed", () => {
    expect(countTests(report({ numPassedTests: 3, numFailedTests: 2 }), 1)).toEqual({
      passed: 3,
      failed: 2,
    });
  });

  it("counts a file that broke before its first test", () => {
    const testResults = [
      { status: "failed", assertionResults: [] },
      { status: "failed", assertionResults: [{}] },
      { status: "passed", assertionResults: [{}] },
    ];
    expect(countTests(report({ numPassedTests: 3, numFailedTests: 1, testResults }), 1)).toEqual({
      passed: 3,
      failed: 2,
    });
  });

  it("never counts trouble as nothing", () => {
    expect(countTests(undefined, 0)).toEqual({ passed: 0, failed: 1 });
    expect(countTests(report({ numPassedTests: 3 }), 1)).toEqual({ passed: 3, failed: 1 });
    expect(countTests(report({}), 0)).toEqual({ passed: 0, failed: 1 });
  });
});
