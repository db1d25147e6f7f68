// What an account offers.

import { get, query } from "../../api/client";
import type { AuthFile, Model } from "../../api/types";
import { hashOf } from "../../lib/route";
import { Empty, Loading, Notice } from "../../parts/basics";
import { Dialog } from "../../parts/dialog";
import { useResource } from "../../parts/resource";
import { explain } from "../../parts/toast";
import { t } from "../../words";

export function Models({ file, onClose }: { file: AuthFile; onClose: () => void }) {
  const models = useResource(
    (signal) => get<{ models: Model[] }>(`/auth-files/models${query({ name: file.name })}`, signal),
    [file.name],
  );
  const list = models.data?.models ?? [];
  return (
    <Dialog title={t("accounts.models.title", { name: file.label })} onClose={onClose}>
      {models.error !== undefined && <Notice tone="bad">{explain(models.error)}</Notice>}
      {models.data === undefined && models.isLoading && <Loading />}
      {models.data !== undefined && list.length === 0 && (
        <Empty icon="live" title={t("accounts.models.none")}>
          {t("accounts.models.none.text")}
        </Empty>
      )}
      <ul class="models">
        {list.map((model) => (
          <li key={model.id}>
            <a href={hashOf("route", { model: model.id })} onClick={onClose}>
              <code>{model.id}</code>
            </a>
            <span class="muted">{model.display_name}</span>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
