// The route explainer: who would serve a model now, and why not each other one.

import { useState } from "preact/hooks";
import { get, query } from "../api/client";
import type { Explained, Explanation, Model } from "../api/types";
import { hashOf, place } from "../lib/route";
import { Button, Empty, Field, Loading, Notice, Panel } from "../parts/basics";
import { Icon } from "../parts/icons";
import { QuotaBar } from "../parts/quota";
import { useClock, useResource } from "../parts/resource";
import { explain } from "../parts/toast";
import { known, t } from "../words";

export function RoutePage() {
  const asked = place.value.values;
  const [model, setModel] = useState(asked.get("model") ?? "");
  const [session, setSession] = useState(asked.get("session") ?? "");
  const models = useResource((signal) => get<{ models: Model[] }>("/models", signal), []);
  const question = { model: asked.get("model") ?? "", session: asked.get("session") ?? "" };
  const answer = useResource(
    (signal) =>
      question.model === "" ? Promise.resolve(null) : get<Explanation>(`/explain${query(question)}`, signal),
    [question.model, question.session],
    5_000,
  );

  function submit(event: Event) {
    event.preventDefault();
    const values: Record<string, string> = { model: model.trim() };
    if (session.trim() !== "") values.session = session.trim();
    if (location.hash === hashOf("route", values)) void answer.reload();
    else location.hash = hashOf("route", values);
  }

  return (
    <div class="page">
      <div class="title">
        <div>
          <h1>{t("page.route")}</h1>
          <p>{t("route.about")}</p>
        </div>
      </div>
      <Panel>
        <form class="ask" onSubmit={submit}>
          <Field label={t("column.model")}>
            {(ids) => (
              <input
                {...ids}
                list="known-models"
                autocomplete="off"
                spellcheck={false}
                placeholder="claude-sonnet-4-6"
                value={model}
                onInput={(event) => setModel(event.currentTarget.value)}
              />
            )}
          </Field>
          <datalist id="known-models">
            {(models.data?.models ?? []).map((one) => (
              <option key={one.id} value={one.id}>
                {one.display_name}
              </option>
            ))}
          </datalist>
          <Field label={t("route.session")}>
            {(ids) => (
              <input
                {...ids}
                autocomplete="off"
                placeholder={t("route.session.hint")}
                value={session}
                onInput={(event) => setSession(event.currentTarget.value)}
              />
            )}
          </Field>
          <Button type="submit" look="primary" icon="route" disabled={model.trim() === ""}>
            {t("route.do")}
          </Button>
        </form>
      </Panel>
      {answer.error !== undefined && <Notice tone="bad">{explain(answer.error)}</Notice>}
      {question.model !== "" && answer.data === undefined && answer.isLoading && <Loading />}
      {answer.data && answer.error === undefined && <Answer answer={answer.data} />}
      {question.model === "" && (
        <section class="panel flush">
          <Empty icon="route" title={t("route.none")}>
            {t("route.none.text")}
          </Empty>
        </section>
      )}
    </div>
  );
}

function Answer({ answer }: { answer: Explanation }) {
  return (
    <Panel
      isFlush
      title={answer.model}
      about={t("route.found", { n: answer.skipped.length + (answer.chosen ? 1 : 0) })}
    >
      {answer.chosen ? (
        <Candidate candidate={answer.chosen} isChosen />
      ) : (
        <Notice tone="bad">{t("route.nobody")}</Notice>
      )}
      {answer.skipped.map((candidate) => (
        <Candidate
          key={`${candidate.credential}${candidate.upstream_model}`}
          candidate={candidate}
          isChosen={false}
        />
      ))}
    </Panel>
  );
}

/** Why one is not chosen: its rest where it has one, else the rule. */
function reason({ code, why, scope, reason: told = "" }: Explained): string {
  if (why === undefined) return known(`skip.${code}`, told);
  const cause = known(`why.${why}`, told);
  if (code === "on-trial") return `${cause} · ${t("skip.on-trial")}`;
  return scope === undefined || scope === "model" ? cause : `${cause} · ${known(`scope.${scope}`, "")}`;
}

function Candidate({ candidate, isChosen }: { candidate: Explained; isChosen: boolean }) {
  const now = useClock(5_000);
  return (
    <div class={`candidate ${isChosen ? "chosen" : ""}`}>
      <Icon name={isChosen ? "check" : "close"} />
      <div class="pair">
        <strong>{candidate.credential}</strong>
        <span class="small">{t("route.as", { model: candidate.upstream_model })}</span>
        <span>{isChosen ? t("route.chosen") : reason(candidate)}</span>
      </div>
      <div class="quotas">
        {candidate.quotas.map((quota) => (
          <QuotaBar key={`${quota.name}${quota.model ?? ""}`} quota={quota} now={now} />
        ))}
      </div>
    </div>
  );
}
