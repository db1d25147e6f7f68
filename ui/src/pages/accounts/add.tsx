// A new account: which provider, and then the way that this one has.

import { useState } from "preact/hooks";
import { PROVIDERS, type Provider } from "../../lib/providers";
import { hashOf } from "../../lib/route";
import { Dialog } from "../../parts/dialog";
import { t } from "../../words";
import { CookieLogin, ServiceAccount } from "./imports";
import { BrowserLogin } from "./login";

function way(provider: Provider): string {
  if (provider.wants === "cookie") return t("add.way.cookie");
  if (provider.wants === "service-account") return t("add.way.file");
  return provider.isDevice ? t("add.way.code") : t("add.way.browser");
}

export function AddAccount({ onClose, onDone }: { onClose: () => void; onDone: () => Promise<void> }) {
  const [provider, setProvider] = useState<Provider | null>(null);
  const finish = async () => {
    await onDone();
  };

  if (provider?.wants === "cookie") return <CookieLogin onClose={onClose} onDone={finish} />;
  if (provider?.wants === "service-account") return <ServiceAccount onClose={onClose} onDone={finish} />;
  if (provider) return <BrowserLogin provider={provider} onClose={onClose} onDone={finish} />;

  return (
    <Dialog title={t("add.title")} onClose={onClose}>
      <p class="muted">{t("add.about")}</p>
      <div class="providers">
        {PROVIDERS.map((one) => (
          <button key={one.type} type="button" onClick={() => setProvider(one)}>
            <span class="logo" aria-hidden="true">
              {one.mark}
            </span>
            <span>
              <strong>{one.name}</strong>
              <span class="small muted">{way(one)}</span>
            </span>
          </button>
        ))}
      </div>
      <p class="small muted">
        {t("add.keys")}{" "}
        <a href={hashOf("keys", { tab: "upstream" })} onClick={onClose}>
          {t("add.keys.link")}
        </a>
      </p>
    </Dialog>
  );
}
