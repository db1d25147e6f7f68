//! Upstream keys: the lists of API keys and the OpenAI-compatible upstreams.
//!
//! The lists of keys share one struct. A member that only one list gives a meaning to is
//! accepted in all of them; it has no effect elsewhere.

use super::decode::{List, Map, section};
use crate::secret::Secret;

section! {
    /// One item of `gemini-api-key`, `claude-api-key`, `codex-api-key`, `vertex-api-key`,
    /// `xai-api-key` or `interactions-api-key`.
    pub struct KeyEntry {
        /// The key.
        api_key: Secret,
        /// Higher is chosen first.
        priority: i64,
        /// Share under the weighted strategy.
        weight: i64,
        /// Model prefix.
        prefix: String,
        /// Root of the upstream's addresses.
        base_url: Secret,
        /// Outbound proxy of this key.
        proxy_url: Secret,
        /// Headers added to requests.
        headers: Map<Secret>,
        /// The models that are offered, and their names.
        models: List<Model>,
        /// Models withheld.
        excluded_models: List<String>,
        /// No cooldowns for this key.
        disable_cooling: bool,
        /// Further selection rounds for this key.
        request_retry: i64,
        /// Error classification.
        request_scoped_errors: List<ErrorRule>,
        /// Use the upstream's WebSocket interface (Codex, xAI).
        websockets: bool,
        /// Serve the search interface (Codex).
        alpha_search: bool,
        /// Move system messages to the top (Claude).
        rebuild_mid_system_message: bool,
    }
    disguise: ["cloak", "fingerprint-profile", "experimental-cch-signing"]
}

section! {
    /// One item of `models` of a key.
    pub struct Model {
        /// Name at the upstream.
        name: String,
        /// Name for clients.
        alias: String,
        /// Name for people.
        display_name: String,
        /// Context length, in tokens.
        max_context_length: i64,
        /// Write the alias into answers.
        force_mapping: bool,
        /// The upstream is a compatible server, not the vendor.
        is_compat: bool,
        /// What the model accepts as thinking control.
        thinking: Thinking,
    }
}

section! {
    /// `thinking` of a model.
    pub struct Thinking {
        /// Smallest budget.
        min: i64,
        /// Largest budget.
        max: i64,
        /// Thinking can be switched off.
        zero_allowed: bool,
        /// The model can decide by itself.
        dynamic_allowed: bool,
        /// Levels by name.
        levels: List<String>,
    }
}

section! {
    /// One item of `request-scoped-errors`.
    pub struct ErrorRule {
        /// Upstream status.
        status: i64,
        /// Texts of which one must be in the answer.
        r#match: List<String>,
        /// Regular expressions of which one must match the answer.
        match_regexr: List<String>,
        /// What to do.
        action: String,
    }
}

section! {
    /// One item of `openai-compatibility`.
    pub struct CompatibleEntry {
        /// Name of the provider.
        name: String,
        /// Whether the entry is switched off.
        disabled: bool,
        /// Higher is chosen first.
        priority: i64,
        /// Model prefix.
        prefix: String,
        /// Root of the upstream's addresses.
        base_url: Secret,
        /// Outbound proxy of keys that have none of their own.
        proxy_url: Secret,
        /// The keys.
        api_key_entries: List<CompatibleKey>,
        /// Older form of `api-key-entries`.
        api_keys: List<Secret>,
        /// Headers added to requests.
        headers: Map<Secret>,
        /// The models.
        models: List<CompatibleModel>,
        /// Models withheld.
        excluded_models: List<String>,
        /// Send a prompt cache key.
        support_prompt_cache_key: bool,
        /// No cooldowns for these keys.
        disable_cooling: bool,
        /// Further selection rounds for these keys.
        request_retry: i64,
        /// Error classification.
        request_scoped_errors: List<ErrorRule>,
    }
}

section! {
    /// One item of `api-key-entries`.
    pub struct CompatibleKey {
        /// The key.
        api_key: Secret,
        /// Outbound proxy of this key.
        proxy_url: Secret,
        /// Share under the weighted strategy.
        weight: i64,
    }
}

section! {
    /// One item of `models` of an OpenAI-compatible upstream. The same alias on several items
    /// makes a pool.
    pub struct CompatibleModel {
        /// Name at the upstream.
        name: String,
        /// Name for clients.
        alias: String,
        /// Name for people.
        display_name: String,
        /// Context length, in tokens.
        max_context_length: i64,
        /// Write the alias into answers.
        force_mapping: bool,
        /// Keep thinking of other formats as `reasoning_content`.
        is_compat: bool,
        /// What the model accepts as thinking control.
        thinking: Thinking,
        /// The model makes images.
        image: bool,
        /// What the model reads.
        input_modalities: List<String>,
        /// What the model writes.
        output_modalities: List<String>,
    }
}
