// Texts that are there to be taken elsewhere.

import { useState } from "preact/hooks";
import { masked } from "../lib/format";
import { t } from "../words";
import { Button } from "./basics";
import { say } from "./toast";

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages without TLS from another machine have no clipboard; an invisible field does it there.
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "unseen";
    (document.querySelector("dialog[open]") ?? document.body).append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  say(t("copied"));
}

export function Code({ text }: { text: string }) {
  return (
    <div class="code">
      <pre>{text}</pre>
      <Button icon="copy" look="quiet" label={t("copy")} onClick={() => copy(text)} />
    </div>
  );
}

export function SecretText({ secret }: { secret: string }) {
  const [isShown, setShown] = useState(false);
  return (
    <span class="secret">
      <code>{isShown ? secret : masked(secret)}</code>
      <Button
        icon="eye"
        look="quiet"
        label={isShown ? t("hide") : t("show")}
        aria-pressed={isShown}
        onClick={() => setShown(!isShown)}
      />
      <Button icon="copy" look="quiet" label={t("copy")} onClick={() => copy(secret)} />
    </span>
  );
}
