//! Validated, typed settings: plain values, no locks, comparable.
//!
//! [`Settings::load`] goes the whole way: file, environment, command line, lowest first. One
//! file per topic turns the written sections into types and adds its findings to one report, so
//! that all problems come out together. What changes at run time lives elsewhere.

mod allowance;
mod amp;
mod base_url;
mod credential;
mod endpoint;
mod error_rule;
mod extension;
mod limits;
mod listen;
mod logging;
mod management;
mod migrate;
mod model;
mod oauth;
mod proxy;
mod routing;
mod store;
mod telemetry;
mod translation;
mod value;

use std::path::PathBuf;

pub use amp::{Amp, Mapping, MappingSource};
pub use base_url::BaseUrl;
pub use credential::{
    Compatible, CompatibleKey, Entry, Header, HeaderSource, KeyEntry, Keys, LARGEST_WEIGHT,
};
pub use endpoint::Endpoint;
pub use error_rule::{Action, ErrorRule, Expression};
pub use extension::{FetchImages, GeminiCliProxy, ImageUrls};
pub use limits::{Streaming, Timeouts};
pub use listen::{Access, DEFAULT_PORT, Host, Listen, Tls};
pub use logging::{Logging, Usage};
pub use management::Management;
pub use model::{Model, Thinking};
pub use oauth::{Alias, Oauth};
pub use routing::{Retry, Routing, Strategy};
pub use store::Store;
pub use telemetry::{Otlp, Telemetry};
pub use translation::{LiveMedia, ThinkingTable, Translation};

use super::diagnostic::{Code, Problems, Report};
use super::file;
use super::payload;
use super::source::{Content, Source};
use super::{Loaded, Overrides};
use crate::env::{self, Env};
use crate::proxy::Proxy;

/// Directory of credential files when the file names none.
pub const DEFAULT_AUTH_DIR: &str = "~/.cli-proxy-api";

/// Everything that configuration decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The listening socket. Needs a restart.
    pub listen: Listen,
    /// Who may use the gateway.
    pub access: Access,
    /// The management interface.
    pub management: Management,
    /// Which store keeps configuration and credentials. Needs a restart.
    pub store: Store,
    /// Directory of credential files.
    pub auth_dir: PathBuf,
    /// Base directory of everything written, when the environment names one.
    pub writable: Option<PathBuf>,
    /// Outbound proxy of everything that has none of its own.
    pub proxy: Proxy,
    /// Longest waits for an upstream.
    pub timeouts: Timeouts,
    /// Choice of credentials.
    pub routing: Routing,
    /// New attempts and rests.
    pub retry: Retry,
    /// Keep-alive and early failures of answers.
    pub streaming: Streaming,
    /// Largest request body.
    pub max_request_body_bytes: u64,
    /// Logs and records.
    pub logging: Logging,
    /// Usage counting.
    pub usage: Usage,
    /// Numbers and traces for other programs.
    pub telemetry: Telemetry,
    /// Choices about translated content.
    pub translation: Translation,
    /// Relay of live media.
    pub live_media: LiveMedia,
    /// Upstream keys.
    pub keys: Keys,
    /// Model rules of credential files.
    pub oauth: Oauth,
    /// Rules on request bodies.
    pub payload: payload::Rules,
    /// Pictures that requests name by address.
    pub image_urls: ImageUrls,
    /// Habits of Gemini-CLI-Proxy.
    pub gemini_cli_proxy: GeminiCliProxy,
    /// The Amp control plane.
    pub amp: Amp,
}

impl Settings {
    /// Reads and validates everything.
    ///
    /// # Errors
    /// All problems at once, with their places.
    pub fn load(source: &Source, env: &dyn Env) -> Result<Loaded, Problems> {
        match source.read()? {
            Content::Absent => Self::build(None, source, env),
            Content::Text(text) => Self::build(Some(&text), source, env),
        }
    }

    /// Validates a text that stands for the source's file.
    ///
    /// # Errors
    /// All problems at once, with their places.
    pub fn load_text(text: &str, source: &Source, env: &dyn Env) -> Result<Loaded, Problems> {
        Self::build(Some(text), source, env)
    }

