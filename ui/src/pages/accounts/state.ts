// How a credential stands, in one of four ways.

import { known } from "../../words";

export type State = "ready" | "resting" | "error" | "off";

interface Facts {
  disabled: boolean;
  status: string;
  next_retry_after?: string;
}

/** When it wakes, in Unix seconds, if that is to come. */
export function wakes(facts: Facts, now: number): number | undefined {
  if (facts.next_retry_after === undefined) return undefined;
  const at = Date.parse(facts.next_retry_after) / 1000;
  return Number.isFinite(at) && at > now ? at : undefined;
}

/** A rest ends by itself; an error wants a person. */
export function stateOf(facts: Facts): State {
  if (facts.disabled || facts.status === "disabled") return "off";
  if (facts.status !== "error") return "ready";
  return facts.next_retry_after === undefined ? "error" : "resting";
}

/** Why one does not serve, in the language of the moment where the gateway names it by a word. */
export function why(facts: { status_code?: string; status_message: string }): string {
  return known(`why.${facts.status_code}`, facts.status_message);
}
