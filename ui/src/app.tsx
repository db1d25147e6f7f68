// The frame around every page: navigation, the choice of theme and language, and who is signed in.

import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { key, signOut, version } from "./api/client";
import { hashOf, PAGES, type Page, place } from "./lib/route";
import { language, theme } from "./lib/settings";
import { AccountsPage } from "./pages/accounts";
import { ConfigPage } from "./pages/config";
import { KeysPage } from "./pages/keys";
import { LivePage } from "./pages/live";
import { LogsPage } from "./pages/logs";
import { OverviewPage } from "./pages/overview";
import { RoutePage } from "./pages/route";
import { SignIn } from "./pages/signin";
import { UsagePage } from "./pages/usage";
import { Button, Segments } from "./parts/basics";
import { Questions } from "./parts/dialog";
import { Icon, Mark } from "./parts/icons";
import { Toasts } from "./parts/toast";
import { t } from "./words";

const CONTENT: Record<Page, ComponentType> = {
  overview: OverviewPage,
  accounts: AccountsPage,
  live: LivePage,
  usage: UsagePage,
  route: RoutePage,
  keys: KeysPage,
  config: ConfigPage,
  logs: LogsPage,
};

export function App() {
  const title = key.value === null ? t("signin.title") : t(`page.${place.value.page}`);
  useEffect(() => {
    document.title = `${title} · cliproxy`;
  }, [title]);
  return (
    <>
      {key.value === null ? <SignIn /> : <Frame />}
      <Questions />
      <Toasts />
    </>
  );
}

function Frame() {
  const [isOpen, setOpen] = useState(false);
  const { page } = place.value;
  const Content = CONTENT[page];
  return (
    <>
      <button
        type="button"
        class="button primary skip"
        onClick={() => document.querySelector<HTMLElement>("main")?.focus()}
      >
        {t("skip")}
      </button>
      <div class="frame">
        <header class="top">
          <Button
            icon="menu"
            look="quiet"
            label={t("menu")}
            aria-expanded={isOpen}
            onClick={() => setOpen(true)}
          />
          <Brand />
        </header>
        <div class="side">
          <Brand />
          <Navigation />
          <Foot />
        </div>
        <main tabIndex={-1}>
          <Content key={page} />
        </main>
      </div>
      {isOpen && <Drawer onClose={() => setOpen(false)} />}
    </>
  );
}

function Brand() {
  return (
    <div class="brand">
      <Mark />
      cliproxy
    </div>
  );
}

function Navigation({ onGo }: { onGo?: () => void }) {
  return (
    <nav class="nav" aria-label={t("navigation")}>
      {PAGES.map((page) => (
        <a
          key={page}
          href={hashOf(page)}
          aria-current={page === place.value.page ? "page" : undefined}
          onClick={() => onGo?.()}
        >
          <Icon name={page} />
          {t(`page.${page}`)}
        </a>
      ))}
    </nav>
  );
}

/** The choice of theme and language. */
export function Looks() {
  return (
    <div class="row">
      <Segments
        label={t("theme")}
        value={theme.value}
        options={[
          { value: "system", text: t("theme.system"), icon: "system" },
          { value: "light", text: t("theme.light"), icon: "sun" },
          { value: "dark", text: t("theme.dark"), icon: "moon" },
        ]}
        onChange={(value) => {
          theme.value = value;
        }}
      />
      <Segments
        label={t("language")}
        value={language.value}
        options={[
          { value: "en", text: "EN" },
          { value: "zh", text: "中" },
        ]}
        onChange={(value) => {
          language.value = value;
        }}
      />
    </div>
  );
}

function Foot() {
  return (
    <div class="foot">
      <Looks />
      <div class="row">
        <span class="faint small mono">{version.value && `v${version.value}`}</span>
        <Button icon="out" look="quiet" onClick={() => signOut()}>
          {t("signout")}
        </Button>
      </div>
    </div>
  );
}

/** The navigation of narrow screens. */
function Drawer({ onClose }: { onClose: () => void }) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={element} class="drawer" aria-label={t("navigation")} onCancel={onClose} onClose={onClose}>
      <div class="row">
        <div class="grow">
          <Brand />
        </div>
        <Button icon="close" look="quiet" label={t("close")} onClick={onClose} />
      </div>
      <Navigation onGo={onClose} />
      <Foot />
    </dialog>
  );
}