    fn build(text: Option<&str>, source: &Source, env: &dyn Env) -> Result<Loaded, Problems> {
        let mut report = Report::default();
        let mut config = text.map(|text| file::Config::read(text, &mut report)).unwrap_or_default();
        migrate::migrate(&mut config, &mut report);
        let settings = Self::overlay(&config, text.is_some(), &source.overrides, env, &mut report);
        let warnings = report.finish(source.path.as_deref())?;
        Ok(Loaded { settings, warnings, content_hash: text.map(super::source::content_hash) })
    }

    /// Defaults, then the file, then the environment, then the command line.
    fn overlay(
        config: &file::Config,
        has_file: bool,
        overrides: &Overrides,
        env: &dyn Env,
        report: &mut Report,
    ) -> Self {
        without_effect(config, report);
        let access = listen::access(config, overrides, report);
        Self {
            listen: listen::listen(config, has_file, overrides, &access, report),
            access,
            management: management::management(config, env, report),
            store: Store::from_env(env),
            auth_dir: auth_dir(config, overrides, env, report),
            writable: env.get(env::WRITABLE_PATH).map(PathBuf::from),
            proxy: proxy::validate(config.proxy_url.as_ref(), report),
            timeouts: limits::timeouts(config),
            routing: routing::routing(config, report),
            retry: routing::retry(config),
            streaming: limits::streaming(config),
            max_request_body_bytes: limits::request_body_bytes(config, report),
            logging: logging::logging(config, report),
            usage: logging::usage(config, report),
            telemetry: telemetry::telemetry(config, report),
            translation: translation::translation(config, report),
            live_media: translation::live_media(config, report),
            keys: credential::keys(config, report),
            oauth: oauth::oauth(config, report),
            payload: payload::compile(config.payload.as_deref(), report),
            image_urls: extension::image_urls(config, report),
            gemini_cli_proxy: extension::gemini_cli_proxy(config),
            amp: amp::amp(config, env, report),
        }
    }

    /// What differs from `running` but is only read at start, by key.
    pub fn needs_restart(&self, running: &Self) -> Vec<&'static str> {
        let mut keys = Vec::new();
        if self.listen.host != running.listen.host {
            keys.push("host");
        }
        if self.listen.port != running.listen.port {
            keys.push("port");
        }
        if self.listen.tls != running.listen.tls {
            keys.push("tls");
        }
        if self.logging.commercial_mode != running.logging.commercial_mode {
            keys.push("commercial-mode");
        }
        if self.store != running.store {
            keys.push("store");
        }
        keys
    }

    /// Whether a server that listens as `running` says would be open to other machines without
    /// any key if it took over these settings.
    pub fn would_open(&self, running: &Self) -> bool {
        self.access.client_keys.is_empty()
            && !self.access.allow_unauthenticated_remote
            && !running.listen.host.is_loopback()
    }
}

/// Reports switches that other programs know and this one has nothing behind.
fn without_effect(config: &file::Config, report: &mut Report) {
    let plugins = config.plugins.as_ref().and_then(|section| section.enabled.as_ref());
    if let Some(member) = plugins.filter(|member| member.value) {
        report.warning(&member.origin, Code::NoPlugins);
    }
    let control_plane = [config.credential_concurrency.as_ref(), config.credential_in_flight.as_ref()];
    for member in control_plane.into_iter().flatten().filter(|member| !member.is_empty()) {
        report.warning_key(&member.origin, Code::ControlPlaneKey);
    }
}

fn auth_dir(config: &file::Config, overrides: &Overrides, env: &dyn Env, report: &mut Report) -> PathBuf {
    if let Some(directory) = &overrides.auth_dir {
        return directory.clone();
    }
    let written = value::text(config.auth_dir.as_ref()).unwrap_or(DEFAULT_AUTH_DIR);
    let Some(below) = written.strip_prefix('~') else {
        return PathBuf::from(written);
    };
    let below = below.trim_start_matches(['/', '\\']);
    match env.get(env::HOME).or_else(|| env.get(env::USERPROFILE)) {
        Some(home) if below.is_empty() => PathBuf::from(home),
        Some(home) => PathBuf::from(home).join(below),
        None => {
            match &config.auth_dir {
                Some(member) => report.problem(&member.origin, Code::HomeUnknown),
                None => report.problem_general(Code::HomeUnknown),
            }
            PathBuf::from(written)
        }
    }
}

#[cfg(test)]
mod tests;
