// Spans of time that charts show, in steps that begin at full hours and midnights of this place.

export type RangeName = "1h" | "24h" | "7d" | "30d" | "90d";

export interface Range {
  /** Unix seconds. */
  from: number;
  until: number;
  step: number;
}

export const RANGES: readonly RangeName[] = ["1h", "24h", "7d", "30d", "90d"];

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const PLANS: Record<RangeName, { steps: number; step: number }> = {
  "1h": { steps: 60, step: MINUTE },
  "24h": { steps: 24, step: HOUR },
  "7d": { steps: 28, step: 6 * HOUR },
  "30d": { steps: 30, step: DAY },
  "90d": { steps: 90, step: DAY },
};

/** The span that ends with the step in which `now` (milliseconds) lies. */
export function rangeOf(name: RangeName, now: number): Range {
  const { steps, step } = PLANS[name];
  const midnight = new Date(now);
  midnight.setHours(0, 0, 0, 0);
  const start = Math.floor(midnight.getTime() / 1000);
  const until = start + (Math.floor((now / 1000 - start) / step) + 1) * step;
  return { from: until - steps * step, until, step };
}
