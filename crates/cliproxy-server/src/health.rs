//! Signs of life, for people, scripts and supervisors.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use cliproxy_core::credential::Account;
use http::StatusCode;
use http::request::Parts;

use crate::peer::Origin;
use crate::{App, browser, management, reply};

/// The root document: helper scripts poll it until it answers 200.
pub(crate) fn root(app: &App) -> Response {
    let snapshot = app.engine.snapshot();
    let is_required = snapshot.access.is_required();
    let is_object = snapshot.settings.gemini_cli_proxy.has_root_document;
    reply::json_response(StatusCode::OK, |root| {
        root.str("message", "CLI Proxy API Server");
        if is_object {
            root.object("endpoints", |endpoints| {
                endpoints.str("chat_completions", "/v1/chat/completions");
                endpoints.str("models", "/v1/models");
                endpoints.object("debug", |debug| {
                    debug.str("cache", "/v1/debug/cache");
                    debug.str("token_test", "/v1/token-test");
                    debug.str("full_test", "/v1/test");
                });
            });
        } else {
            root.array("endpoints", |endpoints| {
                for endpoint in ["POST /v1/chat/completions", "POST /v1/completions", "GET /v1/models"] {
                    endpoints.str(endpoint);
                }
            });
        }
        root.str("documentation", "docs/CONFIG.md and config.example.yaml of this program");
        root.str("name", "cliproxy");
        root.str("description", "one gateway for every AI client and every account and key its owner has");
        root.str("version", app.version);
        root.object("authentication", |authentication| {
            authentication.bool("required", is_required);
            authentication
                .str("type", if is_required { "Bearer token in Authorization header" } else { "None" });
        });
        root.array("routes", |routes| {
            for route in [
                "GET /health",
                "GET /healthz",
                "GET /readyz",
                "GET /v1/models",
                "POST /v1/chat/completions",
                "POST /v1/completions",
                "POST /v1/embeddings",
                "POST /v1/images/generations",
                "POST /v1/images/edits",
                "POST /v1/responses",
                "POST /v1/responses/compact",
                "/backend-api/codex/responses",
                "POST /v1/responses/input_tokens",
                "POST /v1/messages",
                "POST /v1/messages/count_tokens",
                "GET /v1beta/models",
                "POST /v1beta/models/{model}:generateContent",
                "POST /v1beta/models/{model}:streamGenerateContent",
                "POST /v1beta/models/{model}:countTokens",
                "POST /v1beta/models/{model}:embedContent",
                "POST /v1beta/models/{model}:batchEmbedContents",
                "POST /v1beta/models/{model}:predict",
                "/v1internal:{method}",
                "GET /v1/debug/cache",
                "POST /v1/token-test",
                "POST /v1/test",
                "/api/provider/{provider}/...",
            ] {
                routes.str(route);
            }
        });
    })
}

pub(crate) async fn health() -> Response {
    #[expect(clippy::disallowed_methods, reason = "a health check tells the time of the machine")]
    let now = jiff::Timestamp::try_from(std::time::SystemTime::now()).unwrap_or_default();
    reply::json_response(StatusCode::OK, |root| {
        root.str("status", "ok");
        root.str("timestamp", &format!("{now:.3}"));
    })
}

pub(crate) async fn alive() -> Response {
    reply::json_response(StatusCode::OK, |root| root.str("status", "ok"))
}

/// What people have to do about accounts, by provider. It does not make the gateway unready, because the others serve;
/// whose accounts they are is not for everybody who may ask.
fn attention<'a>(accounts: impl Iterator<Item = &'a Arc<Account>>) -> Vec<String> {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for account in accounts {
        let record = account.record();
        let (dead, unsaved) = counts.entry(record.provider().to_owned()).or_default();
        *dead += usize::from(!account.is_well() && !record.is_disabled());
        *unsaved += usize::from(account.has_unsaved());
    }
    let mut texts = Vec::new();
    for (provider, (dead, unsaved)) in counts {
        if dead > 0 {
            texts.push(format!(
                "{provider}: accounts that need attention: {dead}; the log says which and what to do"
            ));
        }
        if unsaved > 0 {
            texts.push(format!(
                "{provider}: renewed tokens that are not saved yet: {unsaved}; make the auth directory writable"
            ));
        }
    }
    texts
}

/// Whether somebody on this machine asks, and no page of a site elsewhere for them, or somebody with the management key.
async fn is_owner(app: &App, head: &Parts) -> bool {
    let is_here = Origin::of(head, &app.engine.snapshot().settings.management.trusted_proxies).is_here();
    (is_here && !browser::is_foreign_page(head)) || management::shows_key(app, head).await
}

/// Whether the gateway can serve, and if not, why. Whoever is not its owner is not told where its files lie.
pub(crate) async fn ready(State(app): State<App>, request: Request) -> Response {
    let (head, _body) = request.into_parts();
    let mut problems = app.readiness.problems(is_owner(&app, &head).await);
    let is_serving = !app.engine.snapshot().routes.listed().is_empty();
    if !is_serving {
        problems.push("no model is configured: add a key to config.yaml, or start with --demo".to_owned());
    }
    let attention = attention(app.engine.accounts().values());
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply::json_response(status, |root| {
        root.str("status", if problems.is_empty() { "ok" } else { "degraded" });
        root.array("problems", |list| {
            for problem in &problems {
                list.str(problem);
            }
        });
        if !attention.is_empty() {
            root.array("attention", |list| {
                for text in &attention {
                    list.str(text);
                }
            });
        }
    })
}
