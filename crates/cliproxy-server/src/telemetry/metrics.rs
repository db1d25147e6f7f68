//! Numbers for Prometheus, at `/metrics`.
//!
//! Labels are what configuration bounds: formats, providers, models of upstreams. When there are too many models all the
//! same, further ones are counted together.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use cliproxy_core::provider::Operation;
use cliproxy_core::usage::Record;
use cliproxy_wire::Format;
use cliproxy_wire::fault::Kind;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{operation, provider_name};
use crate::App;
use crate::clock::now;
use crate::peer::Origin;

/// Models that have numbers of their own.
const MODELS: usize = 500;
/// What the others are counted as.
const OTHER: &str = "other";
/// Bounds of times in seconds; source: the semantic conventions for generative AI.
const SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// Bounds of counts of tokens; same source.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Everything that is counted.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    tokens: Family<TokenLabels, Histogram>,
    parts: Family<PartLabels, Counter>,
    cost: Family<ModelLabels, Counter<f64, std::sync::atomic::AtomicU64>>,
    attempts: Counter,
    duration: Family<ModelLabels, Histogram>,
    first_token: Family<ModelLabels, Histogram>,
    models: Mutex<HashSet<Arc<str>>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    format: &'static str,
    gen_ai_operation_name: &'static str,
    provider: String,
    gen_ai_provider_name: String,
    gen_ai_request_model: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusalLabels {
    format: &'static str,
    error_type: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TokenLabels {
    gen_ai_operation_name: &'static str,
    provider: String,
    gen_ai_provider_name: String,
    gen_ai_request_model: String,
    gen_ai_token_type: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PartLabels {
    provider: String,
    gen_ai_provider_name: String,
    gen_ai_request_model: String,
    part: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CredentialLabels {
    provider: String,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ModelLabels {
    provider: String,
    gen_ai_provider_name: String,
    gen_ai_request_model: String,
}

fn times() -> Histogram {
    Histogram::new(SECONDS)
}

fn amounts() -> Histogram {
    Histogram::new(TOKENS)
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let timed = || Family::<ModelLabels, Histogram>::new_with_constructor(times as fn() -> Histogram);
        let (requests, parts, cost) = (Family::default(), Family::default(), Family::default());
        let tokens = Family::<TokenLabels, Histogram>::new_with_constructor(amounts as fn() -> Histogram);
        let (refusals, attempts) = (Family::default(), Counter::default());
        let (duration, first_token) = (timed(), timed());
        registry.register("cliproxy_requests", "Requests, by how they ended", requests.clone());
        registry.register("cliproxy_refusals", "Requests that nobody was asked for", refusals.clone());
        registry.register("cliproxy_attempts", "Requests to upstreams", attempts.clone());
        registry.register(
            "gen_ai_client_token_usage",
            "Tokens of requests, read and written",
            tokens.clone(),
        );
        registry.register("cliproxy_token_parts", "Tokens among those that were special", parts.clone());
        registry.register("cliproxy_cost", "Costs by the configured prices", cost.clone());
        registry.register_with_unit(
            "gen_ai_server_request_duration",
            "From a request to the end of its answer",
            Unit::Seconds,
            duration.clone(),
        );
        registry.register_with_unit(
            "gen_ai_server_time_to_first_token",
            "From a request to the first content of its answer",
            Unit::Seconds,
            first_token.clone(),
        );
        let models = Mutex::default();
        Self { registry, requests, refusals, tokens, parts, cost, attempts, duration, first_token, models }
    }
}

impl Metrics {
    pub(super) fn record(&self, record: &Record) {
        let house = record.provider.as_deref().unwrap_or("none");
        let (provider, name) = (house.to_owned(), provider_name(house).to_owned());
        let model = self.bounded(record.upstream_model.as_ref());
        let usage = &record.usage;
        let operation = operation(record.operation);
        self.requests
            .get_or_create(&RequestLabels {
                format: record.format.name(),
                gen_ai_operation_name: operation,
                provider: provider.clone(),
                gen_ai_provider_name: name.clone(),
                gen_ai_request_model: model.clone(),
                outcome: record.outcome.word(),
            })
            .inc();
        self.attempts.inc_by(u64::from(record.attempts));
        for (kind, count) in [("input", usage.input), ("output", usage.output)] {
            let Some(count) = count.filter(|count| *count > 0) else { continue };
            let labels = TokenLabels {
                gen_ai_operation_name: operation,
                provider: provider.clone(),
                gen_ai_provider_name: name.clone(),
                gen_ai_request_model: model.clone(),
                gen_ai_token_type: kind,
            };
            #[expect(clippy::cast_precision_loss, reason = "counts of tokens are far below")]
            self.tokens.get_or_create(&labels).observe(count as f64);
        }
        for (part, count) in [
            ("reasoning", usage.reasoning),
            ("cache_read", usage.cache_read),
            ("cache_write", usage.cache_write),
        ] {
            let Some(count) = count.filter(|count| *count > 0) else { continue };
            let labels = PartLabels {
                provider: provider.clone(),
                gen_ai_provider_name: name.clone(),
                gen_ai_request_model: model.clone(),
                part,
            };
            self.parts.get_or_create(&labels).inc_by(count);
        }
        let labels = ModelLabels { provider, gen_ai_provider_name: name, gen_ai_request_model: model };
        if let Some(cost) = record.cost {
            self.cost.get_or_create(&labels).inc_by(cost);
        }
        // A count of tokens is no answer, and would make them look fast.
        if record.operation == Operation::CountTokens {
            return;
        }
        self.duration.get_or_create(&labels).observe(record.total.as_secs_f64());
        if let Some(first) = record.first_byte {
            self.first_token.get_or_create(&labels).observe(first.as_secs_f64());
        }
    }

    pub(super) fn rejected(&self, format: Format, kind: Kind) {
        self.refusals.get_or_create(&RefusalLabels { format: format.name(), error_type: kind.word() }).inc();
    }

    /// The name of a model, as long as there are not too many.
    fn bounded(&self, model: Option<&Arc<str>>) -> String {
        let Some(model) = model else { return "none".to_owned() };
        let mut known = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(model) {
            return model.as_ref().to_owned();
        }
        if known.len() >= MODELS {
            return OTHER.to_owned();
        }
        known.insert(Arc::clone(model));
        model.as_ref().to_owned()
    }
}

/// The numbers, for this machine or with a client key.
pub(crate) async fn scrape(State(app): State<App>, request: Request) -> Response {
    let Some(metrics) = app.telemetry.metrics() else { return crate::api::not_found(request).await };
    let (head, _body) = request.into_parts();
    let snapshot = app.engine.snapshot();
    let is_here = Origin::of(&head, &snapshot.settings.management.trusted_proxies).is_here();
    let has_key = || {
        snapshot.access.is_required() && snapshot.access.admit(&head.headers, head.uri.query(), now()).is_ok()
    };
    if !is_here && !has_key() {
        return crate::api::not_found(Request::from_parts(head, Body::empty())).await;
    }
    let mut text = String::new();
    let written = encode(&mut text, &metrics.registry).and_then(|()| {
        let end = text.strip_suffix("# EOF\n").map(str::len);
        text.truncate(end.unwrap_or(text.len()));
        census(&mut text, &app)
    });
    let mut response = Response::new(Body::from(if written.is_ok() { text } else { String::new() }));
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// How accounts and keys stand at this moment.
fn census(text: &mut String, app: &App) -> fmt::Result {
    let mut registry = Registry::default();
    let standing = Family::<CredentialLabels, Gauge>::default();
    for ((provider, state), count) in app.engine.census() {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        standing.get_or_create(&CredentialLabels { provider, state }).set(count);
    }
    registry.register("cliproxy_credentials", "Accounts and keys, by how they stand", standing);
    encode(text, &registry)
}
