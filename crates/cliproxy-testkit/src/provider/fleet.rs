//! A simulated provider of every format, and a window through which test programs in other languages see what arrived.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::FutureExt as _;
use http::StatusCode;
use serde_json::{Value, json};

use super::{Provider, fault};
use crate::Received;

/// One provider of each format.
///
/// A gateway with [`Fleet::config`] offers the model `FORMAT-up` of each provider, and `FORMAT-FAULT` for each of its
/// [faults](fault).
pub struct Fleet {
    providers: Arc<[(&'static str, &'static str, Provider)]>,
    window: String,
}

impl Fleet {
    /// Starts all of them.
    pub async fn start() -> Self {
        let providers: Arc<[_]> = Arc::new([
            ("chat", "gpt-oss-120b", Provider::chat().await),
            ("responses", "gpt-5.2", Provider::responses().await),
            ("claude", "claude-sonnet-4-5", Provider::claude().await),
            ("gemini", "gemini-3-flash", Provider::gemini().await),
        ]);
        let app = Router::new()
            .route("/{provider}/received", get(received))
            .route("/{provider}/dropped", get(dropped))
            .route("/{provider}/forget", post(forget))
            .with_state(Arc::clone(&providers));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let window = format!("http://{}", listener.local_addr().expect("a bound address"));
        #[expect(clippy::disallowed_methods, reason = "the server lives as long as the test's runtime")]
        drop(tokio::spawn(async move { axum::serve(listener, app).await.expect("the window is open") }));
        Self { providers, window }
    }

    /// The configuration of a gateway that takes `key` and offers every provider's models. A refusal reaches the client
    /// as it is: nothing is tried again and no key rests.
    pub fn config(&self, key: &str) -> String {
        let mut config = format!("api-keys: [{key}]\nrequest-retry: 0\ndisable-cooling: true\n");
        for (format, model, provider) in self.providers.iter() {
            let mut aliases = vec![(*model, format!("{format}-up"))];
            aliases.extend(fault::ALL.map(|fault| (fault, format!("{format}-{fault}"))));
            let models: Vec<(&str, &str)> =
                aliases.iter().map(|(name, alias)| (*name, alias.as_str())).collect();
            config.push_str(&provider.config(&models));
        }
        config
    }

    /// The base address of the window. Under the name of each format:
    ///
    /// * `GET received` lists the requests that arrived, each with `path`, `headers` and `body`;
    /// * `POST forget` forgets which answers were let go;
    /// * `GET dropped` answers when the next answer is let go before its end.
    pub fn window(&self) -> &str {
        &self.window
    }
}

type Providers = State<Arc<[(&'static str, &'static str, Provider)]>>;

fn find<'a>(providers: &'a Providers, wanted: &str) -> Result<&'a Provider, StatusCode> {
    let found = providers.0.iter().find(|(format, _, _)| *format == wanted);
    found.map(|(_, _, provider)| provider).ok_or(StatusCode::NOT_FOUND)
}

async fn received(Path(format): Path<String>, providers: Providers) -> Result<Json<Value>, StatusCode> {
    let received = find(&providers, &format)?.upstream().received();
    Ok(Json(received.iter().map(show).collect()))
}

fn show(received: &Received) -> Value {
    let headers = received.headers.iter();
    let headers: serde_json::Map<String, Value> = headers
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    let body: Value = serde_json::from_slice(&received.body)
        .unwrap_or_else(|_| json!(String::from_utf8_lossy(&received.body)));
    json!({"path": received.path, "headers": headers, "body": body})
}

async fn dropped(Path(format): Path<String>, providers: Providers) -> Result<(), StatusCode> {
    find(&providers, &format)?.upstream().dropped().await;
    Ok(())
}

async fn forget(Path(format): Path<String>, providers: Providers) -> Result<(), StatusCode> {
    let provider = find(&providers, &format)?;
    while provider.upstream().dropped().now_or_never().is_some() {}
    Ok(())
}
