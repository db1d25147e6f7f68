// The kinds of accounts, and how each is logged in.

export interface Provider {
  /** The `type` of its auth files. */
  type: string;
  name: string;
  /** Two letters that stand for it. */
  mark: string;
  /** The route that begins a login. */
  start?: string;
  /** What the route is told besides. */
  values?: Record<string, boolean>;
  /** The word for the provider in a pasted callback. */
  word?: string;
  isDevice?: boolean;
  wants?: "project" | "cookie" | "service-account";
}

export const PROVIDERS: readonly Provider[] = [
  { type: "claude", name: "Claude", mark: "Cl", start: "/anthropic-auth-url", word: "anthropic" },
  { type: "codex", name: "Codex (ChatGPT)", mark: "Cx", start: "/codex-auth-url", word: "codex" },
  {
    type: "codex-device",
    name: "Codex (ChatGPT)",
    mark: "Cx",
    start: "/codex-auth-url",
    values: { device: true },
    isDevice: true,
  },
  {
    type: "gemini-cli",
    name: "Gemini CLI",
    mark: "Ge",
    start: "/gemini-cli-auth-url",
    word: "gemini",
    wants: "project",
  },
  {
    type: "antigravity",
    name: "Antigravity",
    mark: "An",
    start: "/antigravity-auth-url",
    word: "antigravity",
  },
  { type: "qwen", name: "Qwen", mark: "Qw", start: "/qwen-auth-url", isDevice: true },
  { type: "kimi", name: "Kimi", mark: "Ki", start: "/kimi-auth-url", isDevice: true },
  { type: "xai", name: "xAI", mark: "xA", start: "/xai-auth-url", isDevice: true },
  { type: "iflow", name: "iFlow", mark: "iF", start: "/iflow-auth-url", word: "iflow" },
  { type: "iflow-cookie", name: "iFlow", mark: "iF", wants: "cookie" },
  { type: "vertex", name: "Vertex AI", mark: "Vx", wants: "service-account" },
];

/** Providers that are asked with keys alone. */
const KEYED: Record<string, string> = { gemini: "Gemini", openai: "OpenAI", demo: "Demo" };

export function providerOf(type: string): Provider {
  return (
    PROVIDERS.find((provider) => provider.type === type) ?? {
      type,
      name: KEYED[type] ?? (type || "?"),
      mark: `${type.slice(0, 1).toUpperCase()}${type.slice(1, 2)}` || "?",
    }
  );
}
