// What the gateway says about a configuration, in the reader's language and as places in the text.

import { known } from "../words";

export interface Problem {
  line?: number;
  column?: number;
  path: string;
  /** Of the frequent kinds: the gateway's word for it. */
  code?: string;
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

/** The kind of a problem in the reader's language, where it has one, and what the gateway itself says. */
export function told(problem: Problem): { kind: string; sentence: string } {
  const kind = problem.code ? known(`problem.${problem.code}`, "") : "";
  const sentence = [problem.message, problem.suggestion].filter(Boolean).join("; ");
  return { kind, sentence };
}

/** A problem as one line. */
export function line(problem: Problem): string {
  const { kind, sentence } = told(problem);
  const where = [problem.path, kind].filter(Boolean).join(": ");
  return where === "" ? sentence : `${where} – ${sentence}`;
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
