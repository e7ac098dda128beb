import { describe, expect, it } from "vitest";
import { barLine, brief, signedPlot } from "./block-plot.ts";

describe("plots", () => {
  it("show means as bars, and something wherever there is more than nothing", () => {
    expect(barLine([0, 0.1, 4, 8], 10, 8)).toBe(" ▁▄█");
    expect(barLine([2, 2, 8, 8, 0, 0], 3, 8)).toBe("▂█ ");
    expect(barLine([0, 0], 2, 0)).toBe("  ");
    expect(barLine([], 2, 8)).toBe("");
  });

  it("show signed values as bars from 0", () => {
    expect(signedPlot([0.25, -0.15, 0.5, -0.2], 60)).toEqual([
      " 0.5 ┤  █",
      "     │  █",
      "     │█ █",
      "   0 ┤█ █",
      "     │ █ █",
      "-0.2 ┤ ▀ █",
    ]);
    expect(signedPlot([1, 2, 3], 60)).toEqual([
      "3 ┤  █",
      "  │  █",
      "  │ ██",
      "  │ ██",
      "  │███",
      "0 ┤███",
    ]);
    expect(signedPlot([-4, 0], 60)[0]).toBe(" 0 ┤█");
    expect(signedPlot([0, 0], 60)).toHaveLength(6);
    expect(signedPlot([], 60)).toHaveLength(6);
  });

  it("show the extremes of all that falls at one place", () => {
    const wave = Float64Array.from({ length: 1_000 }, (_, i) => (i === 777 ? 10 : i % 2 ? -1 : 1));
    const lines = signedPlot(wave, 10);
    expect(lines).toEqual([
      "10 ┤       █",
      "   │       █",
      "   │       █",
      "   │       █",
      " 0 ┤▄▄▄▄▄▄▄█▄▄",
      "-1 ┤▀▀▀▀▀▀▀▀▀▀",
    ]);
  });

  it("show numbers in few characters", () => {
    expect([0.25, -1234567, 1e-9, 123456789012, 0].map(brief)).toEqual([
      "0.25",
      "-1230000",
      "1e-9",
      "1.2e+11",
      "0",
    ]);
  });
});
