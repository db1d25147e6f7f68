//! The application log on stdout: one line an event, fields as `key=value`.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Changes the level while the process runs.
#[derive(Clone)]
pub(crate) struct Level(reload::Handle<Targets, tracing_subscriber::Registry>);

impl Level {
    /// Shows debug lines of our own crates, or not.
    pub(crate) fn set_debug(&self, is_debug: bool) {
        if let Err(error) = self.0.reload(targets(is_debug)) {
            tracing::warn!("cannot change the log level: {error}");
        }
    }
}

fn targets(is_debug: bool) -> Targets {
    let own = if is_debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("cliproxy", own)
        .with_target("cliproxy_core", own)
        .with_target("cliproxy_server", own)
        .with_target("cli_proxy_api", own)
}

/// Starts logging.
pub(crate) fn start(is_debug: bool) -> Level {
    use std::io::IsTerminal as _;
    let (filter, handle) = reload::Layer::new(targets(is_debug));
    let lines =
        tracing_subscriber::fmt::layer().with_target(false).with_ansi(std::io::stdout().is_terminal());
    tracing_subscriber::registry().with(filter).with(lines).init();
    Level(handle)
}
