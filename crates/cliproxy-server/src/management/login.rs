//! Logins from a browser: begun here, followed by polling, finished by a callback.

use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use cliproxy_core::desk::{self, FailureCode, NotTaken, Standing};
use cliproxy_core::login::session::{Hold, Session};
use cliproxy_core::oauth::Login;
use cliproxy_core::oauth::login::Options;
use cliproxy_core::provider::LOGINS;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Done, Json, Okay, Outcome, Refusal, done};
use super::route::Parameter;
use super::{Ask, Endpoint, endpoint};
use crate::App;
use crate::clock::now;

/// A login that panels know.
struct Known {
    path: &'static str,
    /// Its name on the command line.
    login: &'static str,
    /// The name of the same login by a code, where both are there.
    device: Option<&'static str>,
    /// Words that panels have for the provider.
    words: &'static [&'static str],
    about: &'static str,
}

/// A login that is by a code alone.
const fn by_code(
    path: &'static str,
    login: &'static str,
    words: &'static [&'static str],
    about: &'static str,
) -> Known {
    Known { path, login, device: Some(login), words, about }
}

static KNOWN: [Known; 8] = [
    Known {
        path: "/anthropic-auth-url",
        login: "claude-login",
        device: None,
        words: &["anthropic", "claude"],
        about: "Begins a login of Claude",
    },
    Known {
        path: "/codex-auth-url",
        login: "codex-login",
        device: Some("codex-device-login"),
        words: &["codex", "openai"],
        about: "Begins a login of Codex; with `device` by a code",
    },
    Known {
        path: "/gemini-cli-auth-url",
        login: "login",
        device: None,
        words: &["gemini", "google", "gemini-cli"],
        about: "Begins a login of Gemini CLI; `project_id` chooses a project",
    },
    Known {
        path: "/antigravity-auth-url",
        login: "antigravity-login",
        device: None,
        words: &["antigravity", "anti-gravity"],
        about: "Begins a login of Antigravity",
    },
    Known {
        path: "/iflow-auth-url",
        login: "iflow-login",
        device: None,
        words: &["iflow", "i-flow"],
        about: "Begins a login of iFlow",
    },
    by_code("/qwen-auth-url", "qwen-login", &["qwen"], "Begins a login of Qwen"),
    by_code("/kimi-auth-url", "kimi-login", &["kimi"], "Begins a login of Kimi"),
    by_code("/xai-auth-url", "xai-login", &["xai"], "Begins a login of xAI"),
];

/// Where a login is followed by its state.
const STATE: Parameter = Parameter::text("state", "of the login");

/// What an address that a browser came back to says.
const CALLBACK: [Parameter; 4] = [
    Parameter::text("provider", "whose login it is"),
    Parameter::text("code", "that the provider gave"),
    STATE,
    Parameter::text("error", "why there is no code"),
];

pub(super) fn endpoints() -> Vec<Endpoint> {
    let mut list: Vec<Endpoint> = KNOWN
        .iter()
        .map(|known| {
            endpoint(Method::GET, known.path, known.about, move |ask| async move { begin(&ask, known).await })
                .asks([
                    Parameter::word("is_webui", "the browser comes back to this machine", YES),
                    Parameter::text("project_id", "the project of a Gemini CLI account"),
                    Parameter::word(
                        "device",
                        "by a code that is typed on any device, where the provider has that",
                        YES,
                    ),
                ])
        })
        .collect();
    list.extend([
        endpoint(Method::GET, "/get-auth-status", "How a login stands, by `state`", standing).asks([STATE]),
        endpoint(Method::GET, "/oauth-callback", "Hands in a callback; the `state` is the key", callback)
            .asks(CALLBACK)
            .reads::<Pasted>()
            .open(),
        endpoint(Method::POST, "/oauth-callback", "Hands in a callback that a person pasted", callback)
            .asks(CALLBACK)
            .reads::<Pasted>()
            .open(),
        endpoint(Method::DELETE, "/oauth-session", "Gives a login up, by `state`", abandon)
            .asks([STATE.required()]),
    ]);
    list
}

