// What a client key may do: for how long, with which models and credentials, and how much.

import { useState } from "preact/hooks";
import { call, get } from "../../api/client";
import type { KeyLimits } from "../../api/types";
import { isBare, type LimitRow, limitsOf, rowsOf, WINDOWS } from "../../lib/limits";
import { linesOf, listOf } from "../../lib/pairs";
import { Button, Field } from "../../parts/basics";
import { Dialog } from "../../parts/dialog";
import { attempt } from "../../parts/toast";
import { t } from "../../words";

interface LimitsFormProps {
  entry: KeyLimits;
  onClose: () => void;
  onDone: () => Promise<void>;
}

export function LimitsForm({ entry, onClose, onDone }: LimitsFormProps) {
  const [name, setName] = useState(entry.name ?? "");
  const [expires, setExpires] = useState(entry.expires ?? "");
  const [models, setModels] = useState(linesOf(entry.models));
  const [credentials, setCredentials] = useState(linesOf(entry.credentials));
  const [rows, setRows] = useState<LimitRow[]>(rowsOf(entry.limits));
  const [isBusy, setBusy] = useState(false);
  const limits = limitsOf(rows);

  async function submit(event: Event) {
    event.preventDefault();
    if (limits === null) return;
    setBusy(true);
    const key = entry["api-key"];
    const next: KeyLimits = {
      ...entry,
      name: name.trim(),
      expires: expires.trim(),
      models: listOf(models),
      credentials: listOf(credentials),
      limits,
    };
    for (const member of ["name", "expires", "models", "credentials", "limits"] as const) {
      if (next[member] === "" || (Array.isArray(next[member]) && next[member].length === 0))
        delete next[member];
    }
    const work = async () => {
      const { "api-key-limits": all } = await get<{ "api-key-limits": KeyLimits[] }>("/api-key-limits");
      const others = all.filter((one) => one["api-key"] !== key);
      await call("PUT", "/api-key-limits", { body: isBare(next) ? others : [...others, next] });
    };
    const isDone = await attempt(work, t("saved"));
    setBusy(false);
    if (!isDone) return;
    await onDone();
    onClose();
  }

  const change = (at: number, members: Partial<LimitRow>) =>
    setRows(rows.map((row, index) => (index === at ? { ...row, ...members } : row)));

  return (
    <Dialog
      title={t("limits.title", { end: entry["api-key"].slice(-4) })}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t("cancel")}</Button>
          <Button type="submit" form="limits" look="primary" isBusy={isBusy} disabled={limits === null}>
            {t("save")}
          </Button>
        </>
      }
    >
      <form id="limits" class="form" onSubmit={submit}>
        <Field label={t("limits.name")}>
          {(ids) => <input {...ids} value={name} onInput={(event) => setName(event.currentTarget.value)} />}
        </Field>
        <Field label={t("limits.expires")} hint={t("limits.expires.hint")}>
          {(ids) => (
            <input
              {...ids}
              placeholder="2027-01-31"
              value={expires}
              onInput={(event) => setExpires(event.currentTarget.value)}
            />
          )}
        </Field>
        <fieldset class="wide stack tight">
          <legend>{t("limits.limits")}</legend>
          {rows.map((row, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: rows have nothing else of their own
            <div key={at} class="limit-row">
              <select
                aria-label={t("limits.per")}
                value={row.per}
                onChange={(event) => change(at, { per: event.currentTarget.value as LimitRow["per"] })}
              >
                {WINDOWS.map((window) => (
                  <option key={window} value={window}>
                    {t(`per.${window}`)}
                  </option>
                ))}
              </select>
              {(["requests", "tokens", "cost"] as const).map((measure) => (
                <input
                  key={measure}
                  inputMode="decimal"
                  aria-label={t(`measure.${measure}`)}
                  placeholder={t(`measure.${measure}`)}
                  value={row[measure]}
                  onInput={(event) => change(at, { [measure]: event.currentTarget.value })}
                />
              ))}
              <Button
                icon="close"
                look="quiet"
                label={t("remove")}
                onClick={() => setRows(rows.filter((_row, index) => index !== at))}
              />
            </div>
          ))}
          {limits === null && <p class="hint bad">{t("limits.wrong")}</p>}
          <div>
            <Button
              icon="plus"
              onClick={() => setRows([...rows, { per: "day", requests: "", tokens: "", cost: "" }])}
            >
              {t("limits.add")}
            </Button>
          </div>
        </fieldset>
        <Field label={t("limits.models")} hint={t("limits.models.hint")}>
          {(ids) => (
            <textarea
              {...ids}
              class="mono"
              placeholder="claude-*"
              value={models}
              onInput={(event) => setModels(event.currentTarget.value)}
            />
          )}
        </Field>
        <Field label={t("limits.credentials")} hint={t("limits.credentials.hint")}>
          {(ids) => (
            <textarea
              {...ids}
              class="mono"
              placeholder="claude-*.json"
              value={credentials}
              onInput={(event) => setCredentials(event.currentTarget.value)}
            />
          )}
        </Field>
      </form>
    </Dialog>
  );
}
