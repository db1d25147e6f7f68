//! The settings in force, under the keys of the file.
//!
//! The text is a valid configuration again, except that every secret is masked; a test loads it
//! back. Credentials of the environment are named, not shown.

use std::time::Duration;

use cliproxy_wire::codec::Strictness;

use super::outline::Outline;
use crate::access::gate::ManagementKey;
use crate::config::file::ImageGeneration;
use crate::config::settings::{
    Alias, BaseUrl, Compatible, Entry, ErrorRule, Expression, Header, HeaderSource, KeyEntry, MappingSource,
    Model, Settings, Thinking,
};
use crate::pattern::Pattern;
use crate::proxy::Proxy;
use crate::secret::Secret;
use crate::usage::Price;

/// Renders everything.
pub(super) fn render(settings: &Settings) -> String {
    let mut outline = Outline::default();
    listening(&mut outline, settings);
    outline.text("auth-dir", &settings.auth_dir.display().to_string());
    access(&mut outline, settings);
    logging(&mut outline, settings);
    outbound(&mut outline, settings);
    choosing(&mut outline, settings);
    answering(&mut outline, settings);
    keys(&mut outline, settings);
    oauth(&mut outline, settings);
    extensions(&mut outline, settings);
    amp(&mut outline, settings);
    outline.finish()
}

fn listening(outline: &mut Outline, settings: &Settings) {
    outline.text("host", settings.listen.host.as_str());
    outline.plain("port", settings.listen.port);
    outline.section("tls", |outline| {
        outline.plain("enable", settings.listen.tls.is_some());
        if let Some(tls) = &settings.listen.tls {
            outline.text("cert", &tls.certificate.display().to_string());
            outline.text("key", &tls.key.display().to_string());
        }
    });
    outline.plain("max-request-body-mb", settings.max_request_body_bytes >> 20);
}

fn access(outline: &mut Outline, settings: &Settings) {
    let access = &settings.access;
    let masked: Vec<String> = access.client_keys.iter().map(Secret::masked).collect();
    outline.texts("api-keys", masked.iter().map(String::as_str));
    outline.plain("allow-unauthenticated-remote", access.allow_unauthenticated_remote);
    outline.plain("ws-auth", access.ws_auth);
    let management = &settings.management;
    outline.section("remote-management", |outline| {
        outline.plain("allow-remote", management.lock.allow_remote);
        let key = match &management.lock.key {
            None => String::new(),
            Some(ManagementKey::Hash(_)) => "****".to_owned(),
            Some(ManagementKey::Plain(key)) => key.masked(),
        };
        outline.text("secret-key", &key);
        let proxies: Vec<String> = management.trusted_proxies.iter().map(ToString::to_string).collect();
        outline.texts("trusted-proxies", proxies.iter().map(String::as_str));
        outline.plain("disable-control-panel", management.disable_control_panel);
        outline.optional("panel-github-repository", management.panel_repository.as_deref());
        outline.plain("disable-auto-update-panel", management.disable_auto_update_panel);
    });
}

fn logging(outline: &mut Outline, settings: &Settings) {
    let logging = &settings.logging;
    outline.plain("debug", logging.debug);
    outline.plain("logging-to-file", logging.to_file);
    outline.plain("logs-max-total-size-mb", logging.total_bytes.unwrap_or(0) >> 20);
    outline.plain("error-logs-max-files", logging.error_files);
    outline.plain("request-log", logging.requests);
    outline.plain("commercial-mode", logging.commercial_mode);
    outline.section("pprof", |outline| {
        outline.plain("enable", logging.pprof.is_some());
        outline.optional("addr", logging.pprof.as_deref());
    });
    outline.plain("usage-statistics-enabled", settings.usage.is_collected);
    outline.section("usage-ledger", |outline| {
        let usage = &settings.usage;
        outline.plain("retention-days", usage.bounds.age.map_or(0, |age| age.as_secs() / (24 * 3600)));
        outline.plain("max-size-mb", usage.bounds.bytes >> 20);
        outline.items("prices", usage.prices.list(), |outline, price| {
            outline.text("model", price.model.as_str());
            outline.plain("input", Price::written(price.input));
            outline.plain("output", Price::written(price.output));
            for (key, amount) in [("cache-read", price.cache_read), ("cache-write", price.cache_write)] {
                if let Some(amount) = amount {
                    outline.plain(key, Price::written(amount));
                }
            }
        });
    });
    outline.section("telemetry", |outline| {
        let telemetry = &settings.telemetry;
        outline.flag("prometheus", telemetry.prometheus);
        if let Some(otlp) = &telemetry.otlp {
            let address = otlp.traces.to_string();
            outline.text("otlp-endpoint", address.strip_suffix("/v1/traces").unwrap_or(&address));
            outline.text("service-name", &otlp.service_name);
        }
    });
    outline.plain("redis-usage-queue-retention-seconds", settings.usage.queue_retention.as_secs());
}

