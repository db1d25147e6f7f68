// Totals by group, the largest first, each with its share.

import type { Grouping, Totals, UsageTotals } from "../../api/types";
import { compact, money, percent, whole } from "../../lib/format";
import { language } from "../../lib/settings";
import { t } from "../../words";
import { nameOf } from "./names";

export function Breakdown({ totals, by }: { totals: UsageTotals; by: Grouping }) {
  const most = Math.max(1, ...totals.by.map((row) => row.requests));
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>{t(`by.${by}`)}</th>
            <th class="number">{t("measure.requests")}</th>
            <th class="number">{t("measure.failed")}</th>
            <th class="number">{t("usage.input")}</th>
            <th class="number wide-only">{t("usage.cached.column")}</th>
            <th class="number">{t("usage.output")}</th>
            <th class="number">{t("measure.cost")}</th>
          </tr>
        </thead>
        <tbody>
          {totals.by.map((row) => (
            <Line key={row.name} row={row} name={nameOf(row.name, by)} most={most} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Line({ row, name, most }: { row: Totals; name: string; most: number }) {
  return (
    <tr>
      <td class="share" style={{ "--share": `${(row.requests / most) * 100}%` }}>
        <span>{name}</span>
      </td>
      <td class="number">{whole(row.requests, language.value)}</td>
      <td class={`number ${row.failed > 0 ? "bad" : "faint"}`}>{whole(row.failed, language.value)}</td>
      <td class="number">{compact(row.input)}</td>
      <td class="number wide-only faint">{row.input > 0 ? percent(row.cache_read / row.input) : "–"}</td>
      <td class="number">{compact(row.output)}</td>
      <td class="number">
        {row.unpriced === row.requests ? <span class="faint">–</span> : money(row.cost, language.value)}
      </td>
    </tr>
  );
}
