// Accounts that need no browser: a cookie, or the file of a service account.

import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { call, request } from "../../api/client";
import { Button, Field, Notice } from "../../parts/basics";
import { Dialog } from "../../parts/dialog";
import { attempt, explain } from "../../parts/toast";
import { t } from "../../words";

interface ImportProps {
  onClose: () => void;
  onDone: () => Promise<void>;
}

interface FormProps extends ImportProps {
  /** Of the provider. */
  name: string;
  isComplete: boolean;
  /** Hands over what was entered; fails with the gateway's reason. */
  send: () => Promise<unknown>;
  children: ComponentChildren;
}

function ImportForm({ name, isComplete, send, onClose, onDone, children }: FormProps) {
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const id = useId();

  async function submit(event: Event) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await send();
      await attempt(onDone, t("login.done", { name }));
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  }

  return (
    <Dialog
      title={t("login.title", { name })}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t("cancel")}</Button>
          <Button type="submit" form={id} look="primary" isBusy={isBusy} disabled={!isComplete}>
            {t("add.do")}
          </Button>
        </>
      }
    >
      <form id={id} class="stack" onSubmit={submit}>
        {children}
        {error != null && <Notice tone="bad">{explain(error)}</Notice>}
      </form>
    </Dialog>
  );
}

export function CookieLogin(props: ImportProps) {
  const [cookie, setCookie] = useState("");
  const text = cookie.trim();

  return (
    <ImportForm
      {...props}
      name="iFlow"
      isComplete={text !== ""}
      send={() => call("POST", "/iflow-auth-url", { body: { cookie: text } })}
    >
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
    </ImportForm>
  );
}

export function ServiceAccount(props: ImportProps) {
  const [file, setFile] = useState<File | null>(null);
  const [location, setLocation] = useState("");

  function send() {
    const form = new FormData();
    if (file) form.append("file", file, file.name);
    if (location.trim() !== "") form.append("location", location.trim());
    return request("POST", "/vertex/import", { raw: form });
  }

  return (
    <ImportForm {...props} name="Vertex AI" isComplete={file !== null} send={send}>
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
    </ImportForm>
  );
}