fn outbound(outline: &mut Outline, settings: &Settings) {
    outline.text("proxy-url", &proxy(&settings.proxy));
    let timeouts = &settings.timeouts;
    outline.section("upstream-timeouts", |outline| {
        outline.plain("connect", seconds(timeouts.connect));
        outline.plain("tls", seconds(timeouts.tls));
        outline.plain("first-byte", seconds(timeouts.first_byte));
        outline.plain("idle", seconds(timeouts.idle));
        outline.plain("slow-client", seconds(timeouts.slow_client));
    });
}

fn choosing(outline: &mut Outline, settings: &Settings) {
    let routing = &settings.routing;
    outline.section("routing", |outline| {
        outline.text("strategy", routing.strategy.name());
        outline.plain("session-affinity", routing.session_affinity.is_some());
        if let Some(ttl) = routing.session_affinity {
            outline.text("session-affinity-ttl", &duration(ttl));
        }
        outline.plain("max-concurrent-requests", routing.concurrency.map_or(0, std::num::NonZeroU32::get));
        if !routing.fallback.is_empty() {
            outline.section("fallback", |outline| {
                for (model, names) in &routing.fallback {
                    outline.text(model, &names.join(", "));
                }
            });
        }
    });
    outline.plain("force-model-prefix", routing.force_model_prefix);
    outline.section("quota-exceeded", |outline| {
        outline.plain("switch-project", routing.switch_project);
        outline.plain("switch-preview-model", routing.switch_preview_model);
        outline.plain("antigravity-credits", routing.antigravity_credits);
    });
    let retry = &settings.retry;
    outline.plain("request-retry", retry.rounds);
    outline.plain("max-retry-interval", retry.longest_wait.as_secs());
    let per_round = retry.credentials_per_round.map_or(0, std::num::NonZeroU32::get);
    outline.plain("max-retry-credentials", per_round);
    outline.plain("disable-cooling", retry.disable_cooling);
    outline.plain("save-cooldown-status", retry.save_cooldown_status);
    match retry.transient_cooldown {
        Some(cooldown) => outline.plain("transient-error-cooldown-seconds", cooldown.as_secs()),
        None => outline.plain("transient-error-cooldown-seconds", -1),
    }
    outline.plain("auth-auto-refresh-workers", retry.refresh_workers);
}

fn answering(outline: &mut Outline, settings: &Settings) {
    let streaming = &settings.streaming;
    outline.section("streaming", |outline| {
        outline.plain("keepalive-seconds", seconds(streaming.keepalive));
        outline.plain("bootstrap-retries", streaming.bootstrap_retries);
    });
    outline.plain("nonstream-keepalive-interval", seconds(streaming.nonstream_keepalive));
    outline.plain("passthrough-headers", streaming.passthrough_headers);
    let translation = &settings.translation;
    let strictness = match translation.strictness {
        Strictness::Lenient => "lenient",
        Strictness::Default => "default",
        Strictness::Strict => "strict",
    };
    outline.text("strict-translation", strictness);
    outline.text("thinking-table", translation.thinking.name());
    match translation.images {
        ImageGeneration::Enabled => outline.plain("disable-image-generation", false),
        ImageGeneration::Disabled => outline.plain("disable-image-generation", true),
        ImageGeneration::DisabledInChat => outline.text("disable-image-generation", "chat"),
        ImageGeneration::Passthrough => outline.text("disable-image-generation", "passthrough"),
    }
    outline.text("gpt-image-2-base-model", &translation.image_model);
    outline.text("video-result-auth-cache-ttl", &duration(translation.video_credential_ttl));
    outline.plain("antigravity-signature-cache-enabled", translation.caches_signatures);
    outline.plain("antigravity-signature-bypass-strict", translation.refuses_foreign_signatures);
    outline.section("xai", |outline| outline.flag("inject-x-search", translation.inject_x_search));
    outline.section("codex", |outline| {
        outline.flag("stream-bootstrap-buffering", streaming.codex_bootstrap_buffering);
        outline.flag("optimize-multi-agent-v2", translation.optimize_multi_agent);
        if settings.live_media.is_enabled {
            outline.section("live-media-relay", |outline| {
                outline.plain("enabled", true);
                outline.plain("max-sessions", settings.live_media.max_sessions);
                if let Some((first, last)) = settings.live_media.ports {
                    outline.plain("udp-port-min", first);
                    outline.plain("udp-port-max", last);
                }
            });
        }
    });
}

