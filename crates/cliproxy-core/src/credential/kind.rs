//! Which provider code serves a credential. What each does is in [`crate::provider`].

/// The kinds of provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Gemini API key.
    Gemini,
    /// Gemini API behind a web page of AI Studio.
    AiStudio,
    /// Code Assist behind an Antigravity account.
    Antigravity,
    /// Code Assist behind an account of the Gemini CLI.
    GeminiCli,
    /// Vertex-compatible key, and service account of Vertex AI.
    Vertex,
    /// Claude API key.
    Claude,
    /// Responses-compatible key, and ChatGPT account.
    Codex,
    /// xAI API key, and account.
    Xai,
    /// Chat-compatible service.
    OpenAi,
    /// Qwen Code account.
    Qwen,
    /// iFlow account.
    IFlow,
    /// Kimi Code account.
    Kimi,
    /// The built-in demo.
    Demo,
}

impl Kind {
    /// Those that serve accounts; their names are the providers' names of auth files.
    const WITH_ACCOUNTS: [Self; 9] = [
        Self::Antigravity,
        Self::Claude,
        Self::Codex,
        Self::GeminiCli,
        Self::IFlow,
        Self::Kimi,
        Self::Qwen,
        Self::Vertex,
        Self::Xai,
    ];

    /// The provider of an auth file's account.
    pub fn of_account(provider: &str) -> Option<Self> {
        Self::WITH_ACCOUNTS.into_iter().find(|kind| kind.name() == provider)
    }

    /// The provider's name in ids, statistics and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gemini => "gemini",
            Self::AiStudio => "aistudio",
            Self::Antigravity => "antigravity",
            Self::GeminiCli => "gemini-cli",
            Self::Vertex => "vertex",
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Xai => "xai",
            Self::OpenAi => "openai-compatibility",
            Self::Qwen => "qwen",
            Self::IFlow => "iflow",
            Self::Kimi => "kimi",
            Self::Demo => "demo",
        }
    }
}
