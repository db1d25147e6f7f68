// A login in the browser: begun at the gateway, done at the provider, followed until it is finished.

import { useEffect, useState } from "preact/hooks";
import { call, get, query, request } from "../../api/client";
import type { Begun, LoginStanding } from "../../api/types";
import type { Provider } from "../../lib/providers";
import { Button, Field, Loading, Notice, Spinner } from "../../parts/basics";
import { Code, copy } from "../../parts/copy";
import { Dialog } from "../../parts/dialog";
import { Icon } from "../../parts/icons";
import { explain, failedLogin } from "../../parts/toast";
import { t } from "../../words";

/** The provider's way back leads to this machine only when the gateway runs here. */
function isLocal(): boolean {
  return ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
}

type Stage = "choosing" | "beginning" | "waiting" | "done" | "failed";

interface LoginProps {
  provider: Provider;
  onClose: () => void;
  onDone: () => Promise<void>;
}

export function BrowserLogin({ provider, onClose, onDone }: LoginProps) {
  const [stage, setStage] = useState<Stage>(provider.wants === "project" ? "choosing" : "beginning");
  const [project, setProject] = useState("");
  const [begun, setBegun] = useState<Begun | null>(null);
  const [failure, setFailure] = useState("");

  function fail(error: unknown) {
    setFailure(explain(error));
    setStage("failed");
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: a login begins when the stage says so, and then only
  useEffect(() => {
    if (stage !== "beginning") return;
    const leaving = new AbortController();
    const values = { is_webui: isLocal(), project_id: project.trim(), ...provider.values };
    const path = `${provider.start}${query(values)}`;
    get<Begun>(path, leaving.signal).then(
      (result) => {
        setBegun(result);
        setStage("waiting");
      },
      (error) => {
        if (!leaving.signal.aborted) fail(error);
      },
    );
    return () => leaving.abort();
  }, [stage]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the state is what is followed
  useEffect(() => {
    if (stage !== "waiting" || begun === null) return;
    let isOver = false;
    const ask = async () => {
      try {
        const standing = await get<LoginStanding>(`/get-auth-status${query({ state: begun.state })}`);
        if (isOver || standing.status === "wait") return;
        isOver = true;
        if (standing.status === "error") {
          setFailure(failedLogin(standing.code ?? "", standing.error ?? ""));
          setStage("failed");
        } else {
          setStage("done");
          await onDone();
        }
      } catch (error) {
        if (!isOver) fail(error);
      }
    };
    const beat = setInterval(ask, 1000);
    return () => {
      isOver = true;
      clearInterval(beat);
    };
  }, [stage, begun?.state]);

  function leave() {
    if (stage === "waiting" && begun !== null) {
      // Nobody waits for the answer: the dialog is gone, and a login that stays ends by itself.
      request("DELETE", `/oauth-session${query({ state: begun.state })}`).catch(() => undefined);
    }
    onClose();
  }

  return (
    <Dialog
      title={t("login.title", { name: provider.name })}
      onClose={leave}
      actions={
        <>
          <Button look={stage === "done" ? "primary" : "plain"} onClick={leave}>
            {stage === "done" ? t("done") : t("cancel")}
          </Button>
          {stage === "choosing" && (
            <Button look="primary" onClick={() => setStage("beginning")}>
              {t("next")}
            </Button>
          )}
          {stage === "failed" && (
            <Button look="primary" icon="refresh" onClick={() => setStage("beginning")}>
              {t("again")}
            </Button>
          )}
        </>
      }
    >
      {stage === "choosing" && (
        <Field label={t("login.project")} hint={t("login.project.hint")}>
          {(ids) => (
            <input {...ids} value={project} onInput={(event) => setProject(event.currentTarget.value)} />
          )}
        </Field>
      )}
      {stage === "beginning" && <Loading />}
      {stage === "waiting" && begun !== null && <Steps provider={provider} begun={begun} />}
      {stage === "done" && <Notice tone="good">{t("login.done", { name: provider.name })}</Notice>}
      {stage === "failed" && <Notice tone="bad">{failure}</Notice>}
    </Dialog>
  );
}

/** What a person does meanwhile. */
function Steps({ provider, begun }: { provider: Provider; begun: Begun }) {
  return (
    <>
      <ol class="steps">
        {begun.user_code && (
          <li>
            <p>{t("login.code")}</p>
            <div class="row">
              <span class="device-code">{begun.user_code}</span>
              <Button icon="copy" onClick={() => copy(begun.user_code ?? "")}>
                {t("copy")}
              </Button>
            </div>
          </li>
        )}
        <li>
          <p>{t(begun.user_code ? "login.open.code" : "login.open")}</p>
          <div class="row">
            <a class="button primary" href={begun.url} target="_blank" rel="noopener noreferrer">
              <Icon name="external" />
              {t("login.open.link")}
            </a>
          </div>
          <details class="small muted">
            <summary>{t("login.address")}</summary>
            <Code text={begun.url} />
          </details>
        </li>
        {provider.word && (
          <li>
            <Paste word={provider.word} state={begun.state} />
          </li>
        )}
      </ol>
      <p class="row small muted" role="status">
        <Spinner />
        {t("login.waiting")}
      </p>
    </>
  );
}

/** The address that a browser on another machine cannot open by itself. */
function Paste({ word, state }: { word: string; state: string }) {
  const [address, setAddress] = useState("");
  const [error, setError] = useState<string | undefined>();
  const [isTaken, setTaken] = useState(false);

  async function hand(event: Event) {
    event.preventDefault();
    setError(undefined);
    const text = address.trim();
    const pasted = /^https?:/i.test(text) ? { redirect_url: text } : { code: text, state };
    try {
      await call("POST", "/oauth-callback", { body: { provider: word, ...pasted } });
      setTaken(true);
    } catch (failure) {
      setError(explain(failure));
    }
  }

  return (
    <form onSubmit={hand} class="stack">
      <Field
        label={t(isLocal() ? "login.paste.local" : "login.paste")}
        hint={t("login.paste.hint")}
        error={error}
      >
        {(ids) => (
          <div class="row">
            <div class="grow">
              <input
                {...ids}
                placeholder="http://localhost:…/callback?code=…"
                value={address}
                onInput={(event) => setAddress(event.currentTarget.value)}
              />
            </div>
            <Button type="submit" disabled={address.trim() === "" || isTaken}>
              {t("login.hand")}
            </Button>
          </div>
        )}
      </Field>
    </form>
  );
}
