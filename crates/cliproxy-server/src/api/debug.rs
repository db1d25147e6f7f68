//! What an owner asks about accounts, in the words of Gemini-CLI-Proxy: how tokens stand, and whether they work.
//!
//! A client key is required wherever the model routes require one. Nothing of a token and nobody's name is shown.

use axum::extract::{Request, State};
use axum::response::Response;
use cliproxy_core::engine::TokenState;
use cliproxy_wire::json::Object;
use http::StatusCode;

use super::model::{Shape, denied};
use crate::clock::now;
use crate::{App, reply};

/// How the tokens stand: the one that lasts longest at the top, and all of them in a list.
pub(super) async fn cache(State(app): State<App>, request: Request) -> Response {
    if let Some(denied) = denied(&app, Shape::OpenAi, &request) {
        return denied;
    }
    let states = app.engine.token_states();
    let now = now();
    reply::json_response(StatusCode::OK, |root| {
        root.str("status", "ok");
        match states.first() {
            Some(state) => write(root, state, now),
            None => root.bool("cached", false),
        }
        if !states.iter().any(|state| state.is_cached) {
            root.str("message", "no account has a token");
        }
        root.array("credentials", |list| {
            for state in &states {
                list.object(|object| {
                    object.str("provider", &state.provider);
                    object.str("name", &state.name);
                    write(object, state, now);
                });
            }
        });
    })
}

fn write(object: &mut Object<'_>, state: &TokenState, now: u64) {
    object.bool("cached", state.is_cached);
    if let Some(at) = state.cached_at {
        object.str("cached_at", &stamp(at));
    }
    // Keys made of an account that never ends have nothing more to say.
    let Some(end) = state.expires_at.filter(|_| state.is_cached) else { return };
    object.str("expires_at", &stamp(end));
    object.u64("time_until_expiry_seconds", end.saturating_sub(now));
    object.bool("is_expired", end <= now);
}

fn stamp(seconds: u64) -> String {
    let stamp = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or(i64::MAX)).unwrap_or_default();
    format!("{stamp:.3}")
}

/// Whether some account has a token that works, as far as the provider of the token tells.
pub(super) async fn token_test(State(app): State<App>, request: Request) -> Response {
    if let Some(denied) = denied(&app, Shape::OpenAi, &request) {
        return denied;
    }
    match app.engine.try_tokens(now).await {
        Ok(_) => reply::json_response(StatusCode::OK, |root| {
            root.str("status", "ok");
            root.str("message", "Token authentication successful");
        }),
        Err(failure) => failed(&failure.to_string()),
    }
}

/// The same, and whether there is a project to ask for.
pub(super) async fn full_test(State(app): State<App>, request: Request) -> Response {
    if let Some(denied) = denied(&app, Shape::OpenAi, &request) {
        return denied;
    }
    match app.engine.try_tokens(now).await {
        Ok(has_project) => reply::json_response(StatusCode::OK, |root| {
            root.str("status", "ok");
            root.str(
                "message",
                if has_project {
                    "a token and a project are there"
                } else {
                    "a token is there, a project is not"
                },
            );
            root.bool("project_available", has_project);
        }),
        Err(failure) => failed(&failure.to_string()),
    }
}

fn failed(message: &str) -> Response {
    reply::json_response(StatusCode::INTERNAL_SERVER_ERROR, |root| {
        root.str("status", "error");
        root.str("message", message);
    })
}
