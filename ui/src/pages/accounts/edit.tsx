// Priority, weight and note of an account.

import { useState } from "preact/hooks";
import { call } from "../../api/client";
import type { AuthFile } from "../../api/types";
import { Button, Field } from "../../parts/basics";
import { Dialog } from "../../parts/dialog";
import { attempt } from "../../parts/toast";
import { t } from "../../words";

/** Whole numbers, or nothing; `undefined` for what is neither. */
function numberOf(text: string, least: number): number | null | undefined {
  if (text.trim() === "") return null;
  const number = Number(text);
  return Number.isInteger(number) && number >= least && number <= 1_000_000 ? number : undefined;
}

export function Edit({
  file,
  onClose,
  onDone,
}: {
  file: AuthFile;
  onClose: () => void;
  onDone: () => Promise<void>;
}) {
  const [priority, setPriority] = useState(file.priority?.toString() ?? "");
  const [weight, setWeight] = useState(file.weight?.toString() ?? "");
  const [note, setNote] = useState(file.note ?? "");
  const [isBusy, setBusy] = useState(false);
  const numbers = { priority: numberOf(priority, -1_000_000), weight: numberOf(weight, 0) };

  async function submit(event: Event) {
    event.preventDefault();
    setBusy(true);
    const body = { name: file.name, ...numbers, note: note.trim() === "" ? null : note.trim() };
    const isDone = await attempt(() => call("PATCH", "/auth-files/fields", { body }), t("saved"));
    setBusy(false);
    if (!isDone) return;
    await onDone();
    onClose();
  }

  return (
    <Dialog
      title={t("accounts.edit.title", { name: file.label })}
      onClose={onClose}
      size="small"
      actions={
        <>
          <Button onClick={onClose}>{t("cancel")}</Button>
          <Button
            type="submit"
            form="edit-account"
            look="primary"
            isBusy={isBusy}
            disabled={numbers.priority === undefined || numbers.weight === undefined}
          >
            {t("save")}
          </Button>
        </>
      }
    >
      <form id="edit-account" class="form" onSubmit={submit}>
        <Field
          label={t("accounts.priority")}
          hint={t("accounts.priority.hint")}
          error={numbers.priority === undefined ? t("form.whole") : undefined}
        >
          {(ids) => (
            <input
              {...ids}
              inputMode="numeric"
              placeholder="0"
              value={priority}
              onInput={(event) => setPriority(event.currentTarget.value)}
            />
          )}
        </Field>
        <Field
          label={t("accounts.weight")}
          hint={t("accounts.weight.hint")}
          error={numbers.weight === undefined ? t("form.whole") : undefined}
        >
          {(ids) => (
            <input
              {...ids}
              inputMode="numeric"
              placeholder="1"
              value={weight}
              onInput={(event) => setWeight(event.currentTarget.value)}
            />
          )}
        </Field>
        <Field label={t("accounts.note")} isWide>
          {(ids) => <input {...ids} value={note} onInput={(event) => setNote(event.currentTarget.value)} />}
        </Field>
      </form>
    </Dialog>
  );
}