fn keys(outline: &mut Outline, settings: &Settings) {
    let keys = &settings.keys;
    for (name, list) in [
        ("gemini-api-key", &keys.gemini),
        ("interactions-api-key", &keys.interactions),
        ("claude-api-key", &keys.claude),
        ("codex-api-key", &keys.codex),
        ("xai-api-key", &keys.xai),
        ("vertex-api-key", &keys.vertex),
    ] {
        outline.items(name, list, key_entry);
    }
    outline.items("openai-compatibility", &keys.compatible, compatible);
}

fn key_entry(outline: &mut Outline, entry: &KeyEntry) {
    outline.text("api-key", &entry.key.masked());
    outline.text("base-url", &entry.common.base_url.redacted());
    outline.text("proxy-url", &proxy(&entry.proxy));
    outline.plain("weight", entry.weight.map_or(0, std::num::NonZeroU32::get));
    outline.flag("websockets", entry.websockets);
    outline.flag("alpha-search", entry.alpha_search);
    outline.flag("rebuild-mid-system-message", entry.rebuild_mid_system_message);
    common(outline, &entry.common, false);
}

fn compatible(outline: &mut Outline, entry: &Compatible) {
    outline.text("name", &entry.name);
    outline.text("base-url", &entry.common.base_url.redacted());
    outline.flag("disabled", entry.is_disabled);
    outline.flag("support-prompt-cache-key", entry.support_prompt_cache_key);
    outline.items("api-key-entries", &entry.keys, |outline, key| {
        let masked = key.key.as_ref().map(Secret::masked).unwrap_or_default();
        outline.text("api-key", &masked);
        outline.text("proxy-url", &proxy(&key.proxy));
        outline.plain("weight", key.weight.map_or(0, std::num::NonZeroU32::get));
    });
    common(outline, &entry.common, true);
}

fn common(outline: &mut Outline, common: &Entry, is_compatible: bool) {
    outline.plain("priority", common.priority);
    outline.optional("prefix", common.prefix.as_deref());
    outline.section("headers", |outline| {
        for Header { name, value } in &common.headers {
            match value {
                HeaderSource::Fixed(_) => outline.text(name.as_str(), "****"),
                HeaderSource::Client(client) => outline.text(name.as_str(), &format!("${client}")),
            }
        }
    });
    outline.items("models", &common.models, |outline, entry| model(outline, entry, is_compatible));
    outline.texts("excluded-models", common.excluded_models.iter().map(Pattern::as_str));
    if let Some(is_disabled) = common.disable_cooling {
        outline.plain("disable-cooling", is_disabled);
    }
    if let Some(rounds) = common.retry_rounds {
        outline.plain("request-retry", rounds);
    }
    outline.items("request-scoped-errors", &common.error_rules, error_rule);
}

fn model(outline: &mut Outline, model: &Model, is_compatible: bool) {
    outline.text("name", &model.name);
    outline.text("alias", &model.alias);
    outline.optional("display-name", model.display_name.as_deref());
    if let Some(length) = model.max_context_length {
        outline.plain("max-context-length", length);
    }
    outline.flag("force-mapping", model.force_mapping);
    outline.flag("is-compat", model.is_compat);
    if is_compatible {
        outline.flag("image", model.makes_images);
        outline.texts("input-modalities", model.input_modalities.iter().map(String::as_str));
        outline.texts("output-modalities", model.output_modalities.iter().map(String::as_str));
    }
    if let Some(Thinking { min, max, zero_allowed, dynamic_allowed, levels }) = &model.thinking {
        outline.section("thinking", |outline| {
            outline.plain("min", min);
            outline.plain("max", max);
            outline.plain("zero-allowed", zero_allowed);
            outline.plain("dynamic-allowed", dynamic_allowed);
            outline.texts("levels", levels.iter().map(String::as_str));
        });
    }
}

