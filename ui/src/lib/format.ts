// Numbers, times and sizes as people read them, in the language of the interface.

import type { Language } from "./settings";

const LOCALES: Record<Language, string> = { en: "en-US", zh: "zh-CN" };

const cache = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();

function numbers(language: Language, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const name = `n${language}${JSON.stringify(options)}`;
  const known = cache.get(name) ?? new Intl.NumberFormat(LOCALES[language], options);
  cache.set(name, known);
  return known as Intl.NumberFormat;
}

function dates(language: Language, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const name = `d${language}${JSON.stringify(options)}`;
  const known = cache.get(name) ?? new Intl.DateTimeFormat(LOCALES[language], { hour12: false, ...options });
  cache.set(name, known);
  return known as Intl.DateTimeFormat;
}

/** `1,234,567`. */
export function whole(value: number, language: Language): string {
  return numbers(language, { maximumFractionDigits: 0 }).format(value);
}

/** `1.2M`: for places where the size matters and not the digit. Letters are the same in every language. */
export function compact(value: number): string {
  const steps: [number, string][] = [
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "k"],
  ];
  for (const [size, letter] of steps) {
    if (Math.abs(value) >= size * 0.9995) {
      const scaled = value / size;
      return `${scaled.toFixed(Math.abs(scaled) < 9.95 ? 1 : 0).replace(/\.0$/, "")}${letter}`;
    }
  }
  return Number.isInteger(value) ? String(value) : value.toFixed(1).replace(/\.0$/, "");
}

/** Costs have no sign of a currency: which one it is only the owner of the price table knows. */
export function money(value: number, language: Language): string {
  const digits = value !== 0 && Math.abs(value) < 0.01 ? 4 : 2;
  return numbers(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
}

/** A share from 0 to 1 as `42%`; what is nearly nothing or nearly all is not rounded to it. */
export function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 1) return "<1%";
  if (value > 99 && value < 100) return ">99%";
  return `${Math.round(value)}%`;
}

/** `12.4 MB`. */
export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB"];
  let scaled = value;
  let unit = 0;
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${unit > 0 && scaled < 9.95 ? scaled.toFixed(1) : Math.round(scaled)} ${units[unit]}`;
}

/** `840 ms`, `3.2 s`, `2 min 05 s`. */
export function elapsed(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const rounded = Math.round(seconds);
  return `${Math.floor(rounded / 60)} min ${String(rounded % 60).padStart(2, "0")} s`;
}

/** How long something lasts still, in its two largest units: `2 h 13 min`. */
export function remaining(seconds: number, language: Language): string {
  const words = language === "zh" ? ["天", "小时", "分", "秒"] : ["d", "h", "min", "s"];
  const gap = language === "zh" ? "" : " ";
  const sizes = [86_400, 3_600, 60, 1];
  let left = Math.max(0, Math.round(seconds));
  const parts: string[] = [];
  for (const [at, size] of sizes.entries()) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) parts.push(`${count}${gap}${words[at]}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ") || `0${gap}${words[3]}`;
}

/** `14:03:22`, with the date when it is not of today. */
export function moment(milliseconds: number, language: Language, now = Date.now()): string {
  const date = new Date(milliseconds);
  const time = dates(language, { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(date);
  const isToday = new Date(now).toDateString() === date.toDateString();
  return isToday ? time : `${day(milliseconds, language)} ${time}`;
}

/** `Nov 28`. */
export function day(milliseconds: number, language: Language): string {
  return dates(language, { month: "short", day: "numeric" }).format(new Date(milliseconds));
}

/** `Nov 28, 14:03`. */
export function dayAndMinute(milliseconds: number, language: Language): string {
  const options: Intl.DateTimeFormatOptions = {
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
  };
  return dates(language, options).format(new Date(milliseconds));
}

/** What a place can show of a secret: enough to tell two apart. */
export function masked(secret: string): string {
  return secret.length <= 8 ? "••••" : `${secret.slice(0, 3)}••••${secret.slice(-4)}`;
}
