// Signing in with the management key, and what to do where there is none.

import { useState } from "preact/hooks";
import { ApiError, lost, signIn } from "../api/client";
import { Looks } from "../app";
import { Button, Field, Notice } from "../parts/basics";
import { Code } from "../parts/copy";
import { Mark } from "../parts/icons";
import { explain } from "../parts/toast";
import { t } from "../words";

/** The interface does not exist until a key is set. */
const isAbsent = (error: unknown) => error instanceof ApiError && error.status === 404;

function reason(error: unknown): string {
  if (error instanceof ApiError && error.status === 401) return t("signin.wrong");
  return explain(error);
}

export function SignIn() {
  const [typed, setTyped] = useState("");
  const [isRemembered, setRemembered] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(lost.value);

  async function submit(event: Event) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await signIn(typed.trim(), isRemembered);
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  }

  return (
    <main class="signin">
      <div>
        <div class="brand">
          <Mark />
          <h1>cliproxy</h1>
        </div>
        <div class="panel">
          <p class="muted">{t("signin.about")}</p>
          <form onSubmit={submit}>
            {/* Programs that keep keys file them under a name. */}
            <input type="text" name="username" autocomplete="username" value="cliproxy" readOnly hidden />
            <Field label={t("signin.key")}>
              {(ids) => (
                <input
                  {...ids}
                  type="password"
                  autocomplete="current-password"
                  autoFocus
                  required
                  value={typed}
                  onInput={(event) => setTyped(event.currentTarget.value)}
                />
              )}
            </Field>
            <label class="check">
              <input
                type="checkbox"
                checked={isRemembered}
                onChange={(event) => setRemembered(event.currentTarget.checked)}
              />
              {t("signin.remember")}
            </label>
            {error != null && !isAbsent(error) && <Notice tone="bad">{reason(error)}</Notice>}
            <Button type="submit" look="primary" isBusy={isBusy} disabled={typed.trim() === ""}>
              {t("signin.do")}
            </Button>
          </form>
          {isAbsent(error) ? <Opening /> : <Help />}
        </div>
        <Looks />
      </div>
    </main>
  );
}

/** What opens the interface. */
function Opening() {
  return (
    <div class="stack">
      <Notice tone="warn">{t("signin.absent")}</Notice>
      <p class="small muted">{t("signin.open.file")}</p>
      <Code text={'remote-management:\n  secret-key: "…"'} />
      <p class="small muted">{t("signin.open.variable")}</p>
      <Code text="MANAGEMENT_PASSWORD=… cli-proxy-api" />
    </div>
  );
}

function Help() {
  return (
    <details class="small muted">
      <summary>{t("signin.help")}</summary>
      <p>{t("signin.help.text")}</p>
    </details>
  );
}
