// Client keys: made here, taken away here, each with its limits and how far they are used.

import { useState } from "preact/hooks";
import { call, get, query } from "../../api/client";
import type { KeyLimits, KeyState } from "../../api/types";
import { compact, money, remaining } from "../../lib/format";
import { isBare } from "../../lib/limits";
import { language } from "../../lib/settings";
import { Badge, Button, Empty, Field, Loading, Notice, Panel } from "../../parts/basics";
import { Code, SecretText } from "../../parts/copy";
import { confirmed, Dialog } from "../../parts/dialog";
import { Bar } from "../../parts/quota";
import { useClock, useResource } from "../../parts/resource";
import { attempt, explain } from "../../parts/toast";
import { t } from "../../words";
import { LimitsForm } from "./limits";

interface Read {
  keys: string[];
  limits: KeyLimits[];
  states: KeyState[];
}

async function read(signal: AbortSignal): Promise<Read> {
  const [keys, limits, states] = await Promise.all([
    get<{ "api-keys": string[] }>("/api-keys", signal),
    get<{ "api-key-limits": KeyLimits[] }>("/api-key-limits", signal),
    get<{ keys: KeyState[] }>("/client-keys", signal),
  ]);
  return { keys: keys["api-keys"], limits: limits["api-key-limits"], states: states.keys };
}

export function ClientKeys() {
  const keys = useResource(read, [], 15_000);
  const [isAdding, setAdding] = useState(false);
  const [edited, setEdited] = useState<string | null>(null);
  const { data } = keys;

  async function remove(key: string) {
    const isMeant = await confirmed(
      t("keys.remove.title"),
      t("keys.remove.text", { end: key.slice(-4) }),
      t("remove"),
    );
    if (!isMeant) return;
    await attempt(async () => {
      // The key before its limits: it must never be there without them.
      await call("DELETE", `/api-keys${query({ value: key })}`);
      if (data?.limits.some((entry) => entry["api-key"] === key)) {
        await call("DELETE", `/api-key-limits${query({ "api-key": key })}`);
      }
    }, t("keys.removed"));
    await keys.reload();
  }

  return (
    <>
      {keys.error !== undefined && <Notice tone="bad">{explain(keys.error)}</Notice>}
      {data === undefined && keys.isLoading && <Loading />}
      {data && data.keys.length === 0 && <Notice tone="warn">{t("keys.open")}</Notice>}
      {data && (
        <Panel
          isFlush
          title={t("keys.client")}
          actions={
            <Button icon="plus" look="primary" onClick={() => setAdding(true)}>
              {t("keys.add")}
            </Button>
          }
        >
          {data.keys.length === 0 ? (
            <Empty icon="keys" title={t("keys.none")}>
              {t("keys.none.text")}
            </Empty>
          ) : (
            <ul>
              {data.keys.map((key, index) => (
                <KeyRow
                  key={key}
                  secret={key}
                  entry={data.limits.find((entry) => entry["api-key"] === key)}
                  state={data.states.find((state) => state.index === index)}
                  onLimits={() => setEdited(key)}
                  onRemove={() => remove(key)}
                />
              ))}
            </ul>
          )}
        </Panel>
      )}
      {isAdding && <AddKey onClose={() => setAdding(false)} onDone={keys.reload} known={data?.keys ?? []} />}
      {edited !== null && (
        <LimitsForm
          entry={data?.limits.find((entry) => entry["api-key"] === edited) ?? { "api-key": edited }}
          onClose={() => setEdited(null)}
          onDone={keys.reload}
        />
      )}
    </>
  );
}

interface KeyRowProps {
  secret: string;
  entry: KeyLimits | undefined;
  state: KeyState | undefined;
  onLimits: () => void;
  onRemove: () => void;
}

