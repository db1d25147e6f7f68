//! The management interface, as control panels use it.

mod access;
mod ampcode;
mod auth_file;
mod call;
mod config;
mod contract;
mod documented;
mod every;
mod explain;
mod history;
mod key_limit;
mod list;
mod live;
mod log;
mod login;
mod model;
mod row;
mod rule;
mod scalar;
mod usage;

use cliproxy_testkit::Gateway;
use contract::Contract;
use http::Method;
use serde_json::{Value, json};

use crate::support::{self, Answer, client, launch, send};

/// A key for this machine only.
const KEY: &str = "panel-key-0001";

/// A gateway with a panel in front of it.
struct Panel {
    gateway: Gateway,
}

impl Panel {
    fn start(config: &str) -> Self {
        Self { gateway: launch().config(config).arguments(&["--password", KEY]).start() }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        client()
            .request(method, format!("{}/v0/management{path}", self.gateway.url()))
            .header("authorization", format!("Bearer {KEY}"))
    }

    /// Sends JSON, or nothing when it is null. What is answered is what the document says.
    async fn send(&self, method: &str, path: &str, body: Value) -> Answer {
        let request = self.request(method, path);
        let answer = if body.is_null() {
            send(request).await
        } else {
            send(request.header("content-type", "application/json").body(body.to_string())).await
        };
        Contract::of(&self.gateway).await.holds(method, path, &answer);
        answer
    }

    /// What a route says.
    async fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", path, Value::Null).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// A change that works.
    async fn done(&self, method: &str, path: &str, body: Value) {
        let answer = self.send(method, path, body).await;
        assert_eq!(answer.json(), json!({"status": "ok"}), "{method} {path}: {}", answer.status);
        assert_eq!(answer.status, 200);
    }

    /// A change that does not, with the text that panels show.
    async fn refused(&self, method: &str, path: &str, body: Value, expected: (u16, &str)) {
        let answer = self.send(method, path, body).await;
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (expected.0, Some(expected.1)),
            "{method} {path}"
        );
    }

    fn file(&self) -> String {
        std::fs::read_to_string(self.gateway.config()).unwrap()
    }
}
