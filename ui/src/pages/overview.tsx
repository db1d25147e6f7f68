// The first page: what happens now, what wants a person, how the last day was, and the first steps.

import { useMemo } from "preact/hooks";
import { get, query } from "../api/client";
import type { Credential, UsageOverTime } from "../api/types";
import { compact, money, percent, whole } from "../lib/format";
import { unready } from "../lib/problems";
import { rangeOf } from "../lib/range";
import { hashOf } from "../lib/route";
import { language } from "../lib/settings";
import { Loading, Notice, Panel } from "../parts/basics";
import { Chart, Legend, type Series } from "../parts/chart";
import { Code } from "../parts/copy";
import { Icon } from "../parts/icons";
import { left, QuotaBar } from "../parts/quota";
import { useClock, useResource } from "../parts/resource";
import { explain } from "../parts/toast";
import { t } from "../words";
import { stateOf, why } from "./accounts/state";
import { Tile } from "./usage";

interface Ready {
  status: string;
  problems?: string[];
  attention?: string[];
}

interface Overview {
  credentials: Credential[];
  usage: UsageOverTime;
  ready: Ready;
  hasClientKeys: boolean;
}

async function read(signal: AbortSignal): Promise<Overview> {
  const span = rangeOf("24h", Date.now());
  const [credentials, usage, keys, ready] = await Promise.all([
    get<{ credentials: Credential[] }>("/credentials", signal),
    get<UsageOverTime>(`/usage/series${query({ ...span, by: "provider", top: 8 })}`, signal),
    get<{ "api-keys": string[] }>("/api-keys", signal),
    // It answers 503 when it has something to say, which is no failure here.
    fetch(new URL("readyz", new URL(".", location.href)), { signal }).then(
      (response) => response.json() as Promise<Ready>,
    ),
  ]);
  return { credentials: credentials.credentials, usage, ready, hasClientKeys: keys["api-keys"].length > 0 };
}

export function OverviewPage() {
  const overview = useResource(read, [], 10_000);
  const { data } = overview;
  return (
    <div class="page">
      <div class="title">
        <div>
          <h1>{t("page.overview")}</h1>
          <p>{t("overview.about")}</p>
        </div>
      </div>
      {overview.error !== undefined && <Notice tone="bad">{explain(overview.error)}</Notice>}
      {data === undefined && overview.isLoading && <Loading />}
      {data && <FirstSteps overview={data} />}
      {data && <Numbers overview={data} />}
      {data && (
        <div class="columns">
          <LastDay usage={data.usage} />
          <div class="stack">
            <Attention overview={data} />
            <Scarce credentials={data.credentials} />
          </div>
        </div>
      )}
    </div>
  );
}

function Numbers({ overview }: { overview: Overview }) {
  const { total } = overview.usage;
  const states = overview.credentials.map(stateOf);
  const ready = states.filter((state) => state === "ready").length;
  const flying = overview.credentials.reduce((sum, credential) => sum + (credential.in_flight ?? 0), 0);
  return (
    <dl class="tiles">
      <Tile name={t("overview.ready")} value={`${ready} / ${states.length}`}>
        <a href={hashOf("accounts")}>{t("page.accounts")}</a>
      </Tile>
      <Tile name={t("overview.now")} value={whole(flying, language.value)}>
        <a href={hashOf("live")}>{t("overview.watch")}</a>
      </Tile>
      <Tile name={t("overview.requests")} value={whole(total.requests, language.value)}>
        {t("usage.failed.share", {
          n: total.failed,
          share: percent(total.requests ? total.failed / total.requests : 0),
        })}
      </Tile>
      <Tile name={t("overview.tokens")} value={compact(total.input + total.output)}>
        {t("usage.cached", { share: percent(total.input ? total.cache_read / total.input : 0) })}
      </Tile>
      <Tile name={t("overview.cost")} value={money(total.cost, language.value)}>
        {total.unpriced > 0 ? t("usage.unpriced", { n: total.unpriced }) : ""}
      </Tile>
    </dl>
  );
}

