import { expect, test } from "vitest";
import { bytes, compact, elapsed, masked, money, percent, remaining, whole } from "./format";

test("large numbers are short and never round to the next letter", () => {
  expect([0, 999, 1000, 1234, 99_949, 999_499, 999_700, 8_420_000, 2.25e9].map(compact)).toEqual([
    "0",
    "999",
    "1k",
    "1.2k",
    "100k",
    "999k",
    "1M",
    "8.4M",
    "2.3B",
  ]);
  expect(compact(0.25)).toBe("0.3");
});

test("a share that is nearly nothing is not called nothing", () => {
  expect([0, 0.001, 0.42, 0.999, 1].map(percent)).toEqual(["0%", "<1%", "42%", ">99%", "100%"]);
});

test("small costs keep their digits", () => {
  expect(money(12.345, "en")).toBe("12.35");
  expect(money(0.0042, "en")).toBe("0.0042");
  expect(money(0, "en")).toBe("0.00");
});

test("durations name their two largest units", () => {
  expect(remaining(93_784, "en")).toBe("1 d 2 h");
  expect(remaining(3_601, "en")).toBe("1 h");
  expect(remaining(59, "zh")).toBe("59秒");
  expect(remaining(-5, "en")).toBe("0 s");
  expect([640, 3_240, 59_960, 125_400].map(elapsed)).toEqual(["640 ms", "3.2 s", "1 min 00 s", "2 min 05 s"]);
});

test("sizes and numbers are written for people", () => {
  expect([512, 18_211, 1_500_000].map(bytes)).toEqual(["512 B", "18 kB", "1.5 MB"]);
  expect(whole(1_234_567, "en")).toBe("1,234,567");
});

test("a secret shows its ends at most", () => {
  expect(masked("sk-1f0c7c1f9e2d")).toBe("sk-••••9e2d");
  expect(masked("short")).toBe("••••");
});
