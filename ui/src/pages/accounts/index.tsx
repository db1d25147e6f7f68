// Accounts and keys that serve: how they stand, what is left of them, and what can be done with each.

import { useRef, useState } from "preact/hooks";
import { get, request } from "../../api/client";
import type { AuthFile, Credential } from "../../api/types";
import { providerOf } from "../../lib/providers";
import { place } from "../../lib/route";
import { Button, Empty, Loading, Notice, Search, Segments } from "../../parts/basics";
import { useClock, useResource } from "../../parts/resource";
import { complain, explain, say } from "../../parts/toast";
import { known, t } from "../../words";
import { AddAccount } from "./add";
import { Row, type Standing } from "./row";
import { stateOf } from "./state";

type Filter = "all" | "ready" | "resting" | "off";

/** Accounts with all that their files say, and what else serves. */
async function read(signal: AbortSignal): Promise<Standing[]> {
  const [files, credentials] = await Promise.all([
    get<{ files: AuthFile[] }>("/auth-files", signal),
    get<{ credentials: Credential[] }>("/credentials", signal),
  ]);
  const byIndex = new Map(credentials.credentials.map((credential) => [credential.auth_index, credential]));
  const accounts = files.files.map((file): Standing => ({ ...byIndex.get(file.auth_index), ...file, file }));
  const known = new Set(files.files.map((file) => file.auth_index));
  const others = credentials.credentials.filter((credential) => !known.has(credential.auth_index));
  return [...accounts, ...others];
}

export function AccountsPage() {
  const list = useResource(read, [], 10_000);
  const now = useClock();
  const [filter, setFilter] = useState<Filter>("all");
  const [words, setWords] = useState("");
  const [isAdding, setAdding] = useState(place.value.values.has("add"));
  const picker = useRef<HTMLInputElement>(null);

  const all = list.data ?? [];
  const shown = all.filter((standing) => {
    const state = stateOf(standing);
    const isOf = {
      all: true,
      ready: state === "ready",
      resting: state === "resting" || state === "error",
      off: state === "off",
    };
    const text = `${standing.label} ${standing.id} ${standing.provider} ${standing.note ?? ""}`.toLowerCase();
    return isOf[filter] && text.includes(words.trim().toLowerCase());
  });

  async function upload(files: FileList | null) {
    if (!files || files.length === 0) return;
    const form = new FormData();
    for (const file of files) form.append("file", file, file.name);
    try {
      const response = await request("POST", "/auth-files", { raw: form });
      const result = (await response.json()) as { failed?: { name: string; error: string }[] };
      const refused = result.failed ?? [];
      if (refused.length > 0)
        say(refused.map((one) => `${one.name}: ${known(`error.${one.error}`, one.error)}`).join("\n"), "bad");
      else say(t("accounts.uploaded", { n: files.length }));
    } catch (error) {
      complain(error);
    }
    if (picker.current) picker.current.value = "";
    await list.reload();
  }

  return (
    <div class="page">
      <div class="title">
        <div>
          <h1>{t("page.accounts")}</h1>
          <p>{t("accounts.about")}</p>
        </div>
        <div class="tools">
          <input
            ref={picker}
            type="file"
            accept=".json,application/json"
            multiple
            hidden
            onChange={(event) => upload(event.currentTarget.files)}
          />
          <Button icon="upload" onClick={() => picker.current?.click()}>
            {t("accounts.upload")}
          </Button>
          <Button icon="plus" look="primary" onClick={() => setAdding(true)}>
            {t("accounts.add")}
          </Button>
        </div>
      </div>
      {list.error !== undefined && <Notice tone="bad">{explain(list.error)}</Notice>}
      {all.length > 0 && (
        <div class="tools">
          <Search words={words} onChange={setWords} />
          <Segments
            label={t("accounts.filter")}
            value={filter}
            options={[
              { value: "all", text: t("all") },
              { value: "ready", text: t("state.ready") },
              { value: "resting", text: t("accounts.unready") },
              { value: "off", text: t("state.off") },
            ]}
            onChange={setFilter}
          />
        </div>
      )}
      {list.data === undefined && list.isLoading && <Loading />}
      {list.data !== undefined && all.length === 0 && (
        <section class="panel flush">
          <Empty
            icon="accounts"
            title={t("accounts.none")}
            actions={
              <Button icon="plus" look="primary" onClick={() => setAdding(true)}>
                {t("accounts.add")}
              </Button>
            }
          >
            {t("accounts.none.text")}
          </Empty>
        </section>
      )}
      {groups(shown).map(([provider, members]) => (
        <section key={provider} class="panel flush" aria-label={providerOf(provider).name}>
          {members.map((standing) => (
            <Row key={standing.id} standing={standing} now={now} reload={list.reload} />
          ))}
        </section>
      ))}
      {all.length > 0 && shown.length === 0 && <p class="muted">{t("nothing.fits")}</p>}
      {isAdding && <AddAccount onClose={() => setAdding(false)} onDone={list.reload} />}
    </div>
  );
}

/** By provider, in the order of names. */
function groups(list: readonly Standing[]): [string, Standing[]][] {
  const found = new Map<string, Standing[]>();
  for (const standing of list) {
    found.set(standing.provider, [...(found.get(standing.provider) ?? []), standing]);
  }
  return [...found].sort(([one], [other]) => one.localeCompare(other));
}
