// The file as text: checked while it is typed, saved only where it is valid and nobody else has changed it meanwhile.

import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, call, request } from "../../api/client";
import { type Problem, told } from "../../lib/problems";
import { guard } from "../../lib/route";
import { language } from "../../lib/settings";
import { Badge, Button, Loading, Notice, Panel } from "../../parts/basics";
import { confirmed } from "../../parts/dialog";
import { Icon } from "../../parts/icons";
import { complain, explain, say } from "../../parts/toast";
import { t } from "../../words";
import type { Editor } from "./editor";
import { Versions } from "./versions";

interface Checked {
  problems: Problem[];
  warnings: Problem[];
  needsRestart: string[];
  state: "unknown" | "checking" | "valid" | "invalid";
}

const UNCHECKED: Checked = { problems: [], warnings: [], needsRestart: [], state: "unknown" };

/** Typing rests this long before the text is checked. */
const PAUSE = 400;

interface Saved {
  text: string;
  tag: string | null;
}

async function load(): Promise<Saved> {
  const response = await request("GET", "/config.yaml");
  return { text: await response.text(), tag: response.headers.get("etag") };
}

async function check(text: string, signal: AbortSignal): Promise<Checked> {
  interface Answer {
    warnings?: Problem[];
    needs_restart?: string[];
  }
  try {
    const answer = await call<Answer>("POST", "/config/check", { raw: text, signal });
    return {
      problems: [],
      warnings: answer.warnings ?? [],
      needsRestart: answer.needs_restart ?? [],
      state: "valid",
    };
  } catch (error) {
    if (error instanceof ApiError && (error.status === 422 || error.status === 400)) {
      const problems = error.problems.length > 0 ? error.problems : [{ path: "", message: error.message }];
      return { ...UNCHECKED, problems, state: "invalid" };
    }
    throw error;
  }
}

/** Asks before text that is not saved is lost; `null` when there is none. */
function keep(isChanged: boolean): () => void {
  const onUnload = (event: BeforeUnloadEvent) => event.preventDefault();
  if (isChanged) window.addEventListener("beforeunload", onUnload);
  guard.leave = isChanged ? () => window.confirm(t("config.unsaved.leave")) : null;
  return () => {
    window.removeEventListener("beforeunload", onUnload);
    guard.leave = null;
  };
}

