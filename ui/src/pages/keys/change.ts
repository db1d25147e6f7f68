// An upstream key as the texts of a form, and what of it a person changed.

import type { KeyEntry } from "../../api/types";
import { headerLines, headersOf, linesOf, listOf, modelLines, modelsOf } from "../../lib/pairs";

export type Texts = Record<
  | "name"
  | "key"
  | "keys"
  | "base"
  | "proxy"
  | "prefix"
  | "priority"
  | "weight"
  | "headers"
  | "models"
  | "excluded",
  string
>;

export function textsOf(entry: KeyEntry): Texts {
  return {
    name: entry.name ?? "",
    key: entry["api-key"] ?? "",
    keys: linesOf((entry["api-key-entries"] ?? []).map((one) => one["api-key"])),
    base: entry["base-url"] ?? "",
    proxy: entry["proxy-url"] ?? "",
    prefix: entry.prefix ?? "",
    priority: entry.priority?.toString() ?? "",
    weight: entry.weight?.toString() ?? "",
    headers: headerLines(entry.headers),
    models: modelLines(entry.models),
    excluded: linesOf(entry["excluded-models"]),
  };
}

/** The members that the form changed, as the gateway takes them. */
export function changes(before: KeyEntry, texts: Texts): KeyEntry {
  const was = textsOf(before);
  const changed = (name: keyof Texts) => texts[name].trim() !== was[name].trim();
  const value: KeyEntry = {};
  if (changed("name")) value.name = texts.name.trim();
  if (changed("key")) value["api-key"] = texts.key.trim();
  if (changed("keys")) {
    const known = before["api-key-entries"] ?? [];
    value["api-key-entries"] = listOf(texts.keys).map(
      (key) => known.find((one) => one["api-key"] === key) ?? { "api-key": key },
    );
  }
  if (changed("base")) value["base-url"] = texts.base.trim();
  if (changed("proxy")) value["proxy-url"] = texts.proxy.trim();
  if (changed("prefix")) value.prefix = texts.prefix.trim();
  if (changed("priority")) value.priority = Number(texts.priority.trim() || 0);
  if (changed("weight")) value.weight = Number(texts.weight.trim() || 1);
  if (changed("headers")) value.headers = headersOf(texts.headers);
  if (changed("models")) value.models = modelsOf(texts.models, before.models);
  if (changed("excluded")) value["excluded-models"] = listOf(texts.excluded);
  return value;
}
