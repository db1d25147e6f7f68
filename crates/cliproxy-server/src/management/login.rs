//! Logins from a browser: begun here, followed by polling, finished by a callback; and imports of what needs no browser.

use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use cliproxy_core::oauth::desk::{self, NotTaken, Standing};
use cliproxy_core::oauth::login::Options;
use cliproxy_core::oauth::session::Session;
use cliproxy_core::oauth::{Grant, Login};
use cliproxy_core::provider::{LOGINS, import_service_account};
use cliproxy_wire::form;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Outcome, Refusal, ok};
use super::{Ask, Endpoint, endpoint};
use crate::App;
use crate::clock::now;

/// A login that panels know.
struct Known {
    path: &'static str,
    /// Its name on the command line.
    login: &'static str,
    /// Words that panels have for the provider.
    words: &'static [&'static str],
    about: &'static str,
}

static KNOWN: [Known; 8] = [
    Known {
        path: "/anthropic-auth-url",
        login: "claude-login",
        words: &["anthropic", "claude"],
        about: "Begins a login of Claude",
    },
    Known {
        path: "/codex-auth-url",
        login: "codex-login",
        words: &["codex", "openai"],
        about: "Begins a login of Codex",
    },
    Known {
        path: "/gemini-cli-auth-url",
        login: "login",
        words: &["gemini", "google", "gemini-cli"],
        about: "Begins a login of Gemini CLI; `project_id` chooses a project",
    },
    Known {
        path: "/antigravity-auth-url",
        login: "antigravity-login",
        words: &["antigravity", "anti-gravity"],
        about: "Begins a login of Antigravity",
    },
    Known {
        path: "/iflow-auth-url",
        login: "iflow-login",
        words: &["iflow", "i-flow"],
        about: "Begins a login of iFlow",
    },
    Known { path: "/qwen-auth-url", login: "qwen-login", words: &["qwen"], about: "Begins a login of Qwen" },
    Known { path: "/kimi-auth-url", login: "kimi-login", words: &["kimi"], about: "Begins a login of Kimi" },
    Known { path: "/xai-auth-url", login: "xai-login", words: &["xai"], about: "Begins a login of xAI" },
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut list: Vec<Endpoint> = KNOWN
        .iter()
        .map(|known| {
            endpoint(Method::GET, known.path, known.about, move |ask| async move { begin(&ask, known).await })
        })
        .collect();
    list.extend([
        endpoint(Method::GET, "/get-auth-status", "How a login stands, by `state`", standing)
            .asks(&[("state", "of the login")]),
        endpoint(Method::GET, "/oauth-callback", "Hands in a callback; the `state` is the key", callback)
            .open(),
        endpoint(Method::POST, "/oauth-callback", "Hands in a callback that a person pasted", callback)
            .open(),
        endpoint(Method::DELETE, "/oauth-session", "Gives a login up, by `state`", abandon)
            .asks(&[("state", "of the login")]),
        endpoint(Method::POST, "/iflow-auth-url", "Logs in to iFlow with a cookie", with_cookie),
        endpoint(
            Method::POST,
            "/vertex/import",
            "Imports a service account: form field `file`, or its JSON as the body",
            import,
        ),
    ]);
    list
}

fn login(name: &str) -> Result<&'static Login, Refusal> {
    let found = LOGINS.into_iter().find(|login| login.name == name);
    found.ok_or_else(|| Refusal::missing("unsupported provider"))
}

fn session(login: &'static Login, project: Option<&str>, listens: bool) -> Session {
    Session { login, port: None, options: Options { project: project.map(str::to_owned) }, listens, now }
}

async fn begin(ask: &Ask, known: &Known) -> Outcome {
    let is_here = ask
        .query("is_webui")
        .is_some_and(|word| ["1", "true", "yes", "on"].contains(&word.to_ascii_lowercase().as_str()));
    let session = session(login(known.login)?, ask.query("project_id"), is_here);
    let begun = ask.console.desk.begin(&ask.app.engine, session).await;
    let begun = begun.map_err(|why| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why))?;
    let mut body = json!({"status": "ok", "url": begun.url, "state": begun.state});
    if let (Some(code), Value::Object(body)) = (begun.code, &mut body) {
        body.insert("user_code".to_owned(), Value::from(code));
    }
    Ok(ok(&body))
}