export function ConfigText() {
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<Editor | null>(null);
  const saved = useRef<Saved>({ text: "", tag: null });
  const save = useRef<() => void>(() => undefined);
  const [error, setError] = useState<unknown>(null);
  const [isReady, setReady] = useState(false);
  const [isChanged, setChanged] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [isStale, setStale] = useState(false);
  const [checked, setChecked] = useState<Checked>(UNCHECKED);
  const [hasVersions, setVersions] = useState(false);
  const checking = useRef<{ timer?: ReturnType<typeof setTimeout>; call?: AbortController }>({});

  function show(result: Checked) {
    setChecked(result);
    editor.current?.setProblems(result.problems, result.warnings);
  }

  function checkSoon(text: string) {
    clearTimeout(checking.current.timer);
    checking.current.call?.abort();
    const leaving = new AbortController();
    checking.current.call = leaving;
    checking.current.timer = setTimeout(async () => {
      setChecked((before) => ({ ...before, state: "checking" }));
      try {
        show(await check(text, leaving.signal));
      } catch (failure) {
        if (!leaving.signal.aborted) complain(failure);
      }
    }, PAUSE);
  }

  function onChange(text: string) {
    setChanged(text !== saved.current.text);
    checkSoon(text);
  }

  async function reload() {
    try {
      saved.current = await load();
      setStale(false);
      if (editor.current) editor.current.setText(saved.current.text);
      setChanged(false);
    } catch (failure) {
      setError(failure);
    }
  }

  save.current = async () => {
    const text = editor.current?.text() ?? "";
    if (isBusy || text === saved.current.text) return;
    setBusy(true);
    try {
      const headers: Record<string, string> =
        saved.current.tag === null ? {} : { "If-Match": saved.current.tag };
      await request("PUT", "/config.yaml", { raw: text, headers });
      // A plain management key in the text is replaced by its hash, so what is there now is read again.
      const now = await load();
      saved.current = now;
      if (editor.current?.text() === text && now.text !== text) editor.current.setText(now.text);
      setChanged(editor.current?.text() !== now.text);
      setStale(false);
      say(t("config.saved"));
    } catch (failure) {
      if (failure instanceof ApiError && failure.status === 409) setStale(true);
      else if (failure instanceof ApiError && failure.problems.length > 0) {
        show({ ...UNCHECKED, problems: failure.problems, state: "invalid" });
        say(t("config.refused"), "bad");
      } else complain(failure);
    }
    setBusy(false);
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: the editor is opened once
  useEffect(() => {
    let isGone = false;
    Promise.all([load(), import("./editor")]).then(
      ([file, { openEditor }]) => {
        if (isGone || !host.current) return;
        saved.current = file;
        editor.current = openEditor(host.current, file.text, {
          label: "config.yaml",
          onChange,
          onSave: () => save.current(),
        });
        setReady(true);
        checkSoon(file.text);
      },
      (failure) => setError(failure),
    );
    return () => {
      isGone = true;
      clearTimeout(checking.current.timer);
      checking.current.call?.abort();
      editor.current?.destroy();
    };
  }, []);

  useEffect(() => keep(isChanged), [isChanged]);
  // The marks in the text say what they mean in the language of their making.
  // biome-ignore lint/correctness/useExhaustiveDependencies: for another language alone
  useEffect(() => editor.current?.setProblems(checked.problems, checked.warnings), [language.value]);

  async function discard() {
    if (await confirmed(t("config.discard.title"), t("config.discard.text"), t("config.discard")))
      await reload();
  }

  /** Goes on from the other version with the own text. */
  async function overwrite() {
    try {
      saved.current = { ...saved.current, tag: (await load()).tag };
      setStale(false);
      save.current();
    } catch (failure) {
      complain(failure);
    }
  }

  return (
    <>
      {error !== null && <Notice tone="bad">{explain(error)}</Notice>}
      {isStale && (
        <Notice
          tone="warn"
          actions={
            <>
              <Button onClick={reload}>{t("config.stale.theirs")}</Button>
              <Button onClick={overwrite}>{t("config.stale.mine")}</Button>
            </>
          }
        >
          {t("config.stale")}
        </Notice>
      )}
      <div class="tools">
        <Button
          look="primary"
          icon="check"
          isBusy={isBusy}
          disabled={!isChanged}
          onClick={() => save.current()}
        >
          {t("save")}
        </Button>
        <Button disabled={!isChanged} onClick={discard}>
          {t("config.discard")}
        </Button>
        <Button icon="history" onClick={() => setVersions(true)}>
          {t("config.versions")}
        </Button>
        <span class="small muted wide-only">
          <kbd>Ctrl</kbd> <kbd>S</kbd> {t("config.key.save")} · <kbd>Ctrl</kbd> <kbd>F</kbd>{" "}
          {t("config.key.find")} · <kbd>Esc</kbd> <kbd>Tab</kbd> {t("config.key.leave")}
        </span>
      </div>
      {!isReady && error === null && <Loading />}
      <div class="editor" hidden={!isReady}>
        <div class="host" ref={host} />
        <aside>
          <Findings
            checked={checked}
            isChanged={isChanged}
            onGo={(problem) => editor.current?.goTo(problem)}
          />
        </aside>
      </div>
      {hasVersions && (
        <Versions onClose={() => setVersions(false)} onRestored={reload} isChanged={isChanged} />
      )}
    </>
  );
}

function Findings({
  checked,
  isChanged,
  onGo,
}: {
  checked: Checked;
  isChanged: boolean;
  onGo: (problem: Problem) => void;
}) {
  const { problems, warnings } = checked;
  return (
    <Panel
      isFlush
      title={t("config.check")}
      actions={
        <>
          {isChanged && <Badge tone="info">{t("config.changed")}</Badge>}
          {checked.state === "valid" && <Badge tone="good">{t("config.valid")}</Badge>}
          {checked.state === "invalid" && (
            <Badge tone="bad">{t("config.problems", { n: problems.length })}</Badge>
          )}
          {checked.state === "checking" && <Badge>{t("config.checking")}</Badge>}
        </>
      }
    >
      <ul class="problems" aria-live="polite">
        {[...problems, ...warnings].map((problem, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two problems may have equal words
          <li key={at}>
            <button type="button" onClick={() => onGo(problem)}>
              <span class="place">
                <span class={at < problems.length ? "bad" : "warn-text"}>
                  <Icon name="warning" />
                </span>
                {problem.line !== undefined && <span>{t("config.line", { n: problem.line })}</span>}
                <code class="clip">{problem.path}</code>
              </span>
              {told(problem)}
            </button>
          </li>
        ))}
      </ul>
      {problems.length + warnings.length === 0 && (
        <p class="pad small muted">{checked.state === "valid" ? t("config.fine") : t("config.waiting")}</p>
      )}
      {checked.needsRestart.length > 0 && (
        <div class="pad">
          <Notice tone="warn">{t("config.restart", { list: checked.needsRestart.join(", ") })}</Notice>
        </div>
      )}
    </Panel>
  );
}
