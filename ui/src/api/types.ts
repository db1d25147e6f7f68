// The shapes of the management interface, as far as the dashboard reads them. docs/MANAGEMENT.md describes them.

export interface QuotaWindow {
  name: string;
  model?: string;
  used: number;
  length?: number;
  resets_at?: number;
  told_at: number;
  limit?: number;
  remaining?: number;
}

export interface RecentBucket {
  time: string;
  start: number;
  success: number;
  failed: number;
}

/** A reason, or a remedy. */
export interface Reason {
  /** In English, or in the words of whoever said it. */
  message: string;
  /** The gateway's word for it, where it is the gateway's. */
  code?: string;
  /** What the text says in its places. */
  values?: Record<string, string>;
}

/** What accounts and keys have in common. */
interface Standing {
  id: string;
  auth_index: string;
  provider: string;
  label: string;
  status: "active" | "error" | "disabled" | string;
  status_message: string;
  /** Where it needs attention: what happened, and what mends it. */
  status_reasons?: Reason[];
  status_code?: string;
  disabled: boolean;
  next_retry_after?: string;
  priority?: number;
  weight?: number;
  in_flight?: number;
  success?: number;
  failed?: number;
  recent_requests?: RecentBucket[];
  quotas?: QuotaWindow[];
}

export interface AuthFile extends Standing {
  name: string;
  type: string;
  unavailable: boolean;
  runtime_only: boolean;
  size: number;
  email?: string;
  project_id?: string;
  modtime?: string;
  last_refresh?: string;
  note?: string;
  id_token?: { plan_type?: string };
}

export interface Credential extends Standing {
  source: "file" | "config" | "demo" | string;
  kind?: string;
  name?: string;
  models?: number;
}

export interface Model {
  id: string;
  owned_by?: string;
  display_name?: string;
}

export interface Explained {
  credential: string;
  upstream_model: string;
  reason?: string;
  code?: string;
  why?: string;
  scope?: string;
  quotas: QuotaWindow[];
}

export interface Explanation {
  model: string;
  chosen: Explained | null;
  skipped: Explained[];
}

export interface Totals {
  requests: number;
  complete: number;
  failed: number;
  cancelled: number;
  killed: number;
  input: number;
  output: number;
  reasoning: number;
  cache_read: number;
  cache_write: number;
  cost: number;
  unpriced: number;
}

export type Grouping =
  | "none"
  | "model"
  | "credential"
  | "provider"
  | "client"
  | "format"
  | "outcome"
  | "lane";

export interface UsageTotals {
  from: number;
  until: number;
  total: Totals;
  by: (Totals & { name: string })[];
}

export interface UsageSeries {
  name: string;
  is_rest?: boolean;
  requests: number[];
  failed: number[];
  cancelled: number[];
  input: number[];
  output: number[];
  reasoning: number[];
  cache_read: number[];
  cache_write: number[];
  cost: number[];
}

export interface UsageOverTime {
  from: number;
  until: number;
  step: number;
  times: number[];
  series: UsageSeries[];
  total: Totals;
}

export interface UsageRow {
  request_id: string;
  at: number;
  client?: string;
  format: string;
  requested_model: string;
  upstream_model?: string;
  provider?: string;
  credential?: string;
  lane: string;
  attempts: number;
  outcome: string;
  input: number;
  output: number;
  reasoning: number;
  cache_read: number;
  cache_write: number;
  is_estimated: boolean;
  first_byte_ms?: number;
  total_ms: number;
  cost?: number;
}

export interface ConfigVersion {
  number: number;
  size: number;
  modified: number;
  version: string;
}

export interface ModelEntry {
  name: string;
  alias?: string;
  [member: string]: unknown;
}

/** An entry of a list of upstream keys; members that a form does not show stay as they are. */
export interface KeyEntry {
  "api-key"?: string;
  name?: string;
  "base-url"?: string;
  "proxy-url"?: string;
  prefix?: string;
  priority?: number;
  weight?: number;
  headers?: Record<string, string>;
  models?: ModelEntry[];
  "excluded-models"?: string[];
  "api-key-entries"?: { "api-key": string; [member: string]: unknown }[];
  disabled?: boolean;
  [member: string]: unknown;
}

export interface Limit {
  per: "minute" | "hour" | "day" | "week" | "month";
  requests?: number;
  tokens?: number;
  cost?: number;
}

export interface KeyLimits {
  "api-key": string;
  name?: string;
  expires?: string;
  models?: string[];
  credentials?: string[];
  limits?: Limit[];
  [member: string]: unknown;
}

/** How a client key stands; the key itself is not shown. */
export interface KeyState {
  /** Its place in `api-keys`. */
  index: number;
  client: string | null;
  is_expired: boolean;
  /** What is allowed in a window, and what is used of it. */
  windows: (Limit & { resets_at: number; used: { requests: number; tokens: number; cost: number } })[];
}

export interface Begun {
  url: string;
  state: string;
  user_code?: string;
}

export interface LoginStanding {
  status: "wait" | "ok" | "error";
  error?: string;
  /** The kind of the failure. */
  code?: string;
}

export interface LogPage {
  lines: string[];
  "latest-timestamp": number;
  "next-cursor"?: string;
  "cursor-reset"?: boolean;
}

export interface ErrorLog {
  name: string;
  size: number;
  modified: number;
}
