// What the gateway says about a configuration, in the reader's language and as places in the text.

import { fill, known, t } from "../words";
import chinese from "../words/problems.zh.json";
import { language } from "./settings";

export interface Problem {
  line?: number;
  column?: number;
  path: string;
  /** The gateway's word for what it is about; lines for people have none. */
  code?: string;
  /** What the text says in its places. */
  values?: Record<string, string>;
  message: string;
  suggestion?: string;
}

/** Reads the lines `file:line:column: path: message` that people get; older answers have nothing else. */
export function fromText(text: string): Problem[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const found = /^(?:.*?:)??(\d+):(\d+): (.*)$/.exec(line);
      if (!found) return { path: "", message: line };
      const rest = found[3] ?? "";
      const named = /^([\w.[\]-]+): (.*)$/.exec(rest);
      return {
        line: Number(found[1]),
        column: Number(found[2]),
        path: named?.[1] ?? "",
        message: named?.[2] ?? rest,
      };
    });
}

const { nouns, ...texts } = chinese;

/** What is wrong and what to do about it, in the reader's language. What has no text there is said as the gateway does. */
export function told(problem: Problem): string {
  const sentence = [problem.message, problem.suggestion].filter(Boolean).join("; ");
  if (language.value !== "zh") return sentence;
  const [message, advice] = (texts as Record<string, string[]>)[problem.code ?? ""] ?? [];
  if (message === undefined) return sentence;
  const named = nouns as Record<string, string>;
  const values = Object.fromEntries(
    Object.entries(problem.values ?? {}).map(([name, value]) => [name, named[value] ?? value]),
  );
  const parts = problem.suggestion ? [message, advice] : [message];
  return parts.flatMap((part) => (part ? [fill(part, values)] : [])).join("；");
}

/** A problem as one line. */
export function line(problem: Problem): string {
  return [problem.path, told(problem)].filter(Boolean).join(": ");
}

/** Why the gateway is not ready, from its own line. */
export function unready(line: string): string {
  const keys = /^restart to apply: (.*)$/.exec(line)?.[1];
  if (keys !== undefined) return t("config.restart", { list: keys });
  if (line.startsWith("the changed configuration is not valid")) return t("ready.invalid");
  return known(`ready.${line}`, line);
}

/** Where in the text a problem is: from its place to the end of its word. */
export function span(problem: Problem, text: string): { from: number; to: number } {
  let from = 0;
  for (let line = 1; line < (problem.line ?? 1); line += 1) {
    const end = text.indexOf("\n", from);
    if (end < 0) break;
    from = end + 1;
  }
  const newline = text.indexOf("\n", from);
  const end = newline < 0 ? text.length : newline;
  from = Math.min(end, from + [...text.slice(from, end)].slice(0, (problem.column ?? 1) - 1).join("").length);
  const word = /^[^\s#]+/.exec(text.slice(from, end));
  return { from, to: Math.min(end, from + Math.max(1, word?.[0].length ?? 0)) };
}
