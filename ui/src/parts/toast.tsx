// Short messages about what was done or refused, at the edge of the window.

import { signal } from "@preact/signals";
import { ApiError } from "../api/client";
import { line } from "../lib/problems";
import { known, t } from "../words";
import type { Tone } from "./basics";
import { Icon } from "./icons";

interface Toast {
  id: number;
  tone: Tone;
  text: string;
}

const toasts = signal<Toast[]>([]);
let last = 0;

/** How long one stays. What went wrong stays longer, because it has to be read. */
const STAY = { good: 3_500, bad: 9_000 };

export function say(text: string, tone: "good" | "bad" = "good"): void {
  last += 1;
  const id = last;
  toasts.value = [...toasts.value.slice(-3), { id, tone, text }];
  setTimeout(() => dismiss(id), STAY[tone]);
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Why a login failed: the kind in the reader's language, and what the gateway itself says. */
export function failedLogin(kind: string, sentence: string): string {
  const said = kind === "" ? "" : known(`login.failed.${kind}`, "");
  return [said, sentence].filter(Boolean).join(" ");
}

/** What a failure means, for people. */
export function explain(error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error);
  if (error.status === 0) return t("error.unreachable");
  if (error.status === 409 && error.code === "conflict") return t("error.conflict");
  if (error.kind !== "") return failedLogin(error.kind, error.message);
  if (error.problems.length > 0) return error.problems.map(line).join("\n");
  return known(`error.${error.code}`, error.message);
}

/** Says that something went wrong; a call that was given up is no failure. */
export function complain(error: unknown): void {
  if (error instanceof DOMException && error.name === "AbortError") return;
  if (error instanceof ApiError && error.status === 401) return;
  say(explain(error), "bad");
}

/** Does something and says how it went. */
export async function attempt(work: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await work();
    if (done !== undefined) say(done);
    return true;
  } catch (error) {
    complain(error);
    return false;
  }
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast ${toast.tone}`}>
          <Icon name={toast.tone === "good" ? "check" : "warning"} />
          <span>{toast.text}</span>
          <button type="button" aria-label={t("close")} onClick={() => dismiss(toast.id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
