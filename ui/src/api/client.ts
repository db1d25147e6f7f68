// Calls to the management interface of the gateway that served this page, and to nobody else.

import { signal } from "@preact/signals";
import { fromText, type Problem } from "../lib/problems";
import { keyStore } from "../lib/settings";

/** A refusal, or no answer at all (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** The gateway's word for programs, such as `conflict`. */
    readonly code: string,
    readonly problems: Problem[] = [],
    /** Of a login: the kind of the failure. */
    readonly kind = "",
  ) {
    super(message);
  }
}

/** The key of whoever is signed in. */
export const key = signal<string | null>(keyStore.load());

/** The gateway's version, as its answers tell it. */
export const version = signal<string>("");

/** Why the key was given up, until somebody signs in again. */
export const lost = signal<ApiError | null>(null);

export interface Options {
  body?: unknown;
  /** Sent as it is, instead of `body` as JSON. */
  raw?: BodyInit;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

function address(path: string): string {
  return new URL(`v0/management${path}`, new URL(".", location.href)).href;
}

export async function request(
  method: string,
  path: string,
  options: Options = {},
  as = key.value,
): Promise<Response> {
  const headers = new Headers(options.headers);
  if (as !== null) headers.set("Authorization", `Bearer ${as}`);
  const init: RequestInit = { method, headers, cache: "no-store" };
  if (options.signal) init.signal = options.signal;
  if (options.raw !== undefined) init.body = options.raw;
  if (options.body !== undefined) {
    headers.set("Content-Type", "application/json");
    init.body = JSON.stringify(options.body);
  }
  let response: Response;
  try {
    response = await fetch(address(path), init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, "", "unreachable");
  }
  version.value = response.headers.get("x-cpa-version") ?? version.value;
  if (response.ok) return response;
  const failure = await refusal(response);
  if (response.status === 401 && as !== null && as === key.value) signOut(failure);
  throw failure;
}

async function refusal(response: Response): Promise<ApiError> {
  const text = await response.text();
  try {
    const body = JSON.parse(text) as {
      error?: unknown;
      message?: unknown;
      problems?: Problem[];
      code?: unknown;
    };
    const code = typeof body.error === "string" ? body.error : "";
    const message = typeof body.message === "string" ? body.message : code;
    const problems = body.problems ?? (code === "invalid_config" ? fromText(message) : []);
    const kind = typeof body.code === "string" ? body.code : "";
    return new ApiError(response.status, message || response.statusText, code, problems, kind);
  } catch {
    return new ApiError(response.status, text.slice(0, 300) || response.statusText, "");
  }
}

export async function call<T>(method: string, path: string, options?: Options): Promise<T> {
  const response = await request(method, path, options);
  return (await response.json()) as T;
}

export const get = <T>(path: string, signal?: AbortSignal): Promise<T> =>
  call<T>("GET", path, signal ? { signal } : {});

/** A query of what is set. */
export function query(values: Record<string, string | number | boolean | undefined | null>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== null && value !== "") parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

/** Tries a key. */
export async function signIn(candidate: string, isRemembered: boolean): Promise<void> {
  await request("GET", "/debug", {}, candidate);
  keyStore.save(candidate, isRemembered);
  lost.value = null;
  key.value = candidate;
}

export function signOut(why: ApiError | null = null): void {
  keyStore.clear();
  lost.value = why;
  key.value = null;
}