pub(super) fn login(name: &str) -> Result<&'static Login, Refusal> {
    let found = LOGINS.into_iter().find(|login| login.name == name);
    found.ok_or_else(|| Refusal::missing("unsupported provider"))
}

pub(super) fn session(login: &'static Login, project: Option<&str>, listens: bool) -> Session {
    let options = Options { project: project.map(str::to_owned) };
    Session { login, port: None, options, listens, hold: Hold::default(), now }
}

/// Words for yes.
const YES: &[&str] = &["1", "true", "yes", "on"];

/// A login that has begun.
#[derive(Serialize, JsonSchema)]
struct Begun {
    status: Okay,
    /// Where a browser goes.
    url: String,
    /// What the login is known by.
    state: String,
    /// What a person enters there.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_code: Option<String>,
}

async fn begin(ask: &Ask, known: &Known) -> Outcome<Json<Begun>> {
    let says_yes =
        |name| ask.query(name).is_some_and(|word| YES.contains(&word.to_ascii_lowercase().as_str()));
    let is_here = says_yes("is_webui");
    let way = if says_yes("device") {
        known
            .device
            .ok_or_else(|| Refusal::bad("this provider has no login by a code; leave `device` out"))?
    } else {
        known.login
    };
    let session = session(login(way)?, ask.query("project_id"), is_here);
    let begun = ask.console.desk.begin(&ask.app.engine, session).await;
    let begun = begun.map_err(|why| Refusal::failed_login(StatusCode::INTERNAL_SERVER_ERROR, None, why))?;
    Ok(Json(Begun { status: Okay::Ok, url: begun.url, state: begun.state, user_code: begun.code }))
}

/// How a login stands.
#[derive(Serialize, JsonSchema)]
struct Progress {
    status: Word,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The kind of the failure: interfaces translate by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<FailureCode>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "LoginStatus")]
enum Word {
    Wait,
    Ok,
    Error,
}

async fn standing(ask: Ask) -> Outcome<Json<Progress>> {
    let told = |status, error| Ok(Json(Progress { status, error, code: None }));
    let Some(state) = ask.query("state") else { return told(Word::Ok, None) };
    if !desk::is_state(state) {
        return Err(Refusal::of_login(StatusCode::BAD_REQUEST, "invalid state"));
    }
    match ask.console.desk.standing(state) {
        Some(Standing::Waiting | Standing::Answered) => told(Word::Wait, None),
        Some(Standing::Done) => told(Word::Ok, None),
        Some(Standing::Failed(why)) => {
            Ok(Json(Progress { status: Word::Error, error: Some(why.message), code: Some(why.code) }))
        }
        None => told(Word::Error, Some("unknown or expired state".to_owned())),
    }
}

/// Where the browser came back to: the whole address, or what it says.
#[derive(Deserialize, JsonSchema)]
#[schemars(extend("examples" = [
    {"provider": "claude", "redirect_url": "http://localhost:54545/callback?code=c&state=s"},
]))]
struct Pasted {
    /// Whose login it is.
    provider: Option<String>,
    redirect_url: Option<String>,
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

async fn callback(ask: Ask) -> Outcome<Json<Done>> {
    let bad = |text: &'static str| Refusal::of_login(StatusCode::BAD_REQUEST, text);
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
        Ok(()) => Ok(done()),
        Err(NotTaken::Unknown) => Err(Refusal::of_login(StatusCode::NOT_FOUND, "unknown or expired state")),
        Err(NotTaken::OtherProvider) => Err(bad("provider does not match state")),
        Err(NotTaken::NotPending) => {
            Err(Refusal::of_login(StatusCode::CONFLICT, "oauth flow is not pending"))
        }
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

/// A login that was given up.
#[derive(Serialize, JsonSchema)]
struct Abandoned {
    status: Okay,
    /// There was one.
    cancelled: bool,
}

async fn abandon(ask: Ask) -> Outcome<Json<Abandoned>> {
    let state = ask.query("state").filter(|state| desk::is_state(state));
    let state = state.ok_or_else(|| Refusal::of_login(StatusCode::BAD_REQUEST, "invalid state"))?;
    Ok(Json(Abandoned { status: Okay::Ok, cancelled: ask.console.desk.abandon(state).await }))
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
