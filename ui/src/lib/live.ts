// Requests on their way, made of the events about them. Pure: events in, a list out.

export interface LiveRequest {
  id: string;
  /** When it came, in milliseconds. */
  at: number;
  client?: string;
  format: string;
  model: string;
  isStream: boolean;
  provider?: string;
  credential?: string;
  upstreamModel?: string;
  attempts: number;
  lane?: string;
  firstByte?: number;
  /** How long it took, once it has ended or as last told. */
  elapsed?: number;
  bytes: number;
  input: number;
  output: number;
  cost?: number;
  state: "waiting" | "streaming" | "complete" | "failed" | "cancelled";
}

/** How many that have ended are kept. */
const KEPT = 200;

type Data = Record<string, unknown>;

const number = (data: Data, name: string): number | undefined =>
  typeof data[name] === "number" ? (data[name] as number) : undefined;
const text = (data: Data, name: string): string | undefined =>
  typeof data[name] === "string" && data[name] !== "" ? (data[name] as string) : undefined;

export function isRunning(request: LiveRequest): boolean {
  return request.state === "waiting" || request.state === "streaming";
}

function blank(id: string, now: number): LiveRequest {
  return {
    id,
    at: now,
    format: "",
    model: "",
    isStream: false,
    attempts: 0,
    bytes: 0,
    input: 0,
    output: 0,
    state: "waiting",
  };
}

/** The members that an event tells, under the names that they have here. */
function told(event: string, data: Data): Partial<LiveRequest> {
  const members: Record<string, unknown> = {
    client: text(data, "client"),
    format: text(data, "format"),
    model: text(data, "model"),
    provider: text(data, "provider"),
    credential: text(data, "credential"),
    upstreamModel: text(data, "upstream_model"),
    lane: text(data, "lane"),
    attempts: number(data, event === "attempt" ? "number" : "attempts"),
    firstByte: number(data, "first_byte_ms"),
    elapsed: number(data, "total_ms") ?? number(data, "elapsed_ms"),
    bytes: number(data, "bytes"),
    input: number(data, "input"),
    output: number(data, "output"),
    cost: number(data, "cost"),
  };
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

/** The list after an event, newest first. */
export function after(list: readonly LiveRequest[], event: string, data: Data, now: number): LiveRequest[] {
  const id = text(data, "id");
  if (!id) return [...list];
  const known = list.find((request) => request.id === id);
  const next: LiveRequest = { ...(known ?? blank(id, now)), ...told(event, data) };
  if (event === "start") {
    next.at = number(data, "at_ms") ?? now;
    next.isStream = data.is_stream === true;
  }
  if (event === "stream" || (event === "progress" && next.state === "waiting")) next.state = "streaming";
  if (event === "end") {
    const outcome = text(data, "outcome");
    next.state = outcome === "complete" || outcome === "cancelled" ? outcome : "failed";
    if (!known) next.at = now - (next.elapsed ?? 0);
  }
  const others = known ? list.map((request) => (request.id === id ? next : request)) : [next, ...list];
  return bounded(others);
}

function bounded(list: LiveRequest[]): LiveRequest[] {
  let ended = 0;
  return list.filter((request) => isRunning(request) || ++ended <= KEPT);
}
