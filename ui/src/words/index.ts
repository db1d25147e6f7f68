// The texts of the interface in its languages. English says which texts there are; the types hold the others to it.

import { language } from "../lib/settings";
import { en } from "./en";
import { zh } from "./zh";

export type Word = keyof typeof en;
export type Dictionary = Record<Word, string>;

export const dictionaries = { en: en as Dictionary, zh };

export type Values = Record<string, string | number>;

/** A text with its `{places}` filled. Of `one|{n} many` the first half is for `n` = 1. */
export function fill(text: string, values: Values = {}): string {
  const [one = "", many] = text.split("|");
  const chosen = many !== undefined && values.n !== 1 && values.n !== "1" ? many : one;
  return chosen.replace(/\{(\w+)\}/g, (place, name: string) => String(values[name] ?? place));
}

/** A text in the language of the moment. */
export function t(word: Word, values?: Values): string {
  return fill(dictionaries[language.value][word], values);
}

/** A text whose name is made at run time, or `otherwise` where there is none. */
export function known(word: string, otherwise: string): string {
  return word in en ? t(word as Word) : otherwise;
}
