// The log of the gateway: by level, by words, by request; followed as it grows.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, call, get, query, request } from "../api/client";
import type { ErrorLog, LogPage } from "../api/types";
import { save } from "../lib/csv";
import { bytes, dayAndMinute } from "../lib/format";
import { isAtLeast, type LogLine, logLine } from "../lib/logline";
import { language } from "../lib/settings";
import { Button, Empty, Loading, Notice, Panel, Search, Segments } from "../parts/basics";
import { confirmed } from "../parts/dialog";
import { useResource } from "../parts/resource";
import { attempt, explain } from "../parts/toast";
import { t } from "../words";

type Level = NonNullable<LogLine["level"]>;

/** Lines that are kept on the page; older ones are in the files. */
const KEPT = 3000;
const BEAT = 2000;

interface Following {
  lines: LogLine[] | null;
  error: unknown;
  reload: () => void;
}

/** The last lines, and new ones as they come. */
function useLog(isFollowing: boolean): Following {
  const [lines, setLines] = useState<LogLine[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [turn, setTurn] = useState(0);
  const following = useRef(isFollowing);
  following.current = isFollowing;

  // biome-ignore lint/correctness/useExhaustiveDependencies: a turn begins the reading anew
  useEffect(() => {
    const leaving = new AbortController();
    let cursor: string | undefined;
    let latest = 0;
    let isReading = false;
    async function read() {
      if (isReading) return;
      isReading = true;
      try {
        const since = cursor === undefined ? (latest > 0 ? { after: latest } : {}) : { cursor };
        const page = await get<LogPage>(`/logs${query({ limit: KEPT, ...since })}`, leaving.signal);
        const isFresh = (cursor === undefined && latest === 0) || page["cursor-reset"] === true;
        cursor = page["next-cursor"];
        latest = page["latest-timestamp"];
        const read = page.lines.map(logLine);
        if (isFresh || read.length > 0) {
          setLines((before) => (isFresh || before === null ? read : [...before, ...read].slice(-KEPT)));
        }
        setError(null);
      } catch (failure) {
        if (!leaving.signal.aborted) setError(failure);
      }
      isReading = false;
    }
    void read();
    const beat = setInterval(() => {
      if (following.current && !document.hidden) void read();
    }, BEAT);
    return () => {
      leaving.abort();
      clearInterval(beat);
    };
  }, [turn]);

  return { lines, error, reload: () => setTurn((count) => count + 1) };
}

export function LogsPage() {
  const [level, setLevel] = useState<Level>("info");
  const [words, setWords] = useState("");
  const [isFollowing, setFollowing] = useState(true);
  const log = useLog(isFollowing);
  const isOff = log.error instanceof ApiError && log.error.message.includes("logging to file disabled");
  const shown = useMemo(() => {
    const wanted = words.trim().toLowerCase();
    return (log.lines ?? []).filter(
      (line) => isAtLeast(line, level) && line.text.toLowerCase().includes(wanted),
    );
  }, [log.lines, level, words]);

  async function clear() {
    if (!(await confirmed(t("logs.clear.title"), t("logs.clear.text"), t("logs.clear")))) return;
    await attempt(() => call("DELETE", "/logs"), t("logs.cleared"));
    log.reload();
  }

  async function turnOn() {
    await attempt(() => call("PUT", "/logging-to-file", { body: { value: true } }), t("logs.on.done"));
    log.reload();
  }

  return (
    <div class="page">
      <div class="title">
        <div>
          <h1>{t("page.logs")}</h1>
          <p>{t("logs.about")}</p>
        </div>
        {!isOff && (
          <div class="tools">
            <Button
              icon="download"
              disabled={shown.length === 0}
              onClick={() =>
                save("gateway.log", `${shown.map((line) => line.text).join("\n")}\n`, "text/plain")
              }
            >
              {t("download")}
            </Button>
            <Button icon="trash" onClick={clear}>
              {t("logs.clear")}
            </Button>
          </div>
        )}
      </div>
      {log.error !== null && !isOff && <Notice tone="bad">{explain(log.error)}</Notice>}
      {isOff && (
        <section class="panel flush">
          <Empty
            icon="logs"
            title={t("logs.off")}
            actions={
              <Button look="primary" onClick={turnOn}>
                {t("logs.on")}
              </Button>
            }
          >
            {t("logs.off.text")}
          </Empty>
        </section>
      )}
      {!isOff && (
        <div class="tools">
          <Search words={words} hint={t("logs.search")} onChange={setWords} />
          <Segments
            label={t("logs.level")}
            value={level}
            options={(["debug", "info", "warn", "error"] as const).map((value) => ({
              value,
              text: t(`level.${value}`),
            }))}
            onChange={setLevel}
          />
          <Button
            icon={isFollowing ? "pause" : "play"}
            aria-pressed={isFollowing}
            onClick={() => setFollowing(!isFollowing)}
          >
            {t("logs.follow")}
          </Button>
          <span class="small muted">{t("logs.count", { n: shown.length })}</span>
        </div>
      )}
      {!isOff && log.lines === null && log.error === null && <Loading />}
      {!isOff && log.lines !== null && <Lines lines={shown} isFollowing={isFollowing} onId={setWords} />}
      <ErrorLogs />
    </div>
  );
}

function Lines({
  lines,
  isFollowing,
  onId,
}: {
  lines: readonly LogLine[];
  isFollowing: boolean;
  onId: (id: string) => void;
}) {
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);

  // biome-ignore lint/correctness/useExhaustiveDependencies: new lines move the end
  useEffect(() => {
    if (isFollowing && isAtEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines, isFollowing]);

  return (
    <section
      ref={box}
      class="panel log"
      aria-label={t("page.logs")}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
      tabIndex={0}
      onScroll={(event) => {
        const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
        isAtEnd.current = scrollHeight - scrollTop - clientHeight < 40;
      }}
    >
      {lines.length === 0 && <p class="line muted">{t("nothing.fits")}</p>}
      {lines.map((line, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: equal lines are common
        <div key={at} class={`line ${line.level ?? ""}`}>
          {line.time && <time>{line.time.slice(-8)}</time>}
          {line.level && <span class="level">{line.level}</span>}
          {line.id && (
            <button type="button" class="id" title={t("logs.id")} onClick={() => onId(line.id ?? "")}>
              {line.id}
            </button>
          )}
          <span class="grow">{line.message}</span>
        </div>
      ))}
    </section>
  );
}

function ErrorLogs() {
  const files = useResource(
    (signal) => get<{ files: ErrorLog[] }>("/request-error-logs", signal),
    [],
    30_000,
  );
  const list = files.data?.files ?? [];
  if (list.length === 0) return null;
  const fetchFile = async (name: string) => {
    const response = await request("GET", `/request-error-logs/${encodeURIComponent(name)}`);
    save(name, await response.blob());
  };
  return (
    <Panel isFlush title={t("logs.errors")} about={t("logs.errors.about")}>
      <table>
        <tbody>
          {list.map((file) => (
            <tr key={file.name}>
              <td class="mono">{file.name}</td>
              <td class="number wide-only">{dayAndMinute(file.modified * 1000, language.value)}</td>
              <td class="number">{bytes(file.size)}</td>
              <td class="number">
                <Button
                  icon="download"
                  look="quiet"
                  label={t("logs.fetch", { name: file.name })}
                  onClick={() => attempt(() => fetchFile(file.name))}
                />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}