fn error(status: StatusCode, text: &str) -> Refusal {
    Refusal::with(status, json!({"status": "error", "error": text}))
}

async fn standing(ask: Ask) -> Outcome {
    let Some(state) = ask.query("state") else { return Ok(ok(&json!({"status": "ok"}))) };
    if !desk::is_state(state) {
        return Err(error(StatusCode::BAD_REQUEST, "invalid state"));
    }
    Ok(ok(&match ask.console.desk.standing(state) {
        Some(Standing::Waiting | Standing::Answered) => json!({"status": "wait"}),
        Some(Standing::Done) => json!({"status": "ok"}),
        Some(Standing::Failed(why)) => json!({"status": "error", "error": why}),
        None => json!({"status": "error", "error": "unknown or expired state"}),
    }))
}

#[derive(Deserialize)]
struct Pasted {
    provider: Option<String>,
    redirect_url: Option<String>,
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

async fn callback(ask: Ask) -> Outcome {
    let bad = |text| error(StatusCode::BAD_REQUEST, text);
    let told = |name: &str| ask.query(name).map(str::to_owned);
    // An address carries the same in its query.
    let pasted = if ask.body.is_empty() && !ask.query.is_empty() {
        Pasted {
            provider: told("provider"),
            redirect_url: None,
            code: told("code"),
            state: told("state"),
            error: told("error"),
        }
    } else {
        ask.json().map_err(|_malformed| bad("invalid body"))?
    };
    let provider = match pasted.provider.as_deref().map(str::trim).filter(|word| !word.is_empty()) {
        None => None,
        Some(word) => {
            let word = word.to_ascii_lowercase();
            let known = KNOWN.iter().find(|known| known.words.contains(&word.as_str()));
            Some(login(known.ok_or_else(|| bad("unsupported provider"))?.login)?.provider)
        }
    };
    let (mut code, mut state, mut failure) = (pasted.code, pasted.state, pasted.error);
    if let Some(address) = pasted.redirect_url.as_deref().map(str::trim).filter(|url| !url.is_empty()) {
        let url = url::Url::parse(address).map_err(|_malformed| bad("invalid redirect_url"))?;
        for (name, value) in url.query_pairs() {
            let place = match &*name {
                "code" => &mut code,
                "state" => &mut state,
                "error" | "error_description" => &mut failure,
                _ => continue,
            };
            if place.as_deref().is_none_or(|known| known.trim().is_empty()) {
                *place = Some(value.into_owned());
            }
        }
    }
    let filled =
        |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let (code, state, failure) = (filled(code), filled(state), filled(failure));
    let state = state.ok_or_else(|| bad("state is required"))?;
    if !desk::is_state(&state) {
        return Err(bad("invalid state"));
    }
    if code.is_none() && failure.is_none() {
        return Err(bad("code or error is required"));
    }
    let query = query(&state, code.as_deref(), failure.as_deref());
    match ask.console.desk.callback(provider, &state, query).await {
        Ok(()) => Ok(ok(&json!({"status": "ok"}))),
        Err(NotTaken::Unknown) => Err(error(StatusCode::NOT_FOUND, "unknown or expired state")),
        Err(NotTaken::OtherProvider) => Err(bad("provider does not match state")),
        Err(NotTaken::NotPending) => Err(error(StatusCode::CONFLICT, "oauth flow is not pending")),
    }
}

fn query(state: &str, code: Option<&str>, failure: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("state", state);
    if let Some(code) = code {
        query.append_pair("code", code);
    }
    if let Some(failure) = failure {
        query.append_pair("error", failure);
    }
    query.finish()
}

async fn abandon(ask: Ask) -> Outcome {
    let state = ask.query("state").filter(|state| desk::is_state(state));
    let state = state.ok_or_else(|| error(StatusCode::BAD_REQUEST, "invalid state"))?;
    Ok(ok(&json!({"status": "ok", "cancelled": ask.console.desk.abandon(state)})))
}

async fn with_cookie(ask: Ask) -> Outcome {
    #[derive(Deserialize)]
    struct Pasted {
        cookie: Option<String>,
    }
    let bad = |text: &str| error(StatusCode::BAD_REQUEST, text);
    let pasted: Pasted = ask.json().map_err(|_malformed| bad("cookie is required"))?;
    let cookie = pasted.cookie.map(|cookie| cookie.trim().to_owned()).filter(|cookie| !cookie.is_empty());
    let cookie = cookie.ok_or_else(|| bad("cookie is required"))?;
    let session = session(login("iflow-cookie")?, None, false);
    let (grant, saved) = desk::answered(&ask.app.engine, session, &cookie).await.map_err(|why| bad(&why))?;
    let member = |name: &str| of(&grant, name);
    Ok(ok(&json!({
        "status": "ok",
        "saved_path": saved.id,
        "email": member("email"),
        "expired": member("expired"),
        "type": member("type"),
    })))
}

/// A text that a login writes.
fn of(grant: &Grant, name: &str) -> String {
    let found = grant.changes.iter().find(|(path, _)| *path == [name]);
    found.and_then(|(_, value)| value?.as_str()).unwrap_or_default().to_owned()
}

async fn import(ask: Ask) -> Outcome {
    let mut location = ask.query("location").map(str::to_owned);
    let mut text = ask.body.clone();
    if let Some(boundary) = form::boundary(&ask.headers) {
        let parts = form::parts(&ask.body, &boundary).ok_or_else(|| Refusal::bad("file required"))?;
        let mut file = None;
        for part in parts {
            match part.name.as_str() {
                "file" => file = Some(part.content),
                "location" => {
                    location = std::str::from_utf8(&part.content).ok().map(|text| text.trim().to_owned());
                }
                _ => {}
            }
        }
        text = file.ok_or_else(|| Refusal::bad("file required"))?;
    }
    if text.trim_ascii().is_empty() {
        return Err(Refusal::bad("file required"));
    }
    let account: serde_json::Map<String, Value> =
        serde_json::from_slice(&text).map_err(|_malformed| Refusal::bad("invalid json"))?;
    let is_named =
        account.get("project_id").and_then(Value::as_str).is_some_and(|project| !project.trim().is_empty());
    if !is_named {
        return Err(Refusal::bad("project_id missing"));
    }
    let mut grant = import_service_account(&text, None).map_err(|refusal| {
        Refusal::coded(StatusCode::BAD_REQUEST, "invalid service account", refusal.message)
    })?;
    if let Some(location) = location.filter(|location| !location.is_empty()) {
        grant.changes = grant.changes.set("location", location);
    }
    let saved = ask
        .app
        .engine
        .save_grant(&grant)
        .await
        .map_err(|why| Refusal::coded(StatusCode::INTERNAL_SERVER_ERROR, "save_failed", why))?;
    let file = ask.app.engine.roster(now()).await.into_iter().find(|file| file.id == saved.id);
    let location = of(&grant, "location");
    Ok(ok(&json!({
        "status": "ok",
        "auth-file": file.and_then(|file| file.path).unwrap_or(saved.id),
        "project_id": of(&grant, "project_id"),
        "email": of(&grant, "email"),
        "location": if location.is_empty() { "us-central1" } else { &location },
    })))
}

/// A browser that an identity provider sent to the gateway itself. The state is the key.
pub(crate) async fn returned(State(app): State<App>, OriginalUri(uri): OriginalUri) -> Response {
    let query = uri.query().unwrap_or_default();
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let state = pairs.iter().find(|(name, _)| name == "state").map(|(_, value)| value.as_str());
    let is_taken = match (app.console.as_ref(), state) {
        (Some(console), Some(state)) if desk::is_state(state) => {
            console.desk.callback(None, state, query.to_owned()).await.is_ok()
        }
        _ => false,
    };
    let (status, title, text) = if is_taken {
        (StatusCode::OK, "Login received", "You can close this page.")
    } else {
        (StatusCode::NOT_FOUND, "Unknown login", "No login waits for this address. Begin it again.")
    };
    let mut page = Response::new(Body::from(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><h1>{title}</h1><p>{text}</p></html>"
    )));
    *page.status_mut() = status;
    page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    page
}
