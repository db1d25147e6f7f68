// Keys of upstreams, list by list as the configuration has them.

import { useState } from "preact/hooks";
import { call, get, query } from "../../api/client";
import type { KeyEntry } from "../../api/types";
import { masked } from "../../lib/format";
import { Badge, Button, Empty, Loading, Notice, Panel } from "../../parts/basics";
import { confirmed } from "../../parts/dialog";
import { Icon } from "../../parts/icons";
import { Menu } from "../../parts/menu";
import { useResource } from "../../parts/resource";
import { attempt, explain } from "../../parts/toast";
import { t } from "../../words";
import { EntryForm } from "./entry";

export const LISTS = [
  { path: "claude-api-key", name: "Anthropic" },
  { path: "codex-api-key", name: "OpenAI Responses" },
  { path: "gemini-api-key", name: "Gemini" },
  { path: "vertex-api-key", name: "Vertex AI" },
  { path: "xai-api-key", name: "xAI" },
  { path: "interactions-api-key", name: "Gemini Interactions" },
  { path: "openai-compatibility", name: "OpenAI Chat" },
] as const;

export type List = (typeof LISTS)[number];

type Lists = Record<string, KeyEntry[]>;

async function read(signal: AbortSignal): Promise<Lists> {
  const answers = await Promise.all(LISTS.map((list) => get<Lists>(`/${list.path}`, signal)));
  return Object.assign({}, ...answers) as Lists;
}

interface Edited {
  list: List;
  /** Without one it is a new entry. */
  index?: number;
}

export function UpstreamKeys() {
  const lists = useResource(read, []);
  const [edited, setEdited] = useState<Edited | null>(null);
  const { data } = lists;
  const used = LISTS.filter((list) => (data?.[list.path] ?? []).length > 0);

  async function remove(list: List, index: number) {
    const entry = data?.[list.path]?.[index];
    const name = titleOf(entry ?? {});
    const isMeant = await confirmed(
      t("upstream.remove.title"),
      t("upstream.remove.text", { name }),
      t("remove"),
    );
    if (!isMeant) return;
    await attempt(() => call("DELETE", `/${list.path}${query({ index })}`), t("keys.removed"));
    await lists.reload();
  }

  return (
    <>
      {lists.error !== undefined && <Notice tone="bad">{explain(lists.error)}</Notice>}
      {data === undefined && lists.isLoading && <Loading />}
      {data && (
        <Panel title={t("upstream.add")} about={t("upstream.add.about")}>
          <div class="row">
            {LISTS.map((list) => (
              <Button key={list.path} icon="plus" onClick={() => setEdited({ list })}>
                {list.name}
              </Button>
            ))}
          </div>
        </Panel>
      )}
      {data && used.length === 0 && (
        <section class="panel flush">
          <Empty icon="keys" title={t("upstream.none")}>
            {t("upstream.none.text")}
          </Empty>
        </section>
      )}
      {used.map((list) => (
        <Panel key={list.path} isFlush title={list.name} about={<code>{list.path}</code>}>
          <ul>
            {(data?.[list.path] ?? []).map((entry, index) => (
              <EntryRow
                // biome-ignore lint/suspicious/noArrayIndexKey: entries are addressed by their place
                key={index}
                entry={entry}
                onEdit={() => setEdited({ list, index })}
                onRemove={() => remove(list, index)}
              />
            ))}
          </ul>
        </Panel>
      ))}
      {edited && (
        <EntryForm
          list={edited.list}
          index={edited.index}
          entry={edited.index === undefined ? undefined : data?.[edited.list.path]?.[edited.index]}
          others={data?.[edited.list.path] ?? []}
          onClose={() => setEdited(null)}
          onDone={lists.reload}
        />
      )}
    </>
  );
}

function titleOf(entry: KeyEntry): string {
  return entry.name ?? masked(entry["api-key"] ?? "");
}

function EntryRow({
  entry,
  onEdit,
  onRemove,
}: {
  entry: KeyEntry;
  onEdit: () => void;
  onRemove: () => void;
}) {
  const excluded = entry["excluded-models"] ?? [];
  const isOff = entry.disabled === true || excluded.includes("*");
  const facts = [
    entry["base-url"],
    entry["api-key-entries"] && t("upstream.keys.count", { n: entry["api-key-entries"].length }),
    entry.models && t("accounts.models.count", { n: entry.models.length }),
    entry.prefix && t("upstream.prefix.short", { prefix: entry.prefix }),
    entry.priority ? t("accounts.priority.short", { n: entry.priority }) : undefined,
    entry.weight !== undefined ? t("accounts.weight.short", { n: entry.weight }) : undefined,
    entry["proxy-url"] ? t("upstream.proxied") : undefined,
  ].filter(Boolean);
  return (
    <li class="key-row">
      <span class="logo" aria-hidden="true">
        <Icon name="keys" />
      </span>
      <div class="grow">
        <div class="row">
          <strong class={entry.name ? "" : "mono"}>{titleOf(entry)}</strong>
          {isOff && <Badge>{t("state.off")}</Badge>}
        </div>
        <div class="about small muted row">
          {facts.map((fact) => (
            <span key={fact} class="clip">
              {fact}
            </span>
          ))}
        </div>
      </div>
      <Menu
        label={t("actions.for", { name: titleOf(entry) })}
        actions={[
          { text: t("edit"), icon: "edit", run: onEdit },
          { text: t("remove"), icon: "trash", isDangerous: true, run: onRemove },
        ]}
      />
    </li>
  );
}
