// The configuration: the file as text, and its common settings as switches.

import { hashOf, place } from "../../lib/route";
import { Segments } from "../../parts/basics";
import { t } from "../../words";
import { Settings } from "./settings";
import { ConfigText } from "./text";

type Tab = "text" | "settings";

export function ConfigPage() {
  const tab: Tab = place.value.values.get("tab") === "settings" ? "settings" : "text";
  return (
    <div class="page">
      <div class="title">
        <div>
          <h1>{t("page.config")}</h1>
          <p>{t(`config.about.${tab}`)}</p>
        </div>
        <Segments
          label={t("page.config")}
          value={tab}
          options={[
            { value: "text", text: t("config.text") },
            { value: "settings", text: t("config.settings") },
          ]}
          onChange={(value: Tab) => {
            location.hash = hashOf("config", value === "text" ? {} : { tab: value });
          }}
        />
      </div>
      {tab === "text" ? <ConfigText /> : <Settings />}
    </div>
  );
}
