// The stream of requests on their way. It begins again by itself when the connection breaks.

import { EventParser } from "../lib/sse";
import { ApiError, request } from "./client";

export interface LiveEvent {
  event: string;
  data: Record<string, unknown>;
}

export type Connection = "connecting" | "open" | "waiting";

/** Longest pause before the next attempt. */
const LONGEST = 15_000;

/** Listens until `signal` is aborted. A refusal that waiting does not mend is thrown. */
export async function listen(
  signal: AbortSignal,
  onEvent: (event: LiveEvent) => void,
  onState: (state: Connection) => void,
): Promise<void> {
  let pause = 500;
  while (!signal.aborted) {
    onState("connecting");
    try {
      const response = await request("GET", "/live", { signal, headers: { Accept: "text/event-stream" } });
      onState("open");
      pause = 500;
      await read(response, onEvent);
    } catch (error) {
      if (signal.aborted) return;
      const isPassing = error instanceof ApiError ? error.status === 0 || error.status >= 500 : true;
      if (!isPassing) throw error;
    }
    onState("waiting");
    await delay(pause, signal);
    pause = Math.min(LONGEST, pause * 2);
  }
}

async function read(response: Response, onEvent: (event: LiveEvent) => void): Promise<void> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  const parser = new EventParser();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const { event, data } of parser.push(value)) {
      onEvent({ event, data: JSON.parse(data) as Record<string, unknown> });
    }
  }
}

function delay(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
