// Lists and maps of the configuration as lines of text, the way forms show them, and back.

import type { ModelEntry } from "../api/types";

export function linesOf(list: readonly string[] | undefined): string {
  return (list ?? []).join("\n");
}

export function listOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

export function headerLines(headers: Record<string, string> | undefined): string {
  return Object.entries(headers ?? {})
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
}

export function headersOf(text: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of listOf(text)) {
    const colon = line.indexOf(":");
    const name = (colon < 0 ? line : line.slice(0, colon)).trim();
    if (name) headers[name] = colon < 0 ? "" : line.slice(colon + 1).trim();
  }
  return headers;
}

/** `name = alias`, or the name alone. */
export function modelLines(models: readonly ModelEntry[] | undefined): string {
  return (models ?? [])
    .map((model) =>
      model.alias && model.alias !== model.name ? `${model.name} = ${model.alias}` : model.name,
    )
    .join("\n");
}

/** Members that a form does not show stay with their model. */
export function modelsOf(text: string, before: readonly ModelEntry[] | undefined): ModelEntry[] {
  return listOf(text).map((line) => {
    const [name = "", alias = ""] = line.split("=").map((part) => part.trim());
    const known = (before ?? []).find(
      (model) => model.name === name && (model.alias ?? name) === (alias || name),
    );
    return (
      known ??
      (before ?? []).find((model) => model.name === name && alias === "") ?? { name, alias: alias || name }
    );
  });
}
