import { defineConfig } from "vitest/config";

// Packages are read as source, so that no test needs a build. Both lists are wanted: the second one
// is what Vitest consults for code that runs under Node.
const conditions = ["@cubby/source", "module", "node", "import", "default"];
const resolution = { resolve: { conditions }, ssr: { resolve: { conditions } } };

export default defineConfig({
  ...resolution,
  test: {
    projects: [
      {
        ...resolution,
        test: {
          name: "unit",
          include: ["packages/*/src/**/*.test.ts", "tools/*.test.ts", "proof/**/*.test.ts"],
          exclude: ["**/*.e2e.test.ts"],
          // Vitest leaves one core idle by itself, which on two is half of the time.
          maxWorkers: "100%",
          testTimeout: 10_000,
        },
      },
      {
        ...resolution,
        test: {
          name: "e2e",
          include: [
            "packages/*/src/**/*.e2e.test.ts",
            "examples/*.e2e.test.ts",
            "proof/**/*.e2e.test.ts",
          ],
          // Real processes on two cores: one file after the other, and after all unit tests.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
