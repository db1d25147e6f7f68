// The single requests on record, newest first.

import { useEffect, useState } from "preact/hooks";
import { get, query } from "../../api/client";
import type { UsageRow } from "../../api/types";
import { compact, elapsed, moment, money } from "../../lib/format";
import { language } from "../../lib/settings";
import { Badge, Button, Panel, type Tone } from "../../parts/basics";
import { complain } from "../../parts/toast";
import { known, t } from "../../words";

const TONES: Record<string, Tone> = { complete: "good", failed: "bad", cancelled: "warn", killed: "bad" };

interface Page {
  requests: UsageRow[];
  next: string | number | null;
}

export function Requests() {
  const [rows, setRows] = useState<UsageRow[]>([]);
  const [next, setNext] = useState<Page["next"]>(null);
  const [isBusy, setBusy] = useState(false);

  async function read(before: Page["next"]) {
    setBusy(true);
    try {
      const page = await get<Page>(`/usage/requests${query({ limit: 50, before })}`);
      setRows((known) => (before === null ? page.requests : [...known, ...page.requests]));
      setNext(page.next);
    } catch (error) {
      complain(error);
    }
    setBusy(false);
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: read once, and then by the buttons
  useEffect(() => {
    void read(null);
  }, []);

  return (
    <Panel
      isFlush
      title={t("usage.requests")}
      actions={
        <Button icon="refresh" look="quiet" label={t("refresh")} isBusy={isBusy} onClick={() => read(null)} />
      }
    >
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>{t("column.when")}</th>
              <th>{t("column.state")}</th>
              <th>{t("column.model")}</th>
              <th class="wide-only">{t("column.served")}</th>
              <th class="wide-only">{t("column.client")}</th>
              <th class="number">{t("column.tokens")}</th>
              <th class="number">{t("column.time")}</th>
              <th class="number wide-only">{t("measure.cost")}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <Line key={row.request_id} row={row} />
            ))}
          </tbody>
        </table>
      </div>
      {next !== null && (
        <div class="more">
          <Button isBusy={isBusy} onClick={() => read(next)}>
            {t("more")}
          </Button>
        </div>
      )}
    </Panel>
  );
}

function Line({ row }: { row: UsageRow }) {
  return (
    <tr>
      <td class="number-left">{moment(row.at * 1000, language.value)}</td>
      <td>
        <Badge tone={TONES[row.outcome] ?? "none"}>{known(`live.state.${row.outcome}`, row.outcome)}</Badge>
      </td>
      <td>
        <div class="pair">
          <span>{row.requested_model}</span>
          <span class="small">
            {row.format} · {known(`lane.${row.lane}`, row.lane)}
          </span>
        </div>
      </td>
      <td class="wide-only">
        <div class="pair">
          <span>{row.credential ?? "–"}</span>
          <span class="small">
            {row.upstream_model !== row.requested_model ? row.upstream_model : ""}
            {row.attempts > 1 ? ` ${t("live.attempts", { n: row.attempts })}` : ""}
          </span>
        </div>
      </td>
      <td class="wide-only">{row.client ?? <span class="faint">–</span>}</td>
      <td class="number" title={row.is_estimated ? t("usage.estimated") : undefined}>
        {row.is_estimated ? "≈ " : ""}
        {compact(row.input)} → {compact(row.output)}
      </td>
      <td class="number">{elapsed(row.total_ms)}</td>
      <td class="number wide-only">
        {row.cost === undefined ? <span class="faint">–</span> : money(row.cost, language.value)}
      </td>
    </tr>
  );
}
