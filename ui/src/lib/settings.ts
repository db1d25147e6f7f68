// What this browser remembers between visits: theme, language, and the key where its owner wants that.

import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
export type Language = "en" | "zh";

const PREFIX = "cliproxy.";

/** Storage can be switched off in browsers; then nothing is remembered. */
function read(name: string): string | null {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

function write(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, value);
  } catch {
    // Nothing is remembered then.
  }
}

/** A choice that is written down as soon as it changes. */
function remembered<T extends string>(name: string, known: readonly T[], otherwise: T) {
  const found = read(name);
  const choice = signal<T>(known.find((value) => value === found) ?? otherwise);
  effect(() => write(name, choice.value));
  return choice;
}

const spoken: Language =
  typeof navigator !== "undefined" && navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";

export const theme = remembered<Theme>("theme", ["system", "light", "dark"], "system");
export const language = remembered<Language>("language", ["en", "zh"], spoken);

/** The management key: for this tab, or for this browser. */
export const keyStore = {
  load(): string | null {
    try {
      return sessionStorage.getItem(`${PREFIX}key`) ?? read("key");
    } catch {
      return read("key");
    }
  },
  save(key: string, isRemembered: boolean): void {
    write("key", isRemembered ? key : null);
    try {
      sessionStorage.setItem(`${PREFIX}key`, key);
    } catch {
      // The key is asked for again after a reload then.
    }
  },
  clear(): void {
    write("key", null);
    try {
      sessionStorage.removeItem(`${PREFIX}key`);
    } catch {
      // There is none then.
    }
  },
};
