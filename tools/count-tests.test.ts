import { describe, expect, it } from "vitest";
import { countTests, describeFailures, type TestReport } from "./count-tests.ts";

function report(fields: Partial<TestReport>): TestReport {
  return { numPassedTests: 0, numFailedTests: 0, testResults: [], ...fields };
}

const test = (status: string) => ({ status, fullName: "a b", failureMessages: ["Error: why"] });
const file = (status: string, ...tests: ReturnType<typeof test>[]) => ({
  name: "x.test.ts",
  status,
  message: "no such module",
  assertionResults: tests,
});

describe("countTests", () => {
  it("counts what passed and what failed", () => {
    expect(countTests(report({ numPassedTests: 3, numFailedTests: 2 }), 1)).toEqual({
      passed: 3,
      failed: 2,
    });
  });

  it("counts a file that broke before its first test", () => {
    const testResults = [
      file("failed"),
      file("failed", test("failed")),
      file("passed", test("passed")),
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

describe("describeFailures", () => {
  it("names what failed and why, and files that broke", () => {
    const testResults = [file("failed", test("passed"), test("failed")), file("failed")];
    expect(describeFailures(report({ testResults }))).toEqual([
      "x.test.ts: a b\nError: why",
      "x.test.ts: no such module",
    ]);
  });
});