function KeyRow({ secret, entry, state, onLimits, onRemove }: KeyRowProps) {
  const hasLimits = entry !== undefined && !isBare(entry);
  const facts = [
    state?.client,
    entry?.models && t("limits.models.short", { list: entry.models.join(", ") }),
    entry?.credentials && t("limits.credentials.short", { list: entry.credentials.join(", ") }),
    entry?.expires && t("limits.expires.short", { date: entry.expires }),
  ].filter(Boolean);
  return (
    <li class="key-row">
      <div class="grow">
        <div class="row">
          {entry?.name && <strong>{entry.name}</strong>}
          <SecretText secret={secret} />
          {state?.is_expired && <Badge tone="bad">{t("limits.expired")}</Badge>}
        </div>
        <div class="about small muted row">
          {facts.map((fact) => (
            <span key={fact}>{fact}</span>
          ))}
        </div>
        {state && state.windows.length > 0 && <Windows state={state} />}
      </div>
      <div class="row">
        <Button icon="clock" onClick={onLimits}>
          {hasLimits ? t("limits.edit") : t("limits.set")}
        </Button>
        <Button
          icon="trash"
          look="quiet"
          label={t("keys.remove.label", { end: secret.slice(-4) })}
          onClick={onRemove}
        />
      </div>
    </li>
  );
}

const MEASURES = ["requests", "tokens", "cost"] as const;

function Windows({ state }: { state: KeyState }) {
  const now = useClock(5_000);
  return (
    <div class="quotas limits">
      {state.windows.flatMap((window) =>
        MEASURES.filter((measure) => window[measure] !== undefined).map((measure) => {
          const used = window.used[measure];
          const limit = window[measure] ?? 0;
          const share = limit > 0 ? Math.min(1, used / limit) : 1;
          const write = (value: number) =>
            measure === "cost" ? money(value, language.value) : compact(value);
          const name = `${t(`measure.${measure}`)} / ${t(`per.${window.per}`)}`;
          const text = `${write(used)} / ${write(limit)}`;
          return (
            <div key={`${window.per}${measure}`} class="quota">
              <div class="words">
                <span>{name}</span>
                <span class="muted">
                  {t("quota.resets", { time: remaining(window.resets_at - now, language.value) })}
                </span>
                <strong>{text}</strong>
              </div>
              <Bar
                label={name}
                share={share}
                tone={share >= 1 ? "bad" : share > 0.8 ? "warn" : "good"}
                text={text}
              />
            </div>
          );
        }),
      )}
    </div>
  );
}

/** 192 bits that nobody guesses. */
function generated(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return `sk-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function AddKey({
  onClose,
  onDone,
  known,
}: {
  onClose: () => void;
  onDone: () => Promise<void>;
  known: readonly string[];
}) {
  const [key, setKey] = useState(generated);
  const [isBusy, setBusy] = useState(false);
  const [isDone, setDone] = useState(false);
  const isTaken = known.includes(key.trim());
  const address = new URL(".", location.href).href.replace(/\/$/, "");

  async function submit(event: Event) {
    event.preventDefault();
    setBusy(true);
    const isAdded = await attempt(
      () => call("PUT", "/api-keys", { body: [...known, key.trim()] }),
      t("keys.added"),
    );
    setBusy(false);
    if (!isAdded) return;
    setDone(true);
    await onDone();
  }

  return (
    <Dialog
      title={t("keys.add")}
      onClose={onClose}
      actions={
        isDone ? (
          <Button look="primary" onClick={onClose}>
            {t("done")}
          </Button>
        ) : (
          <>
            <Button onClick={onClose}>{t("cancel")}</Button>
            <Button
              type="submit"
              form="add-key"
              look="primary"
              isBusy={isBusy}
              disabled={key.trim() === "" || isTaken}
            >
              {t("add.do")}
            </Button>
          </>
        )
      }
    >
      {isDone ? (
        <>
          <p class="muted">{t("keys.added.text")}</p>
          <Code text={`OPENAI_BASE_URL=${address}/v1\nOPENAI_API_KEY=${key.trim()}`} />
          <Code text={`ANTHROPIC_BASE_URL=${address}\nANTHROPIC_AUTH_TOKEN=${key.trim()}`} />
        </>
      ) : (
        <form id="add-key" class="stack" onSubmit={submit}>
          <Field
            label={t("keys.client.one")}
            hint={t("keys.add.hint")}
            error={isTaken ? t("keys.taken") : undefined}
          >
            {(ids) => (
              <div class="row">
                <div class="grow">
                  <input
                    {...ids}
                    class="mono"
                    value={key}
                    onInput={(event) => setKey(event.currentTarget.value)}
                  />
                </div>
                <Button icon="refresh" onClick={() => setKey(generated())}>
                  {t("keys.generate")}
                </Button>
              </div>
            )}
          </Field>
        </form>
      )}
    </Dialog>
  );
}
