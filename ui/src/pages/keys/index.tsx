// Keys in both directions: what clients show to the gateway, and what the gateway shows to upstreams.

import { hashOf, place } from "../../lib/route";
import { Segments } from "../../parts/basics";
import { t } from "../../words";
import { ClientKeys } from "./client";
import { UpstreamKeys } from "./upstream";

type Tab = "client" | "upstream";

export function KeysPage() {
  const tab: Tab = place.value.values.get("tab") === "upstream" ? "upstream" : "client";
  return (
    <div class="page">
      <div class="title">
        <div>
          <h1>{t("page.keys")}</h1>
          <p>{t(`keys.about.${tab}`)}</p>
        </div>
        <Segments
          label={t("page.keys")}
          value={tab}
          options={[
            { value: "client", text: t("keys.client") },
            { value: "upstream", text: t("keys.upstream") },
          ]}
          onChange={(value: Tab) => {
            location.hash = hashOf("keys", value === "client" ? {} : { tab: value });
          }}
        />
      </div>
      {tab === "client" ? <ClientKeys /> : <UpstreamKeys />}
    </div>
  );
}
