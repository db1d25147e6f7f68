// What is left of a quota, as a bar, and when it begins anew.

import type { QuotaWindow, RecentBucket } from "../api/types";
import { percent, remaining, whole } from "../lib/format";
import { language } from "../lib/settings";
import { known, t } from "../words";

/** The share that is left, from 0 to 1. */
export function left(quota: QuotaWindow): number {
  return Math.min(1, Math.max(0, 1 - quota.used));
}

function tone(share: number): string {
  if (share < 0.1) return "bad";
  return share < 0.3 ? "warn" : "good";
}

interface BarProps {
  label: string;
  /** From 0 to 1. */
  share: number;
  tone: string;
  /** The value in words. */
  text: string;
}

export function Bar({ label, share, tone: color, text }: BarProps) {
  return (
    <div
      class={`bar ${color}`}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(share * 100)}
      aria-valuetext={text}
    >
      <span style={{ width: `${share * 100}%` }} />
    </div>
  );
}

export function QuotaBar({ quota, now }: { quota: QuotaWindow; now: number }) {
  const share = left(quota);
  const name = known(`quota.${quota.name}`, quota.name);
  const reset =
    quota.resets_at !== undefined && quota.resets_at > now
      ? t("quota.resets", { time: remaining(quota.resets_at - now, language.value) })
      : "";
  const count =
    quota.limit !== undefined && quota.remaining !== undefined
      ? `${whole(quota.remaining, language.value)} / ${whole(quota.limit, language.value)}`
      : "";
  const told = t("quota.told", { time: remaining(now - quota.told_at, language.value) });
  return (
    <div class="quota" title={told}>
      <div class="words">
        <span class="name">
          {name}
          {quota.model && <code>{quota.model}</code>}
        </span>
        <span class="muted">{reset}</span>
        <strong>{t("quota.left", { share: percent(share) })}</strong>
      </div>
      <Bar
        label={t("quota.meter", { name })}
        share={share}
        tone={tone(share)}
        text={[t("quota.left", { share: percent(share) }), count, reset].filter(Boolean).join(", ")}
      />
      {count && <span class="muted small">{count}</span>}
    </div>
  );
}

/** The last hours of a credential: one column for ten minutes, failures on top. */
export function Sparkline({ buckets }: { buckets: readonly RecentBucket[] }) {
  const most = Math.max(1, ...buckets.map((bucket) => bucket.success + bucket.failed));
  const success = buckets.reduce((sum, bucket) => sum + bucket.success, 0);
  const failed = buckets.reduce((sum, bucket) => sum + bucket.failed, 0);
  const words = t("recent.words", { success, failed });
  return (
    <svg class="sparkline" viewBox={`0 0 ${buckets.length * 5} 24`} role="img" aria-label={words}>
      <title>{words}</title>
      {buckets.map((bucket, at) => {
        const good = (bucket.success / most) * 22;
        const bad = (bucket.failed / most) * 22;
        return (
          <g key={bucket.start}>
            <rect class="base" x={at * 5} y={23} width={4} height={1} />
            <rect class="good" x={at * 5} y={24 - good} width={4} height={good} />
            <rect class="bad" x={at * 5} y={24 - good - bad} width={4} height={bad} />
          </g>
        );
      })}
    </svg>
  );
}
