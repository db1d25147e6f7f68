// What an empty name of a group means.

import type { Grouping } from "../../api/types";
import { providerOf } from "../../lib/providers";
import { known, t } from "../../words";

export function nameOf(name: string, by: Grouping): string {
  if (name === "") return known(`unnamed.${by}`, t("unnamed"));
  return by === "provider" ? providerOf(name).name : name;
}
