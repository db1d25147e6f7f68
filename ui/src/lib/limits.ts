// Limits of a client key as the lines of a form: `day: requests 100, tokens 2000000, cost 5`.

import type { KeyLimits, Limit } from "../api/types";

export const WINDOWS = ["minute", "hour", "day", "week", "month"] as const;
const MEASURES = ["requests", "tokens", "cost"] as const;

/** One row of the form; what is empty is no limit. */
export interface LimitRow {
  per: Limit["per"];
  requests: string;
  tokens: string;
  cost: string;
}

export function rowsOf(limits: readonly Limit[] | undefined): LimitRow[] {
  const text = (value: number | undefined) => (value === undefined ? "" : String(value));
  return (limits ?? []).map((limit) => ({
    per: limit.per,
    requests: text(limit.requests),
    tokens: text(limit.tokens),
    cost: text(limit.cost),
  }));
}

/** The limits of the rows; `null` when a number is none. */
export function limitsOf(rows: readonly LimitRow[]): Limit[] | null {
  const limits: Limit[] = [];
  for (const row of rows) {
    const limit: Limit = { per: row.per };
    for (const measure of MEASURES) {
      const text = row[measure].trim();
      if (text === "") continue;
      const value = Number(text);
      if (!Number.isFinite(value) || value < 0 || (measure !== "cost" && !Number.isInteger(value)))
        return null;
      limit[measure] = value;
    }
    if (MEASURES.some((measure) => limit[measure] !== undefined)) limits.push(limit);
  }
  return limits;
}

/** Whether an entry limits nothing and names nothing, and so need not be there. */
export function isBare(entry: KeyLimits): boolean {
  return Object.entries(entry).every(
    ([member, value]) =>
      member === "api-key" ||
      value === undefined ||
      value === "" ||
      (Array.isArray(value) && value.length === 0),
  );
}
