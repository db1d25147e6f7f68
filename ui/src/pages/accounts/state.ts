// How a credential stands, in one of four ways.

import type { Reason } from "../../api/types";
import { language } from "../../lib/settings";
import { fill, known } from "../../words";
import chinese from "../../words/reasons.zh.json";

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

/** A reason in the language of the moment. The words of others, and what has no text there, stay as they are. */
function said({ code = "", values, message }: Reason): string {
  const text = language.value === "zh" ? (chinese as Record<string, string>)[code] : undefined;
  return text === undefined ? message : fill(text, values);
}

/** Why one does not serve, in the language of the moment where the gateway words it. */
export function why(facts: {
  status_code?: string;
  status_message: string;
  status_reasons?: Reason[];
}): string {
  const reasons = facts.status_reasons ?? [];
  if (reasons.length > 0) return reasons.map(said).join(language.value === "zh" ? "；" : "; ");
  return known(`why.${facts.status_code}`, facts.status_message);
}
