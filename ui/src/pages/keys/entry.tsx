// One upstream key: the members that people set; all others stay as they are.

import { useState } from "preact/hooks";
import { call } from "../../api/client";
import type { KeyEntry } from "../../api/types";
import { Button, Field, Notice } from "../../parts/basics";
import { Dialog } from "../../parts/dialog";
import { explain, say } from "../../parts/toast";
import { t, type Word } from "../../words";
import { changes, type Texts, textsOf } from "./change";
import type { List } from "./upstream";

interface EntryFormProps {
  list: List;
  index: number | undefined;
  entry: KeyEntry | undefined;
  others: readonly KeyEntry[];
  onClose: () => void;
  onDone: () => Promise<void>;
}

export function EntryForm({ list, index, entry, others, onClose, onDone }: EntryFormProps) {
  const [texts, setTexts] = useState<Texts>(() => textsOf(entry ?? {}));
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const isNamed = list.path === "openai-compatibility";
  const set = (name: keyof Texts) => (event: { currentTarget: { value: string } }) =>
    setTexts({ ...texts, [name]: event.currentTarget.value });
  const isNumber = (text: string) => text.trim() === "" || Number.isInteger(Number(text));
  const isComplete = isNamed ? texts.name.trim() !== "" && texts.base.trim() !== "" : texts.key.trim() !== "";

  async function submit(event: Event) {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const value = changes(entry ?? {}, texts);
    try {
      if (index === undefined) await call("PUT", `/${list.path}`, { body: [...others, value] });
      else await call("PATCH", `/${list.path}`, { body: { index, value } });
      say(t("saved"));
      await onDone();
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  }

  const line = (
    name: keyof Texts,
    label: Word,
    more: { hint?: Word; placeholder?: string; isWide?: boolean } = {},
  ) => (
    <Field
      label={t(label)}
      isWide={more.isWide ?? false}
      {...(more.hint ? { hint: t(more.hint) } : {})}
      error={["priority", "weight"].includes(name) && !isNumber(texts[name]) ? t("form.whole") : undefined}
    >
      {(ids) => (
        <input
          {...ids}
          autocomplete="off"
          spellcheck={false}
          placeholder={more.placeholder}
          value={texts[name]}
          onInput={set(name)}
        />
      )}
    </Field>
  );
  const area = (name: keyof Texts, label: Word, hint: Word, placeholder: string) => (
    <Field label={t(label)} hint={t(hint)}>
      {(ids) => (
        <textarea
          {...ids}
          class="mono"
          spellcheck={false}
          placeholder={placeholder}
          value={texts[name]}
          onInput={set(name)}
        />
      )}
    </Field>
  );

  return (
    <Dialog
      title={t(index === undefined ? "upstream.new" : "upstream.edit", { name: list.name })}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t("cancel")}</Button>
          <Button
            type="submit"
            form="entry"
            look="primary"
            isBusy={isBusy}
            disabled={!isComplete || !isNumber(texts.priority) || !isNumber(texts.weight)}
          >
            {t("save")}
          </Button>
        </>
      }
    >
      <form id="entry" class="form" onSubmit={submit}>
        {isNamed
          ? line("name", "upstream.name", { placeholder: "openrouter" })
          : line("key", "upstream.key", { isWide: true })}
        {line("base", "upstream.base", {
          hint: isNamed ? "upstream.base.needed" : "upstream.base.hint",
          placeholder: "https://…",
        })}
        {isNamed && area("keys", "upstream.keys", "upstream.keys.hint", "sk-…")}
        {line("prefix", "upstream.prefix", { hint: "upstream.prefix.hint", placeholder: "team-a" })}
        {line("proxy", "upstream.proxy", { hint: "upstream.proxy.hint", placeholder: "socks5://…" })}
        {line("priority", "accounts.priority", { hint: "accounts.priority.hint", placeholder: "0" })}
        {!isNamed && line("weight", "accounts.weight", { hint: "accounts.weight.hint", placeholder: "1" })}
        {area("models", "upstream.models", "upstream.models.hint", "gpt-5 = smart")}
        {area("excluded", "upstream.excluded", "upstream.excluded.hint", "*-preview")}
        {area("headers", "upstream.headers", "upstream.headers.hint", "X-Team: a")}
        {error !== null && (
          <div class="wide">
            <Notice tone="bad">{explain(error)}</Notice>
          </div>
        )}
      </form>
    </Dialog>
  );
}