function LastDay({ usage }: { usage: UsageOverTime }) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the names are in the language of the moment
  const series = useMemo(
    () =>
      usage.series.map(
        (one, at): Series => ({
          name: one.is_rest ? t("usage.rest") : one.name || t("unnamed.provider"),
          values: one.requests,
          color: one.is_rest ? "--series-rest" : `--series-${(at % 8) + 1}`,
        }),
      ),
    [usage, language.value],
  );
  return (
    <Panel title={t("overview.day")} actions={<a href={hashOf("usage")}>{t("overview.more")}</a>}>
      {usage.total.requests === 0 ? (
        <p class="muted">{t("overview.quiet")}</p>
      ) : (
        <>
          <Chart
            label={t("overview.day")}
            times={usage.times}
            step={usage.step}
            series={series}
            format={compact}
            height={220}
          />
          <Legend series={series} />
        </>
      )}
    </Panel>
  );
}

/** What does not mend itself, and what is about to run out. */
function Attention({ overview }: { overview: Overview }) {
  const broken = overview.credentials.filter((credential) => stateOf(credential) === "error");
  const texts = [
    ...(overview.ready.problems ?? []).map(unready),
    ...broken.map((credential) => `${credential.label}: ${why(credential)}`),
  ];
  return (
    <Panel title={t("overview.attention")}>
      {texts.length === 0 ? (
        <p class="row muted">
          <Icon name="check" />
          {t("overview.well")}
        </p>
      ) : (
        <ul class="attention">
          {texts.map((text) => (
            <li key={text}>
              <Icon name="warning" />
              <span>{text}</span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}

function Scarce({ credentials }: { credentials: readonly Credential[] }) {
  const now = useClock(5_000);
  const scarce = credentials
    .filter((credential) => !credential.disabled)
    .flatMap((credential) => (credential.quotas ?? []).map((quota) => ({ credential, quota })))
    .sort((one, other) => left(one.quota) - left(other.quota))
    .slice(0, 5);
  if (scarce.length === 0) return null;
  return (
    <Panel title={t("overview.scarce")} actions={<a href={hashOf("accounts")}>{t("overview.more")}</a>}>
      <ul class="compact-quotas">
        {scarce.map(({ credential, quota }) => (
          <li key={`${credential.id}${quota.name}${quota.model ?? ""}`}>
            <span class="small clip">{credential.label}</span>
            <QuotaBar quota={quota} now={now} />
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function FirstSteps({ overview }: { overview: Overview }) {
  const hasAccounts = overview.credentials.length > 0;
  const hasRequests = overview.usage.total.requests > 0;
  if (hasAccounts && (overview.hasClientKeys || hasRequests)) return null;
  const address = new URL(".", location.href).href.replace(/\/$/, "");
  return (
    <Panel title={t("first.title")} about={t("first.about")}>
      <ol class="steps">
        <li class={hasAccounts ? "done" : ""}>
          <strong>{t("first.account")}</strong>
          <p class="muted">{t("first.account.text")}</p>
          {!hasAccounts && (
            <div class="row">
              <a class="button primary" href={hashOf("accounts", { add: "1" })}>
                <Icon name="plus" />
                {t("accounts.add")}
              </a>
              <a class="button" href={hashOf("keys", { tab: "upstream" })}>
                <Icon name="keys" />
                {t("first.key")}
              </a>
            </div>
          )}
        </li>
        <li class={overview.hasClientKeys ? "done" : ""}>
          <strong>{t("first.client")}</strong>
          <p class="muted">{t("first.client.text")}</p>
          {!overview.hasClientKeys && (
            <div class="row">
              <a class="button" href={hashOf("keys")}>
                <Icon name="keys" />
                {t("keys.add")}
              </a>
            </div>
          )}
        </li>
        <li class={hasRequests ? "done" : ""}>
          <strong>{t("first.point")}</strong>
          <p class="muted">{t("first.point.text")}</p>
          <Code text={`OPENAI_BASE_URL=${address}/v1\nANTHROPIC_BASE_URL=${address}`} />
        </li>
      </ol>
    </Panel>
  );
}
