// What was used over time: by whom, of what, at what cost.

import { useMemo, useState } from "preact/hooks";
import { call, get, query, request } from "../../api/client";
import type { Grouping, UsageOverTime, UsageTotals } from "../../api/types";
import { csv, save } from "../../lib/csv";
import { compact, money, percent, whole } from "../../lib/format";
import { RANGES, type RangeName, rangeOf } from "../../lib/range";
import { language } from "../../lib/settings";
import { Button, Empty, Loading, Notice, Panel, Segments } from "../../parts/basics";
import { Chart, Legend, type Series } from "../../parts/chart";
import { useResource } from "../../parts/resource";
import { attempt, explain } from "../../parts/toast";
import { t } from "../../words";
import { Breakdown } from "./breakdown";
import { nameOf } from "./names";
import { Requests } from "./requests";

type Measure = "requests" | "tokens" | "cost" | "failed";

const GROUPINGS: readonly Grouping[] = ["model", "credential", "client", "provider"];
const MEASURES: readonly Measure[] = ["requests", "tokens", "cost", "failed"];

interface Read {
  series: UsageOverTime;
  totals: UsageTotals;
  isOn: boolean;
}

function valuesOf(one: UsageOverTime["series"][number], measure: Measure): readonly number[] {
  if (measure !== "tokens") return one[measure];
  return one.input.map((input, at) => input + (one.output[at] ?? 0));
}

export function written(value: number, measure: Measure): string {
  return measure === "cost" ? money(value, language.value) : compact(value);
}

export function UsagePage() {
  const [range, setRange] = useState<RangeName>("24h");
  const [by, setBy] = useState<Grouping>("model");
  const [measure, setMeasure] = useState<Measure>("requests");
  const usage = useResource(
    async (signal): Promise<Read> => {
      const span = rangeOf(range, Date.now());
      const [series, totals, switched] = await Promise.all([
        get<UsageOverTime>(`/usage/series${query({ ...span, by, top: 8 })}`, signal),
        get<UsageTotals>(`/usage/totals${query({ from: span.from, until: span.until, by })}`, signal),
        get<{ "usage-statistics-enabled": boolean }>("/usage-statistics-enabled", signal),
      ]);
      return { series, totals, isOn: switched["usage-statistics-enabled"] };
    },
    [range, by],
    15_000,
  );
  const { data } = usage;
  const isUnused = data !== undefined && data.totals.total.requests === 0;

  async function turnOn() {
    await attempt(
      () => call("PUT", "/usage-statistics-enabled", { body: { value: true } }),
      t("usage.on.done"),
    );
    await usage.reload();
  }

  return (
    <div class="page">
      <div class="title">
        <div>
          <h1>{t("page.usage")}</h1>
          <p>{t("usage.about")}</p>
        </div>
        <div class="tools">
          <Segments
            label={t("usage.range")}
            value={range}
            options={RANGES.map((value) => ({ value, text: t(`range.${value}`) }))}
            onChange={setRange}
          />
          <Button icon="download" onClick={() => attempt(everything)}>
            {t("usage.everything")}
          </Button>
        </div>
      </div>
      {usage.error !== undefined && <Notice tone="bad">{explain(usage.error)}</Notice>}
      {data === undefined && usage.isLoading && <Loading />}
      {data && !data.isOn && (
        <Notice
          tone="warn"
          actions={
            <Button look="primary" onClick={turnOn}>
              {t("usage.on")}
            </Button>
          }
        >
          {t("usage.off")}
        </Notice>
      )}
      {data && <Tiles totals={data.totals.total} />}
      {data && (
        <Panel
          title={t(`measure.${measure}`)}
          about={t("usage.by", { what: t(`by.${by}`) })}
          actions={
            <>
              <Segments
                label={t("usage.measure")}
                value={measure}
                options={MEASURES.map((value) => ({ value, text: t(`measure.${value}`) }))}
                onChange={setMeasure}
              />
              <Segments
                label={t("usage.grouping")}
                value={by}
                options={GROUPINGS.map((value) => ({ value, text: t(`by.${value}`) }))}
                onChange={setBy}
              />
            </>
          }
        >
          {isUnused ? (
            <Empty icon="usage" title={t("usage.none")}>
              {t("usage.none.text")}
            </Empty>
          ) : (
            <OverTime usage={data.series} measure={measure} by={by} />
          )}
        </Panel>
      )}
      {data && !isUnused && (
        <Panel
          isFlush
          title={t("usage.breakdown", { what: t(`by.${by}`) })}
          actions={
            <Button icon="download" onClick={() => save(`usage-${by}-${range}.csv`, table(data.totals, by))}>
              CSV
            </Button>
          }
        >
          <Breakdown totals={data.totals} by={by} />
        </Panel>
      )}
      {data && !isUnused && <Requests />}
    </div>
  );
}

function OverTime({ usage, measure, by }: { usage: UsageOverTime; measure: Measure; by: Grouping }) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the names are in the language of the moment
  const series = useMemo(
    () =>
      usage.series.map(
        (one, at): Series => ({
          name: one.is_rest ? t("usage.rest") : nameOf(one.name, by),
          values: valuesOf(one, measure),
          color: one.is_rest ? "--series-rest" : `--series-${(at % 8) + 1}`,
        }),
      ),
    [usage, measure, by, language.value],
  );
  return (
    <>
      <Chart
        label={t("usage.chart", { measure: t(`measure.${measure}`), what: t(`by.${by}`) })}
        times={usage.times}
        step={usage.step}
        series={series}
        format={(value) => written(value, measure)}
        isWhole={measure !== "cost"}
      />
      <Legend series={series} />
    </>
  );
}

function Tiles({ totals }: { totals: UsageTotals["total"] }) {
  const share = totals.requests === 0 ? 0 : totals.failed / totals.requests;
  const cached = totals.input === 0 ? 0 : totals.cache_read / totals.input;
  return (
    <dl class="tiles">
      <Tile name={t("measure.requests")} value={whole(totals.requests, language.value)}>
        {t("usage.failed.share", { n: totals.failed, share: percent(share) })}
      </Tile>
      <Tile name={t("usage.input")} value={compact(totals.input)}>
        {t("usage.cached", { share: percent(cached) })}
      </Tile>
      <Tile name={t("usage.output")} value={compact(totals.output)}>
        {totals.reasoning > 0 ? t("usage.reasoning", { n: compact(totals.reasoning) }) : ""}
      </Tile>
      <Tile name={t("measure.cost")} value={money(totals.cost, language.value)}>
        {totals.unpriced > 0 ? t("usage.unpriced", { n: totals.unpriced }) : ""}
      </Tile>
    </dl>
  );
}

export function Tile({
  name,
  value,
  children,
}: {
  name: string;
  value: string;
  children?: preact.ComponentChildren;
}) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd>{value}</dd>
      <div class="small">{children}</div>
    </div>
  );
}

function table(totals: UsageTotals, by: Grouping): string {
  const columns = [
    "requests",
    "complete",
    "failed",
    "cancelled",
    "killed",
    "input",
    "output",
    "reasoning",
    "cache_read",
    "cache_write",
    "cost",
  ] as const;
  return csv(
    [by, ...columns],
    totals.by.map((row) => [row.name, ...columns.map((column) => row[column])]),
  );
}

/** Every row of the ledger, as the gateway writes it. */
async function everything(): Promise<void> {
  const response = await request("GET", "/usage/export?format=csv");
  save("usage.csv", await response.blob());
}
