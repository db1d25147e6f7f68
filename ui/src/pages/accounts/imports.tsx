// Accounts that need no browser: a cookie, or the file of a service account.

import { useState } from "preact/hooks";
import { call, request } from "../../api/client";
import { Button, Field, Notice } from "../../parts/basics";
import { Dialog } from "../../parts/dialog";
import { attempt, explain } from "../../parts/toast";
import { t } from "../../words";

interface ImportProps {
  onClose: () => void;
  onDone: () => Promise<void>;
}

export function CookieLogin({ onClose, onDone }: ImportProps) {
  const [cookie, setCookie] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);

  async function submit(event: Event) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await call("POST", "/iflow-auth-url", { body: { cookie: cookie.trim() } });
      await attempt(onDone, t("login.done", { name: "iFlow" }));
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  }

  return (
    <Dialog
      title={t("login.title", { name: "iFlow" })}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t("cancel")}</Button>
          <Button type="submit" form="cookie" look="primary" isBusy={isBusy} disabled={cookie.trim() === ""}>
            {t("add.do")}
          </Button>
        </>
      }
    >
      <form id="cookie" class="stack" onSubmit={submit}>
        <Field label={t("cookie.label")} hint={t("cookie.hint")}>
          {(ids) => (
            <textarea
              {...ids}
              class="mono"
              placeholder="BXAuth=…"
              value={cookie}
              onInput={(event) => setCookie(event.currentTarget.value)}
            />
          )}
        </Field>
        {error != null && <Notice tone="bad">{explain(error)}</Notice>}
      </form>
    </Dialog>
  );
}

export function ServiceAccount({ onClose, onDone }: ImportProps) {
  const [file, setFile] = useState<File | null>(null);
  const [location, setLocation] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);

  async function submit(event: Event) {
    event.preventDefault();
    if (!file) return;
    setBusy(true);
    setError(null);
    const form = new FormData();
    form.append("file", file, file.name);
    if (location.trim() !== "") form.append("location", location.trim());
    try {
      await request("POST", "/vertex/import", { raw: form });
      await attempt(onDone, t("login.done", { name: "Vertex AI" }));
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  }

  return (
    <Dialog
      title={t("login.title", { name: "Vertex AI" })}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t("cancel")}</Button>
          <Button
            type="submit"
            form="service-account"
            look="primary"
            isBusy={isBusy}
            disabled={file === null}
          >
            {t("add.do")}
          </Button>
        </>
      }
    >
      <form id="service-account" class="stack" onSubmit={submit}>
        <Field label={t("vertex.file")} hint={t("vertex.file.hint")}>
          {(ids) => (
            <input
              {...ids}
              type="file"
              accept=".json,application/json"
              onChange={(event) => setFile(event.currentTarget.files?.[0] ?? null)}
            />
          )}
        </Field>
        <Field label={t("vertex.location")}>
          {(ids) => (
            <input
              {...ids}
              placeholder="us-central1"
              value={location}
              onInput={(event) => setLocation(event.currentTarget.value)}
            />
          )}
        </Field>
        {error != null && <Notice tone="bad">{explain(error)}</Notice>}
      </form>
    </Dialog>
  );
}
