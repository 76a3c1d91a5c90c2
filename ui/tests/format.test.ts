import { expect, test } from "vitest";
import { absolute, ago, amount, bytes, duration, percent, resource, short } from "../src/lib/format";

test("durations name two units and no more", () => {
  expect([840, 1_234, 59_900, 61_000, 3_720_000, 100 * 3_600_000].map(duration)).toEqual(["840 ms", "1.2 s", "59 s", "1 min 01 s", "1 h 02 min", "4 d 4 h"]);
  expect(duration(-5)).toBe("0 s");
});
test("ages begin with now", () => {
  expect([0, 3_000, 130_000, 7_200_000, 5 * 86_400_000].map(ago)).toEqual(["now", "3 s ago", "2 min ago", "2 h ago", "5 d ago"]);
});
test("quantities of Kubernetes become numbers, and text people read", () => {
  expect(["500m", "4", "1Gi", "2k", "1e3"].map(amount)).toEqual([0.5, 4, 2 ** 30, 2_000, 1_000]);
  expect(amount("lots")).toBeNaN();
  expect(resource("memory", "1536Mi")).toBe("1.5 GiB");
  expect(resource("cpu", "2500m")).toBe("2.5");
  expect(resource("memory", "lots")).toBe("lots");
  expect(bytes(0)).toBe("0 B");
});
test("large numbers are shortened, small fractions keep a digit", () => {
  expect([9_999, 12_345, 999_999, 4_500_000].map(short)).toEqual(["9,999", "12.3k", "1000k", "4.5M"]);
  expect([0, 0.034, 0.5, 1].map(percent)).toEqual(["0 %", "3.4 %", "50 %", "100 %"]);
});
test("absolute times name their zone when it is not the reader's", () => {
  expect(absolute(Date.parse("2026-11-24T13:45:02.123Z"), "utc", true)).toBe("2026-11-24 13:45:02.123 UTC");
});
