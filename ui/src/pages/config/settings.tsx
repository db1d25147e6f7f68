// Settings that are changed often, one by one; each is written as soon as it is changed.

import { useEffect, useState } from "preact/hooks";
import { call, get } from "../../api/client";
import { Button, Loading, Notice, Panel, Switch } from "../../parts/basics";
import { useResource } from "../../parts/resource";
import { attempt, explain } from "../../parts/toast";
import { t, type Word } from "../../words";

interface Setting {
  path: string;
  /** Member of the answer; the path's last part where it is not named. */
  member?: string;
  kind: "switch" | "number" | "text" | readonly string[];
}

const GROUPS: readonly { title: Word; settings: readonly Setting[] }[] = [
  {
    title: "settings.routing",
    settings: [
      { path: "/routing/strategy", kind: ["round-robin", "fill-first", "weighted-round-robin"] },
      { path: "/request-retry", kind: "number" },
      { path: "/max-retry-interval", kind: "number" },
      { path: "/max-retry-credentials", kind: "number" },
      { path: "/force-model-prefix", kind: "switch" },
      { path: "/quota-exceeded/switch-project", kind: "switch" },
      { path: "/quota-exceeded/switch-preview-model", kind: "switch" },
    ],
  },
  {
    title: "settings.network",
    settings: [
      { path: "/proxy-url", kind: "text" },
      { path: "/ws-auth", kind: "switch" },
    ],
  },
  {
    title: "settings.records",
    settings: [
      { path: "/usage-statistics-enabled", kind: "switch" },
      { path: "/logging-to-file", kind: "switch" },
      { path: "/logs-max-total-size-mb", kind: "number" },
      { path: "/error-logs-max-files", kind: "number" },
      { path: "/request-log", kind: "switch" },
      { path: "/debug", kind: "switch" },
    ],
  },
];

const ALL = GROUPS.flatMap((group) => group.settings);

type Values = Record<string, unknown>;

async function read(signal: AbortSignal): Promise<Values> {
  const values = await Promise.all(
    ALL.map(async (setting) => {
      const answer = await get<Values>(setting.path, signal);
      return [setting.path, answer[setting.member ?? setting.path.split("/").at(-1) ?? ""]] as const;
    }),
  );
  return Object.fromEntries(values);
}

export function Settings() {
  const values = useResource(read, []);
  if (values.error !== undefined) return <Notice tone="bad">{explain(values.error)}</Notice>;
  if (values.data === undefined) return <Loading />;
  const { data } = values;
  return (
    <>
      {GROUPS.map((group) => (
        <Panel key={group.title} isFlush title={t(group.title)}>
          <ul class="settings">
            {group.settings.map((setting) => (
              <Line key={setting.path} setting={setting} value={data[setting.path]} onDone={values.reload} />
            ))}
          </ul>
        </Panel>
      ))}
    </>
  );
}

function Line({ setting, value, onDone }: { setting: Setting; value: unknown; onDone: () => Promise<void> }) {
  const name = t(`set${setting.path}` as Word);
  const [typed, setTyped] = useState(String(value ?? ""));
  const [isBusy, setBusy] = useState(false);
  useEffect(() => setTyped(String(value ?? "")), [value]);

  async function write(next: unknown) {
    setBusy(true);
    await attempt(() => call("PUT", setting.path, { body: { value: next } }), t("saved"));
    await onDone();
    setBusy(false);
  }

  return (
    <li>
      <div class="grow">
        <div id={`name${setting.path}`}>{name}</div>
        <code class="small faint">{setting.path.slice(1).replace("/", ".")}</code>
      </div>
      <div class="control">
        {setting.kind === "switch" && (
          <Switch label={name} isOn={value === true} isBusy={isBusy} onChange={write} />
        )}
        {typeof setting.kind === "object" && (
          <select
            aria-label={name}
            value={String(value)}
            disabled={isBusy}
            onChange={(event) => write(event.currentTarget.value)}
          >
            {setting.kind.map((option) => (
              <option key={option} value={option}>
                {option}
              </option>
            ))}
          </select>
        )}
        {(setting.kind === "number" || setting.kind === "text") && (
          <form
            class="row"
            onSubmit={(event) => {
              event.preventDefault();
              void write(setting.kind === "number" ? Number(typed) : typed.trim());
            }}
          >
            <div class="grow">
              <input
                aria-label={name}
                inputMode={setting.kind === "number" ? "numeric" : "text"}
                value={typed}
                onInput={(event) => setTyped(event.currentTarget.value)}
              />
            </div>
            <Button
              type="submit"
              icon="check"
              label={t("save")}
              isBusy={isBusy}
              disabled={
                typed === String(value ?? "") || (setting.kind === "number" && !/^-?\d+$/.test(typed.trim()))
              }
            />
          </form>
        )}
      </div>
    </li>
  );
}
