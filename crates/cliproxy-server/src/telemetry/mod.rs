//! What other programs are told of requests: numbers for Prometheus, traces for a collector.
//!
//! Both are sinks of records and off unless configured; then a request costs two atomic reads. Names follow the semantic
//! conventions for generative AI of OpenTelemetry. Nothing of what is asked and answered leaves, nor any key.

mod metrics;
mod spans;

pub(crate) use metrics::scrape;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use cliproxy_core::Engine;
use cliproxy_core::config::settings;
use cliproxy_core::provider::Operation;
use cliproxy_core::usage::{Attempted, Record, Rejected, Sink};
use cliproxy_wire::Format;
use cliproxy_wire::fault::Kind;

use metrics::Metrics;
use spans::Spans;

/// What other programs are told. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Telemetry(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    metrics: ArcSwapOption<Metrics>,
    spans: ArcSwapOption<Spans>,
}

impl Telemetry {
    /// Does as the settings say, from now on. What was counted goes on.
    pub fn apply(&self, engine: &Engine, settings: &settings::Telemetry) {
        match (settings.prometheus, self.0.metrics.load().is_some()) {
            (true, false) => self.0.metrics.store(Some(Arc::default())),
            (false, true) => self.0.metrics.store(None),
            _ => {}
        }
        let known = self.0.spans.load();
        if known.as_ref().map(|spans| spans.collector()) == settings.otlp.as_ref() {
            return;
        }
        if let Some(known) = &*known {
            known.end();
        }
        let spans = settings.otlp.clone().map(|otlp| Arc::new(Spans::new(otlp)));
        self.0.spans.store(spans.clone());
        if let Some(spans) = spans {
            let sending = engine.clone();
            engine.spawn("traces", async move { spans.keep(sending).await });
        }
    }

    /// Sends what is still to be sent, at the end of the process.
    pub async fn finish(&self, engine: &Engine) {
        let spans = self.0.spans.load_full();
        if let Some(spans) = spans {
            spans.flush(engine).await;
        }
    }

    /// Counts a request for what is no route.
    pub(crate) fn missed(&self, format: Format, kind: Kind) {
        if let Some(metrics) = &*self.0.metrics.load() {
            metrics.rejected(format, kind);
        }
    }

    fn metrics(&self) -> Option<Arc<Metrics>> {
        self.0.metrics.load_full()
    }
}

impl Sink for Telemetry {
    fn record(&self, record: &Record) {
        if let Some(metrics) = &*self.0.metrics.load() {
            metrics.record(record);
        }
        if let Some(spans) = &*self.0.spans.load() {
            spans.record(record);
        }
    }

    fn attempted(&self, attempted: &Attempted<'_>) {
        if let Some(spans) = &*self.0.spans.load() {
            spans.attempted(attempted);
        }
    }

    fn rejected(&self, rejected: &Rejected<'_>) {
        if let Some(metrics) = &*self.0.metrics.load() {
            metrics.rejected(rejected.format, rejected.fault.kind);
        }
        // Strangers could push out what somebody needs.
        if let Some(spans) = self.0.spans.load().as_ref().filter(|_| rejected.is_admitted) {
            spans.rejected(rejected);
        }
    }
}

/// Whose models a provider asks for. Source: the semantic conventions for generative AI, where they have a name for it.
fn provider_name(provider: &str) -> &str {
    match provider {
        "claude" => "anthropic",
        "codex" => "openai",
        "gemini" => "gcp.gemini",
        "vertex" => "gcp.vertex_ai",
        "gemini-cli" | "antigravity" | "aistudio" => "gcp.gen_ai",
        "xai" => "x_ai",
        "mistral" => "mistral_ai",
        other => other,
    }
}

/// The name of what is asked. Source: the semantic conventions for generative AI, which have none for counts.
fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Generate | Operation::Stream | Operation::Compact => "chat",
        Operation::CountTokens => "count_tokens",
        Operation::Embed | Operation::EmbedBatch => "embeddings",
        Operation::Predict | Operation::Draw | Operation::Redraw => "generate_content",
    }
}
