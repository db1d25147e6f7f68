//! Which relative of the Chat format a service speaks, judged by its address and configured name.

use crate::profile::{
    Dialect, Profile, ReasoningHistory, ReasoningRequest, ResponseFormatSupport, ToolIdRule,
};

impl Profile {
    /// The profile of the Chat service at `url`; `name` is what the user calls it. Unknown services get
    /// [`Profile::compatible`].
    pub fn for_chat_base_url(url: &str, name: &str) -> Self {
        let host = url
            .split("://")
            .nth(1)
            .unwrap_or(url)
            .split(['/', '?'])
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let name = name.to_ascii_lowercase();
        let is = |hosts: &[&str], names: &[&str]| {
            hosts.iter().any(|known| host == *known || host.ends_with(&format!(".{known}")))
                || names.contains(&name.as_str())
        };
        let compatible = Self::compatible();
        if is(&["api.openai.com"], &[]) {
            return Self::openai_chat();
        }
        if is(&["openai.azure.com", "services.ai.azure.com"], &["azure"]) {
            return Self { name: "azure", dialect: Dialect::Azure, ..Self::openai_chat() };
        }
        if is(&["openrouter.ai"], &["openrouter"]) {
            return Self {
                name: "openrouter",
                dialect: Dialect::OpenRouter,
                reasoning_request: ReasoningRequest::RouterObject,
                reasoning_history: ReasoningHistory::Details,
                has_cache_marks: true,
                ..compatible
            };
        }
        if is(
            &[
                "dashscope.aliyuncs.com",
                "dashscope-intl.aliyuncs.com",
                "coding.dashscope.aliyuncs.com",
                "coding-intl.dashscope.aliyuncs.com",
                "portal.qwen.ai",
            ],
            &["qwen", "dashscope"],
        ) {
            return Self {
                name: "qwen",
                dialect: Dialect::Qwen,
                reasoning_request: ReasoningRequest::Qwen,
                response_format: ResponseFormatSupport::JsonObject,
                ..compatible
            };
        }
        if is(&["iflow.cn"], &["iflow"]) {
            return Self {
                name: "iflow",
                dialect: Dialect::IFlow,
                reasoning_request: ReasoningRequest::IFlow,
                reasoning_history: ReasoningHistory::Content,
                ..compatible
            };
        }
        if is(&["api.deepseek.com"], &["deepseek"]) {
            return Self {
                name: "deepseek",
                dialect: Dialect::DeepSeek,
                reasoning_request: ReasoningRequest::DeepSeek,
                reasoning_history: ReasoningHistory::RequiredOnToolTurns,
                response_format: ResponseFormatSupport::JsonObject,
                ..compatible
            };
        }
        if is(&["moonshot.cn", "moonshot.ai", "api.kimi.com"], &["moonshot", "kimi"]) {
            return Self {
                name: "kimi",
                dialect: Dialect::Kimi,
                reasoning_request: ReasoningRequest::Kimi,
                reasoning_history: ReasoningHistory::RequiredOnToolTurns,
                ..compatible
            };
        }
        if is(&["api.x.ai"], &["xai", "grok"]) {
            return Self { name: "xai", dialect: Dialect::Xai, ..compatible };
        }
        if is(&["mistral.ai"], &["mistral"]) {
            return Self {
                name: "mistral",
                dialect: Dialect::Mistral,
                tool_id: ToolIdRule::Alphanumeric9,
                ..compatible
            };
        }
        if is(&["bigmodel.cn", "z.ai"], &["glm", "zhipu", "zai"]) {
            return Self {
                name: "glm",
                dialect: Dialect::Glm,
                reasoning_request: ReasoningRequest::Glm,
                reasoning_history: ReasoningHistory::Content,
                response_format: ResponseFormatSupport::JsonObject,
                ..compatible
            };
        }
        if is(&["generativelanguage.googleapis.com"], &[]) {
            return Self {
                name: "google-chat",
                dialect: Dialect::GoogleChat,
                reasoning_request: ReasoningRequest::GoogleChat,
                ..compatible
            };
        }
        if is(&["groq.com", "cerebras.ai"], &["groq", "cerebras", "ollama", "vllm", "sglang"])
            || host.ends_with(":11434")
        {
            return Self {
                name: "vllm",
                dialect: Dialect::Vllm,
                reasoning_history: ReasoningHistory::Reasoning,
                ..compatible
            };
        }
        compatible
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_known_by_host_or_name_and_look_alikes_are_not() {
        for (url, name, dialect) in [
            ("https://api.openai.com/v1", "x", Dialect::Native),
            ("https://openrouter.ai/api/v1", "x", Dialect::OpenRouter),
            ("https://api.deepseek.com", "x", Dialect::DeepSeek),
            ("https://api.mistral.ai/v1", "x", Dialect::Mistral),
            ("http://127.0.0.1:11434/v1", "x", Dialect::Vllm),
            ("https://proxy.example/v1", "OpenRouter", Dialect::OpenRouter),
            ("https://openrouter.ai.evil.example/v1", "x", Dialect::Compatible),
            ("https://proxy.example/v1", "mine", Dialect::Compatible),
        ] {
            assert_eq!(Profile::for_chat_base_url(url, name).dialect, dialect, "{url} {name}");
        }
    }
}
