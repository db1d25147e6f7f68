// One account or key: who it is, what is left of it, why it rests, and its actions.

import { useState } from "preact/hooks";
import { call, query, request } from "../../api/client";
import type { AuthFile, Credential } from "../../api/types";
import { save } from "../../lib/csv";
import { moment, remaining } from "../../lib/format";
import { providerOf } from "../../lib/providers";
import { language } from "../../lib/settings";
import { Badge, Switch, type Tone } from "../../parts/basics";
import { confirmed } from "../../parts/dialog";
import { type Action, Menu } from "../../parts/menu";
import { QuotaBar, Sparkline } from "../../parts/quota";
import { attempt } from "../../parts/toast";
import { t } from "../../words";
import { Edit } from "./edit";
import { Models } from "./models";
import { type State, stateOf, wakes, why } from "./state";

/** A credential, and its file where it is an account. */
export type Standing = Omit<AuthFile, "name" | "type" | "unavailable" | "runtime_only" | "size"> &
  Partial<Pick<Credential, "source" | "kind" | "models">> & { file?: AuthFile };

const TONES: Record<State, Tone> = { ready: "good", resting: "warn", error: "bad", off: "none" };

export function Row({
  standing,
  now,
  reload,
}: {
  standing: Standing;
  now: number;
  reload: () => Promise<void>;
}) {
  const [isBusy, setBusy] = useState(false);
  const [opened, setOpened] = useState<"edit" | "models" | null>(null);
  const state = stateOf(standing);
  const provider = providerOf(standing.provider);
  const close = () => setOpened(null);

  async function change(work: () => Promise<unknown>, done: string) {
    setBusy(true);
    await attempt(work, done);
    await reload();
    setBusy(false);
  }

  const turn = (isOn: boolean) => {
    const name = standing.file ? { name: standing.file.name } : { auth_index: standing.auth_index };
    const work = () => call("PATCH", "/auth-files/status", { body: { ...name, disabled: !isOn } });
    return change(work, t(isOn ? "accounts.on" : "accounts.off", { name: standing.label }));
  };

  return (
    <div class={`account ${state === "off" ? "off" : ""}`}>
      <div class="who">
        <span class="logo" aria-hidden="true">
          {provider.mark}
        </span>
        <div>
          <div class="row">
            <span class="label clip" title={standing.id}>
              {standing.label}
            </span>
            <Badge tone={TONES[state]}>{t(`state.${state}`)}</Badge>
          </div>
          <About standing={standing} provider={provider.name} />
        </div>
      </div>
      <div class="quotas">
        {(standing.quotas ?? []).map((quota) => (
          <QuotaBar key={`${quota.name}${quota.model ?? ""}`} quota={quota} now={now} />
        ))}
        {(standing.quotas ?? []).length === 0 && <span class="small faint">{t("quota.unknown")}</span>}
      </div>
      <div class="sparkline-cell">
        {standing.recent_requests && <Sparkline buckets={standing.recent_requests} />}
      </div>
      <div class="row">
        <Switch
          label={t(standing.disabled ? "accounts.turn.on" : "accounts.turn.off", { name: standing.label })}
          isOn={!standing.disabled}
          isBusy={isBusy}
          onChange={turn}
        />
        <Menu
          label={t("actions.for", { name: standing.label })}
          actions={actions(standing, { change, reload, open: setOpened })}
        />
      </div>
      <Why standing={standing} state={state} now={now} />
      {opened === "edit" && standing.file && <Edit file={standing.file} onClose={close} onDone={reload} />}
      {opened === "models" && standing.file && <Models file={standing.file} onClose={close} />}
    </div>
  );
}

function About({ standing, provider }: { standing: Standing; provider: string }) {
  const facts = [
    provider,
    standing.id_token?.plan_type,
    standing.project_id,
    standing.source === "config" ? t("accounts.key") : undefined,
    standing.models === undefined ? undefined : t("accounts.models.count", { n: standing.models }),
    standing.priority ? t("accounts.priority.short", { n: standing.priority }) : undefined,
    standing.weight !== undefined && standing.weight !== 1
      ? t("accounts.weight.short", { n: standing.weight })
      : undefined,
    standing.in_flight ? t("accounts.flight", { n: standing.in_flight }) : undefined,
    standing.note,
  ];
  return (
    <div class="about">
      {facts.filter(Boolean).map((fact) => (
        <span key={fact}>{fact}</span>
      ))}
    </div>
  );
}

function Why({ standing, state, now }: { standing: Standing; state: State; now: number }) {
  if (state !== "resting" && state !== "error") return null;
  const wake = wakes(standing, now);
  return (
    <p class={`why small ${state === "error" ? "bad" : "warn-text"}`}>
      {why(standing)}
      {wake !== undefined && (
        <>
          {" · "}
          {t("accounts.wakes", {
            time: remaining(wake - now, language.value),
            at: moment(wake * 1000, language.value),
          })}
        </>
      )}
    </p>
  );
}

interface Doing {
  change: (work: () => Promise<unknown>, done: string) => Promise<void>;
  reload: () => Promise<void>;
  open: (what: "edit" | "models") => void;
}

function actions(standing: Standing, doing: Doing): Action[] {
  const { file } = standing;
  const forget: Action = {
    text: t("accounts.forget"),
    icon: "refresh",
    run: () =>
      void doing.change(
        () => call("POST", "/reset-quota", { body: { auth_index: standing.auth_index } }),
        t("accounts.forgotten"),
      ),
  };
  if (!file) return [forget];
  // What has no file is there as long as somebody serves it.
  if (file.runtime_only)
    return [{ text: t("accounts.models"), icon: "live", run: () => doing.open("models") }, forget];
  return [
    { text: t("accounts.edit"), icon: "edit", run: () => doing.open("edit") },
    { text: t("accounts.models"), icon: "live", run: () => doing.open("models") },
    forget,
    { text: t("download"), icon: "download", run: () => void attempt(() => download(file.name)) },
    { text: t("accounts.logout"), icon: "trash", isDangerous: true, run: () => void logOut(file, doing) },
  ];
}

async function download(name: string): Promise<void> {
  const response = await request("GET", `/auth-files/download${query({ name })}`);
  save(name, await response.blob());
}

async function logOut(file: AuthFile, doing: Doing): Promise<void> {
  const isMeant = await confirmed(
    t("accounts.logout.title", { name: file.label }),
    t("accounts.logout.text", { name: file.name }),
    t("accounts.logout"),
  );
  if (!isMeant) return;
  await doing.change(
    () => call("DELETE", `/auth-files${query({ name: file.name })}`),
    t("accounts.logout.done", { name: file.label }),
  );
}
