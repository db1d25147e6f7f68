//! `config.yaml` exactly as written.
//!
//! One struct per YAML mapping, every member optional, every value with its place. Nothing is
//! judged here beyond YAML types: defaults, ranges and meaning belong to `settings`. Keys that
//! nobody knows and keys that are ignored on purpose are reported while reading.

pub(crate) mod decode;
pub(crate) mod tree;

mod allowance;
mod amp;
mod credential;
mod extension;
mod image;
mod legacy;
mod management;
mod nearest;
mod oauth;
mod payload;
mod plugin;
mod provider;
pub(crate) mod scalar;
mod server;
mod telemetry;
mod upstream;
mod usage;

pub use allowance::{KeyLimit, Limit};
pub use amp::{Ampcode, ModelMapping, UpstreamKey};
pub use credential::{CompatibleEntry, CompatibleKey, CompatibleModel, ErrorRule, KeyEntry, Model, Thinking};
pub use decode::{Free, List, Map, Placed};
pub use extension::{GeminiCliProxy, ImageUrls};
pub use image::ImageGeneration;
pub use legacy::{Auth, AuthProvider};
pub use management::RemoteManagement;
pub use oauth::{Endpoint, ModelAlias};
pub use payload::{Payload, PayloadFilter, PayloadModel, PayloadRule};
pub use plugin::Plugins;
pub use provider::{Antigravity, ClaudeCode, Codex, IceServer, LiveMediaRelay, Xai};
pub use server::{Pprof, QuotaExceeded, Routing, Streaming, Tls};
pub use telemetry::Telemetry;
pub use upstream::UpstreamTimeouts;
pub use usage::{Price, UsageLedger};

use crate::config::diagnostic::Report;
use crate::secret::Secret;
use decode::{Cursor, Decode as _, section};

