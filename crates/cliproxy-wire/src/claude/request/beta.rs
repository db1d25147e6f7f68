//! Beta tokens that a request needs, found while it is written.

use std::collections::BTreeSet;

/// The tokens, in a stable order.
#[derive(Debug, Default)]
pub(super) struct Betas(BTreeSet<&'static str>);

pub(super) const INTERLEAVED_THINKING: &str = "interleaved-thinking-2025-05-14";
pub(super) const EFFORT: &str = "effort-2025-11-24";
pub(super) const FILES: &str = "files-api-2025-04-14";
pub(super) const FAST: &str = "fast-mode-2026-02-01";
pub(super) const CONTEXT_MANAGEMENT: &str = "context-management-2025-06-27";
pub(super) const COMPACTION: &str = "compact-2026-01-12";
pub(super) const STRUCTURED_OUTPUTS: &str = "structured-outputs-2025-12-15";
pub(super) const ADVANCED_TOOLS: &str = "advanced-tool-use-2025-11-20";
pub(super) const LONG_CACHE: &str = "extended-cache-ttl-2025-04-11";
pub(super) const MID_SYSTEM: &str = "mid-conversation-system-2026-04-07";
pub(super) const SKILLS: &str = "skills-2025-10-02";
pub(super) const MCP: &str = "mcp-client-2025-04-04";
const MCP_TOOLSET: &str = "mcp-client-2025-11-20";

/// Tool types that are or were behind a beta.
const TOOLS: [(&str, &str); 9] = [
    ("code_execution_20250522", "code-execution-2025-05-22"),
    ("code_execution_", "code-execution-2025-08-25"),
    ("web_fetch_20250910", "web-fetch-2025-09-10"),
    ("computer_20241022", "computer-use-2024-10-22"),
    ("computer_20250124", "computer-use-2025-01-24"),
    ("computer_20251124", "computer-use-2025-11-24"),
    ("memory_", CONTEXT_MANAGEMENT),
    ("tool_search_tool_", ADVANCED_TOOLS),
    ("mcp_toolset", MCP_TOOLSET),
];

impl Betas {
    pub(super) fn add(&mut self, token: &'static str) {
        self.0.insert(token);
    }

    pub(super) fn add_if(&mut self, is_needed: bool, token: &'static str) {
        if is_needed {
            self.add(token);
        }
    }

    /// What a typed tool needs.
    pub(super) fn tool(&mut self, tool_type: &str) {
        if let Some((_, token)) = TOOLS.iter().find(|(prefix, _)| tool_type.starts_with(prefix)) {
            self.add(token);
        }
    }

    /// The tokens of the body and those that are needed, each once.
    pub(super) fn into_tokens(mut self, asked: &[crate::model::Str]) -> Vec<String> {
        // The newer remote tool beta includes the older.
        if self.0.contains(MCP_TOOLSET) {
            self.0.remove(MCP);
        }
        let mut tokens: Vec<String> = Vec::with_capacity(asked.len() + self.0.len());
        for token in asked.iter().map(|token| &**token).chain(self.0) {
            if !tokens.iter().any(|known| known == token) {
                tokens.push(token.to_owned());
            }
        }
        tokens
    }
}
