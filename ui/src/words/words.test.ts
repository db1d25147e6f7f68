import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { dictionaries, fill } from ".";
import { en } from "./en";
import { zh } from "./zh";

const places = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();

test("every language has every text, with the same places", () => {
  expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort());
  for (const [word, text] of Object.entries(dictionaries.en)) {
    const other = zh[word as keyof typeof zh];
    expect(other.trim(), word).not.toBe("");
    // A number may be said by the plural alone, as in `one line|{n} lines`.
    expect(places(other), word).toEqual(places(text));
  }
});

test("Chinese texts are Chinese, except names", () => {
  const latin = Object.entries(zh).filter(
    ([word, text]) => !/[一-鿿]/.test(text) && !word.startsWith("set/"),
  );
  expect(latin).toEqual([]);
});

test("every text is used somewhere", () => {
  const root = join(import.meta.dirname, "..");
  const sources = readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((path) => /\.tsx?$/.test(path) && !path.startsWith("words"))
    .map((path) => readFileSync(join(root, path), "utf8"))
    .join("\n");
  // Of texts whose name is made at run time the beginning stands in the source.
  const made = [...sources.matchAll(/`([\w.]+[./])\$\{|`(set)\$\{/g)].map(
    (match) => match[1] ?? match[2] ?? "",
  );
  const unused = Object.keys(en).filter(
    (word) => !sources.includes(`"${word}"`) && !made.some((start) => word.startsWith(start)),
  );
  expect(unused).toEqual([]);
});

test("places are filled and numbers choose their form", () => {
  expect(fill("{a} of {b}", { a: 1, b: "x" })).toBe("1 of x");
  expect(fill("one file|{n} files", { n: 1 })).toBe("one file");
  expect(fill("one file|{n} files", { n: 3 })).toBe("3 files");
  expect(fill("{unknown}")).toBe("{unknown}");
});
