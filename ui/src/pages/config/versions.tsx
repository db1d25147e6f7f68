// Versions of the file before the present one: looked at, and put back.

import { useState } from "preact/hooks";
import { call, get, request } from "../../api/client";
import type { ConfigVersion } from "../../api/types";
import { bytes, dayAndMinute } from "../../lib/format";
import { language } from "../../lib/settings";
import { Button, Empty, Loading, Notice } from "../../parts/basics";
import { confirmed, Dialog } from "../../parts/dialog";
import { useResource } from "../../parts/resource";
import { attempt, explain } from "../../parts/toast";
import { t } from "../../words";

interface VersionsProps {
  isChanged: boolean;
  onClose: () => void;
  onRestored: () => Promise<void>;
}

export function Versions({ isChanged, onClose, onRestored }: VersionsProps) {
  const versions = useResource(
    (signal) => get<{ versions: ConfigVersion[] }>("/config/versions", signal),
    [],
  );
  const [chosen, setChosen] = useState<number | null>(null);
  const text = useResource(
    async (signal) =>
      chosen === null ? "" : (await request("GET", `/config/versions/${chosen}`, { signal })).text(),
    [chosen],
  );
  const list = versions.data?.versions ?? [];

  async function restore(number: number) {
    const words = t(isChanged ? "versions.restore.unsaved" : "versions.restore.text");
    if (!(await confirmed(t("versions.restore.title"), words, t("versions.restore"), isChanged))) return;
    const isDone = await attempt(
      () => call("POST", `/config/versions/${number}/restore`),
      t("versions.restored"),
    );
    if (!isDone) return;
    await onRestored();
    onClose();
  }

  return (
    <Dialog title={t("config.versions")} onClose={onClose} size="large">
      {versions.error !== undefined && <Notice tone="bad">{explain(versions.error)}</Notice>}
      {versions.data === undefined && versions.isLoading && <Loading />}
      {versions.data !== undefined && list.length === 0 && (
        <Empty icon="history" title={t("versions.none")}>
          {t("versions.none.text")}
        </Empty>
      )}
      <ul class="versions">
        {list.map((version) => (
          <li key={version.number} class={version.number === chosen ? "chosen" : ""}>
            <div class="grow">
              <strong>{dayAndMinute(version.modified * 1000, language.value)}</strong>
              <span class="small muted"> · {bytes(version.size)}</span>
            </div>
            <Button
              icon="eye"
              aria-pressed={version.number === chosen}
              onClick={() => setChosen(version.number === chosen ? null : version.number)}
            >
              {t("show")}
            </Button>
            <Button icon="history" onClick={() => restore(version.number)}>
              {t("versions.restore")}
            </Button>
          </li>
        ))}
      </ul>
      {chosen !== null && (
        <div class="code tall">
          <pre>{text.data ?? ""}</pre>
        </div>
      )}
    </Dialog>
  );
}
