// Requests as they pass: who asks, who serves, how far the answer is.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Connection, listen } from "../api/live";
import { bytes, compact, elapsed, moment, money, whole } from "../lib/format";
import { after, isRunning, type LiveRequest } from "../lib/live";
import { providerOf } from "../lib/providers";
import { language } from "../lib/settings";
import { Badge, Button, Empty, Notice, Search, type Tone } from "../parts/basics";
import { useClock } from "../parts/resource";
import { explain } from "../parts/toast";
import { t } from "../words";

/** How often the page is drawn at most. Events come faster than eyes read. */
const BEAT = 250;

interface Listening {
  list: LiveRequest[];
  state: Connection;
  missed: number;
  error: unknown;
  clear: () => void;
}

/** The requests of the stream; a pause holds the picture and not the stream. */
export function useLive(isPaused = false): Listening {
  const held = useRef<LiveRequest[]>([]);
  const paused = useRef(isPaused);
  paused.current = isPaused;
  const [list, setList] = useState<LiveRequest[]>([]);
  const [state, setState] = useState<Connection>("connecting");
  const [missed, setMissed] = useState(0);
  const [error, setError] = useState<unknown>(null);

  useEffect(() => {
    const leaving = new AbortController();
    listen(
      leaving.signal,
      ({ event, data }) => {
        if (event === "lost") setMissed((count) => count + (typeof data.count === "number" ? data.count : 0));
        else held.current = after(held.current, event, data, Date.now());
      },
      (next) => {
        // What ended while nobody listened would seem to run for ever.
        if (next === "connecting") held.current = held.current.filter((request) => !isRunning(request));
        setState(next);
      },
    ).catch(setError);
    const beat = setInterval(() => {
      if (!paused.current) setList(held.current);
    }, BEAT);
    return () => {
      leaving.abort();
      clearInterval(beat);
    };
  }, []);

  const clear = () => {
    held.current = held.current.filter(isRunning);
    setList(held.current);
  };
  return { list, state, missed, error, clear };
}

const TONES: Record<LiveRequest["state"], Tone> = {
  waiting: "none",
  streaming: "info",
  complete: "good",
  failed: "bad",
  cancelled: "warn",
};

export function LivePage() {
  const [isPaused, setPaused] = useState(false);
  const [words, setWords] = useState("");
  const live = useLive(isPaused);
  const now = useClock() * 1000;
  const shown = useMemo(() => {
    const wanted = words.trim().toLowerCase();
    return live.list.filter((request) =>
      `${request.id} ${request.model} ${request.upstreamModel ?? ""} ${request.client ?? ""} ${request.credential ?? ""} ${request.provider ?? ""} ${request.state}`
        .toLowerCase()
        .includes(wanted),
    );
  }, [live.list, words]);
  const running = live.list.filter(isRunning).length;

  return (
    <div class="page">
      <div class="title">
        <div>
          <h1>{t("page.live")}</h1>
          <p class="row">
            <span class={`pulse ${live.state === "open" ? "on" : "off"}`} aria-hidden="true" />
            {live.state === "open" ? t("live.open", { n: running }) : t("live.connecting")}
          </p>
        </div>
        <div class="tools">
          <Button
            icon={isPaused ? "play" : "pause"}
            aria-pressed={isPaused}
            onClick={() => setPaused(!isPaused)}
          >
            {isPaused ? t("live.resume") : t("live.pause")}
          </Button>
          <Button icon="trash" onClick={live.clear}>
            {t("live.clear")}
          </Button>
        </div>
      </div>
      {live.error !== null && <Notice tone="bad">{explain(live.error)}</Notice>}
      {live.missed > 0 && <Notice tone="warn">{t("live.missed", { n: live.missed })}</Notice>}
      {live.list.length > 0 && (
        <div class="tools">
          <Search words={words} onChange={setWords} />
        </div>
      )}
      <section class="panel flush">
        {live.list.length === 0 ? (
          <Empty icon="live" title={t("live.none")}>
            {t("live.none.text")}
          </Empty>
        ) : (
          <div class="scroll">
            <table>
              <thead>
                <tr>
                  <th>{t("column.state")}</th>
                  <th>{t("column.model")}</th>
                  <th class="wide-only">{t("column.served")}</th>
                  <th class="wide-only">{t("column.client")}</th>
                  <th class="number">{t("column.tokens")}</th>
                  <th class="number wide-only">{t("column.first")}</th>
                  <th class="number">{t("column.time")}</th>
                </tr>
              </thead>
              <tbody>
                {shown.map((request) => (
                  <LiveRow key={request.id} request={request} now={now} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
    </div>
  );
}

function LiveRow({ request, now }: { request: LiveRequest; now: number }) {
  const running = isRunning(request);
  const time = running ? Math.max(request.elapsed ?? 0, now - request.at) : (request.elapsed ?? 0);
  return (
    <tr class={running ? "running" : ""} data-id={request.id} data-state={request.state}>
      <td>
        <Badge tone={TONES[request.state]}>{t(`live.state.${request.state}`)}</Badge>
      </td>
      <td>
        <div class="pair">
          <span>{request.model || "–"}</span>
          <span class="small">
            {moment(request.at, language.value)} · {request.format}
            {request.isStream ? ` · ${t("live.stream")}` : ""}
          </span>
          <span class="small narrow-only">{request.credential}</span>
        </div>
      </td>
      <td class="wide-only">
        <div class="pair">
          <span class="clip">{request.credential ?? "–"}</span>
          <span class="small">
            {request.provider ? providerOf(request.provider).name : ""}
            {request.upstreamModel && request.upstreamModel !== request.model
              ? ` · ${request.upstreamModel}`
              : ""}
            {request.attempts > 1 ? ` · ${t("live.attempts", { n: request.attempts })}` : ""}
          </span>
        </div>
      </td>
      <td class="wide-only">{request.client ?? <span class="faint">–</span>}</td>
      <td class="number">
        <div class="pair">
          <span title={`${whole(request.input, language.value)} → ${whole(request.output, language.value)}`}>
            {compact(request.input)} → {compact(request.output)}
          </span>
          <span class="small">
            {request.cost !== undefined
              ? money(request.cost, language.value)
              : request.bytes > 0
                ? bytes(request.bytes)
                : ""}
          </span>
        </div>
      </td>
      <td class="number wide-only">{request.firstByte === undefined ? "–" : elapsed(request.firstByte)}</td>
      <td class="number">{elapsed(time)}</td>
    </tr>
  );
}
