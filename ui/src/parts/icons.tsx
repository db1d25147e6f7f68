// Icons: strokes on a grid of 16, in the color of the text around them. They are never the only sign of something.

const PATHS = {
  overview: "M2.5 2.5h4.5v5h-4.5zM9 2.5h4.5v3h-4.5zM9 8h4.5v5.5h-4.5zM2.5 10h4.5v3.5h-4.5z",
  accounts: "M8 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM3 13.5c.4-2.6 2.4-4 5-4s4.6 1.4 5 4",
  live: "M1.5 8h3l2-5 3 10 2-5h3",
  usage: "M2.5 13.5h11M4 11V8M7 11V4M10 11V6.5M13 11V9",
  route:
    "M3.5 3.5h1c4 0 3 9 7 9h1M10.5 10.5l2 2-2 2M10.5 1.5l2 2-2 2M3.5 12.5h1c1.2 0 1.9-.8 2.4-1.8M12.5 3.5h-1c-1.2 0-1.9.8-2.4 1.8",
  keys: "M5.5 13.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM7.6 8.4L13.5 2.5M11 5l2 2M9.2 6.8l1.5 1.5",
  config: "M2.5 4.5h6M11.5 4.5h2M2.5 11.5h2M7.5 11.5h6M10 3v3M6 10v3",
  logs: "M3 3.5h10M3 6.5h7M3 9.5h10M3 12.5h5",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  close: "M4 4l8 8M12 4l-8 8",
  plus: "M8 3v10M3 8h10",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  check: "M3 8.5l3.5 3.5L13 4.5",
  warning: "M8 2.5l6 11H2zM8 7v3M8 11.8h.01",
  info: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.5v3.5M8 5h.01",
  sun: "M8 10.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM8 1.5v1.5M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1 1M11.6 11.6l1 1M12.6 3.4l-1 1M4.4 11.6l-1 1",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z",
  system: "M2 3h12v8H2zM6 13.5h4M8 11v2.5",
  language:
    "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM2 8h12M8 2c2 1.7 2.6 3.7 2.6 6S10 12.3 8 14M8 2C6 3.7 5.4 5.7 5.4 8S6 12.3 8 14",
  out: "M6.5 2.5h-4v11h4M6 8h7.5M11 5.5L13.5 8 11 10.5",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  download: "M8 2.5v7.5M5 7.5L8 10.5l3-3M2.5 13.5h11",
  upload: "M8 10.5V3M5 5.5L8 2.5l3 3M2.5 13.5h11",
  trash: "M2.5 4h11M6 4V2.5h4V4M4 4l.7 9.5h6.6L12 4M6.7 6.5v4.5M9.3 6.5v4.5",
  edit: "M10.5 3l2.5 2.5-7.5 7.5H3v-2.5zM9 4.5L11.5 7",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  refresh: "M13.5 8a5.5 5.5 0 1 1-1.6-3.9M13.5 2v2.5H11",
  external: "M6.5 3h-4v10.5H13v-4M9.5 2.5h4v4M13.5 2.5L7.5 8.5",
  pause: "M5 3v10M11 3v10",
  play: "M4.5 3l8 5-8 5z",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.5 10.5l3.5 3.5",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.5V8l2.5 1.5",
  history: "M2.5 8a5.5 5.5 0 1 0 1.6-3.9M2.5 2v2.5H5M8 5v3l2 1.2",
  right: "M6 3.5L10.5 8 6 12.5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark of the program: three ways in, one way through. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" />
      <path d="M7 9h5c4 0 4 7 8 7h5M7 23h5c4 0 4-7 8-7" />
      <path class="faint" d="M7 16h4" />
    </svg>
  );
}