section! {
    /// The whole document.
    pub struct Config {
        /// Bind address; empty means every interface.
        host: String,
        /// TCP port.
        port: i64,
        /// HTTPS.
        tls: Tls,
        /// Serve other machines although no client key is configured.
        allow_unauthenticated_remote: bool,
        /// Largest request body, in MiB.
        max_request_body_mb: i64,
        /// The management interface.
        remote_management: RemoteManagement,
        /// Directory of the credential files.
        auth_dir: String,
        /// Client keys.
        api_keys: List<Secret>,
        /// What single client keys may do.
        api_key_limits: List<KeyLimit>,
        /// Older home of the client keys.
        auth: Auth,
        /// Debug log level.
        debug: bool,
        /// Profiling listener.
        pprof: Pprof,
        /// Less bookkeeping per request.
        commercial_mode: bool,
        /// Log to rotating files.
        logging_to_file: bool,
        /// Limit of the log directory, in MB.
        logs_max_total_size_mb: i64,
        /// How many error logs are kept.
        error_logs_max_files: i64,
        /// Record every request in full.
        request_log: bool,
        /// Collect usage.
        usage_statistics_enabled: bool,
        /// How much of the usage is kept, and what tokens cost.
        usage_ledger: UsageLedger,
        /// Numbers and traces for other programs.
        telemetry: Telemetry,
        /// How long the usage queue keeps records, in seconds.
        redis_usage_queue_retention_seconds: i64,
        /// Outbound proxy of everything that has none of its own.
        proxy_url: Secret,
        /// Limits on waiting for upstreams.
        upstream_timeouts: UpstreamTimeouts,
        /// Prefixed credentials answer to prefixed names only.
        force_model_prefix: bool,
        /// Further selection rounds.
        request_retry: i64,
        /// Longest cooldown that is waited for, in seconds.
        max_retry_interval: i64,
        /// Most credentials tried per round.
        max_retry_credentials: i64,
        /// Never put credentials on cooldown.
        disable_cooling: bool,
        /// Keep cooldowns over restarts.
        save_cooldown_status: bool,
        /// Cooldown after a transient upstream error, in seconds.
        transient_error_cooldown_seconds: i64,
        /// How many token refreshes run at once.
        auth_auto_refresh_workers: i64,
        /// What to do when a quota is used up.
        quota_exceeded: QuotaExceeded,
        /// How a credential is chosen.
        routing: Routing,
        /// Client keys also on the relay socket.
        ws_auth: bool,
        /// Newline interval while a non-streaming request runs, in seconds.
        nonstream_keepalive_interval: i64,
        /// Streaming.
        streaming: Streaming,
        /// Forward upstream response headers.
        passthrough_headers: bool,
        /// How much a translation may lose: `lenient`, `default`, `strict`.
        strict_translation: String,
        /// Which table converts thinking levels to budgets.
        thinking_table: String,
        /// Keep thinking signatures for later turns.
        antigravity_signature_cache_enabled: bool,
        /// Refuse foreign signatures instead of replacing them.
        antigravity_signature_bypass_strict: bool,
        /// Image tools and routes.
        disable_image_generation: ImageGeneration,
        /// Model that drives the image tool.
        gpt_image_2_base_model: String,
        /// How long a video job remembers its credential.
        video_result_auth_cache_ttl: String,
        /// Gemini API keys.
        gemini_api_key: List<KeyEntry>,
        /// Gemini API keys for the interactions interface.
        interactions_api_key: List<KeyEntry>,
        /// Anthropic API keys.
        claude_api_key: List<KeyEntry>,
        /// OpenAI API keys for the Responses interface.
        codex_api_key: List<KeyEntry>,
        /// xAI API keys.
        xai_api_key: List<KeyEntry>,
        /// Vertex API keys.
        vertex_api_key: List<KeyEntry>,
        /// Other upstreams with the Chat interface.
        openai_compatibility: List<CompatibleEntry>,
        /// Where logins happen, per provider.
        oauth_endpoints: Map<Endpoint>,
        /// Models withheld, per provider of credential files.
        oauth_excluded_models: Map<List<String>>,
        /// Models renamed, per channel of credential files.
        oauth_model_alias: Map<List<ModelAlias>>,
        /// Error classification, per channel of credential files.
        oauth_request_scoped_errors: Map<List<ErrorRule>>,
        /// Rules on request bodies.
        payload: Payload,
        /// Pictures that requests name by address.
        image_urls: ImageUrls,
        /// Habits of the program of that name.
        gemini_cli_proxy: GeminiCliProxy,
        /// The Amp control plane.
        ampcode: Ampcode,
        /// xAI switches.
        xai: Xai,
        /// Codex switches.
        codex: Codex,
        /// Claude Code switches.
        claude_code: ClaudeCode,
        /// Antigravity switches.
        antigravity: Antigravity,
        /// Plugins.
        plugins: Plugins,
        /// Belongs to an external control plane.
        credential_concurrency: Free,
        /// Belongs to an external control plane.
        credential_in_flight: Free,
        /// Older form of `gemini-api-key`.
        generative_language_api_key: List<Secret>,
        /// Older form of `ampcode.upstream-url`.
        amp_upstream_url: String,
        /// Older form of `ampcode.upstream-api-key`.
        amp_upstream_api_key: Secret,
        /// Older form of `ampcode.restrict-management-to-localhost`.
        amp_restrict_management_to_localhost: bool,
        /// Older form of `ampcode.model-mappings`.
        amp_model_mappings: List<ModelMapping>,
        /// Older form of `oauth-model-alias`.
        oauth_model_mappings: Map<List<ModelAlias>>,
    }
    disguise: ["disable-claude-cloak-mode", "claude-header-defaults", "codex-header-defaults"]
}

impl Config {
    /// Reads the text. What is wrong goes to the report; whatever could be read is returned, so
    /// that validation can add its findings.
    pub(crate) fn read(text: &str, report: &mut Report) -> Self {
        let Some(root) = tree::parse(text, report) else {
            return Self::default();
        };
        Self::decode(&root, &mut Cursor::new(report)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