fn error_rule(outline: &mut Outline, rule: &ErrorRule) {
    outline.plain("status", rule.status);
    outline.texts("match", rule.texts.iter().map(String::as_str));
    outline.texts("match-regexr", rule.expressions.iter().map(Expression::as_str));
    outline.text("action", rule.action.name());
}

fn oauth(outline: &mut Outline, settings: &Settings) {
    let oauth = &settings.oauth;
    outline.section("oauth-endpoints", |outline| {
        for (provider, endpoint) in &oauth.endpoints {
            outline.section(provider, |outline| {
                for (name, address) in &endpoint.addresses {
                    outline.text(name, &address.redacted());
                }
                outline.optional("client-id", endpoint.client_id.as_deref());
                let secret = endpoint.client_secret.as_ref().map(Secret::masked);
                outline.optional("client-secret", secret.as_deref());
                outline.optional("scope", endpoint.scope.as_deref());
            });
        }
    });
    outline.section("oauth-excluded-models", |outline| {
        for (provider, patterns) in &oauth.excluded_models {
            outline.texts(provider, patterns.iter().map(Pattern::as_str));
        }
    });
    outline.section("oauth-model-alias", |outline| {
        for (channel, aliases) in &oauth.aliases {
            outline.items(channel, aliases, |outline, alias: &Alias| {
                outline.text("name", &alias.name);
                outline.text("alias", &alias.alias);
                outline.flag("fork", alias.keeps_name);
                outline.optional("display-name", alias.display_name.as_deref());
                outline.flag("force-mapping", alias.force_mapping);
            });
        }
    });
    outline.section("oauth-request-scoped-errors", |outline| {
        for (channel, rules) in &oauth.error_rules {
            outline.items(channel, rules, error_rule);
        }
    });
}

fn extensions(outline: &mut Outline, settings: &Settings) {
    let images = &settings.image_urls;
    outline.section("image-urls", |outline| {
        outline.text("fetch", images.fetch.name());
        outline.plain("max-mb", images.bytes >> 20);
        outline.plain("max-seconds", images.time.as_secs());
        outline.texts("private-hosts", images.private_hosts.iter().map(String::as_str));
    });
    let habits = settings.gemini_cli_proxy;
    outline.section("gemini-cli-proxy", |outline| {
        outline.flag("root-document", habits.has_root_document);
        outline.flag("stream-by-default", habits.streams_by_default);
    });
}

fn amp(outline: &mut Outline, settings: &Settings) {
    let amp = &settings.amp;
    outline.section("ampcode", |outline| {
        outline.optional("upstream-url", amp.upstream.as_ref().map(BaseUrl::redacted).as_deref());
        outline.optional("upstream-api-key", amp.key.as_ref().map(Secret::masked).as_deref());
        outline.items("upstream-api-keys", &amp.client_keys, |outline, (client, upstream)| {
            outline.text("upstream-api-key", &upstream.masked());
            outline.texts("api-keys", [client.masked().as_str()]);
        });
        outline.flag("restrict-management-to-localhost", amp.restrict_management_to_localhost);
        outline.items("model-mappings", &amp.mappings, |outline, mapping| {
            match &mapping.from {
                MappingSource::Name(name) => outline.text("from", name),
                MappingSource::Expression(expression) => {
                    outline.text("from", expression.as_str());
                    outline.plain("regex", true);
                }
            }
            outline.text("to", &mapping.to);
        });
        outline.flag("force-model-mappings", amp.force_mappings);
        outline.flag("upstream-when-exhausted", amp.upstream_when_exhausted);
    });
}

fn proxy(proxy: &Proxy) -> String {
    match proxy {
        Proxy::Inherit => String::new(),
        other => other.redacted(),
    }
}

fn seconds(duration: Option<Duration>) -> u64 {
    duration.map_or(0, |duration| duration.as_secs())
}

fn duration(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        format!("{}s", duration.as_secs())
    } else {
        format!("{}ms", duration.as_millis())
    }
}
