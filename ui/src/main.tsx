// The beginning: styles, theme, and the frame.

import "./styles/tokens.css";
import "./styles/page.css";
import "./styles/parts.css";
import "./styles/layers.css";
import "./styles/layout.css";
import "./styles/accounts.css";
import "./styles/traffic.css";
import "./styles/text.css";
import "./styles/narrow.css";

import { effect } from "@preact/signals";
import { render } from "preact";
import { App } from "./app";
import { follow } from "./lib/route";
import { language, theme } from "./lib/settings";

effect(() => {
  if (theme.value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
});

effect(() => {
  document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
});

follow();

const root = document.getElementById("app");
if (root) {
  // What the page shows until this runs.
  root.replaceChildren();
  render(<App />, root);
}
