// Which page is shown, kept in the part of the address that never leaves the browser.

import { signal } from "@preact/signals";

export const PAGES = ["overview", "accounts", "live", "usage", "route", "keys", "config", "logs"] as const;
export type Page = (typeof PAGES)[number];

export interface Place {
  page: Page;
  /** What the page was asked to show, such as the model of an explanation. */
  values: URLSearchParams;
}

/** `#/route?model=x` as a place; what is no page is the first one. */
export function placeOf(hash: string): Place {
  const [path = "", values = ""] = hash.replace(/^#\/?/, "").split("?");
  return { page: PAGES.find((page) => page === path) ?? "overview", values: new URLSearchParams(values) };
}

export function hashOf(page: Page, values: Record<string, string> = {}): string {
  const text = new URLSearchParams(values).toString();
  return `#/${page}${text === "" ? "" : `?${text}`}`;
}

const here = () => placeOf(typeof location === "undefined" ? "" : location.hash);

export const place = signal<Place>(here());

/** Asked before a page is left; `false` keeps it. */
export const guard: { leave: (() => boolean) | null } = { leave: null };

export function follow(): void {
  let settled = location.hash;
  window.addEventListener("hashchange", () => {
    if (location.hash === settled) return;
    if (guard.leave && !guard.leave()) {
      history.replaceState(null, "", settled || "#/");
      return;
    }
    guard.leave = null;
    settled = location.hash;
    place.value = here();
    document.querySelector<HTMLElement>("main")?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  });
}
