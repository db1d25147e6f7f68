//! The routes of Code Assist, for Google's own command line client that is pointed here by `CODE_ASSIST_ENDPOINT`.
//!
//! What generates and what counts is a call like any other, in the Gemini format inside an envelope: any account or key
//! that offers the model serves it. Everything else (tier, project, quota, settings) is asked of Code Assist in the name
//! of one of the accounts. Where there is none, the client is told that it is set up, so that others can serve it.
//!
//! The client knows no keys of ours and signs in with Google. So whoever runs on this machine is let in, by the socket,
//! and behind a proxy by the word of one that is trusted; others need a client key.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use cliproxy_core::access::{Caller, Refused};
use cliproxy_core::engine::Assist;
use cliproxy_core::provider::Operation;
use cliproxy_core::snapshot::Snapshot;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::{Format, lane};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Method, StatusCode};

use super::Place;
use super::call::{self, Refusal, Route};
use crate::clock::now;
use crate::peer::Origin;
use crate::{App, browser, reply};

/// The method that a client calls first, and does nothing without.
const SIGN_IN: &str = ":loadCodeAssist";
/// What the client asks for next, to know which of its features are on trial.
const EXPERIMENTS: &str = ":listExperiments";
/// The tier and project of a client that nobody's account stands behind.
const TIER: &str = "standard-tier";
const PROJECT: &str = "cli-proxy-api";

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1internal:{method}", get(method).post(method))
        // Operations that take long are looked at by name.
        .route("/v1internal/operations/{*name}", get(operation))
}

async fn method(State(app): State<App>, Place(method): Place<String>, request: Request) -> Response {
    let operation = match method.as_str() {
        "generateContent" => Operation::Generate,
        "streamGenerateContent" => Operation::Stream,
        "countTokens" => Operation::CountTokens,
        _ if method.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            return assist(app, format!(":{method}"), request).await;
        }
        _ => return super::not_found(request).await,
    };
    if request.method() != Method::POST {
        return super::wrong_method(State(app), request).await;
    }
    let id = call::request_id();
    let route = Route { is_enveloped: true, ..Route::new(Format::Gemini, operation) };
    let served = async {
        let (head, body, caller) = received(&app, request).await?;
        let answer = call::answer(&app, route, head, body, caller, &id).await;
        answer.map(|response| response.map(Body::new))
    };
    match served.await {
        Ok(response) => response,
        Err(refusal) => Box::pin(refusal.answer(&app, Format::Gemini, &id)).await,
    }
}

async fn operation(State(app): State<App>, Place(name): Place<String>, request: Request) -> Response {
    let is_name = |part: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_plain)
    };
    if !name.split('/').all(is_name) {
        return super::not_found(request).await;
    }
    assist(app, format!("/operations/{name}"), request).await
}

/// Has an account's upstream answer.
async fn assist(app: App, call: String, request: Request) -> Response {
    let id = call::request_id();
    let answered = async {
        let (head, body, _caller) = received(&app, request).await?;
        if head.method == Method::POST {
            lane::peek(Format::Gemini, &body).map_err(Fault::from)?;
        }
        let (is_sign_in, asks_experiments) = (call == SIGN_IN, call == EXPERIMENTS);
        let query = app.engine.snapshot().access.without_keys(head.uri.query().unwrap_or_default());
        let call = if query.is_empty() { call } else { format!("{call}?{query}") };
        let asked = Assist { method: head.method, call, headers: head.headers, body, now };
        match app.engine.assist(&asked).await? {
            Some(answer) => Ok(call::respond(answer, Format::Gemini, &id).map(Body::new)),
            None if is_sign_in => Ok(signed_in()),
            None if asks_experiments => Ok(no_experiments()),
            None => Err(nobody().into()),
        }
    };
    match answered.await {
        Ok(response) => response,
        Err(refusal) => Refusal::answer(refusal, &app, Format::Gemini, &id).await,
    }
}

/// What a client is told without an account: that it has a tier and a project, so that it goes on to models.
fn signed_in() -> Response {
    reply::json_response(StatusCode::OK, |root| {
        let tier = |tier: &mut cliproxy_wire::json::Object<'_>| {
            tier.str("id", TIER);
            tier.str("name", "cli-proxy-api");
            tier.str("description", "models of the accounts and keys of this gateway");
            tier.bool("isDefault", true);
        };
        root.object("currentTier", tier);
        root.array("allowedTiers", |tiers| tiers.object(tier));
        root.str("cloudaicompanionProject", PROJECT);
    })
}

/// None, told in the answer's own shape: a refusal is a warning in the client's log at every start.
fn no_experiments() -> Response {
    reply::json_response(StatusCode::OK, |root| {
        root.array("experimentIds", |_none| {});
        root.array("flags", |_none| {});
    })
}

fn nobody() -> Fault {
    let message = "no Gemini CLI account is there to ask; log in with `cli-proxy-api --login`";
    Fault::new(Kind::NotFound, message)
}

/// A request that was let in and read. The client's own token stays here: it is no key of ours and no upstream's.
async fn received(app: &App, request: Request) -> Result<(Box<Parts>, Bytes, Caller), Refusal> {
    let (mut head, body, caller) =
        call::received(app, call::arrived(request), admit, |head| call::check_media(&head.headers)).await?;
    head.headers.remove(AUTHORIZATION);
    app.engine.snapshot().access.conceal(&mut head.headers);
    Ok((head, body, caller))
}

/// Programs of this machine, and whoever shows a client key. No page of another site is a program of this machine.
fn admit(snapshot: &Snapshot, head: &Parts) -> Result<Caller, Fault> {
    if snapshot.access.is_required() {
        match snapshot.access.admit(&head.headers, head.uri.query(), now()) {
            Ok(caller) => return Ok(caller),
            Err(Refused::Expired) => return Err(call::refused(Refused::Expired)),
            Err(_) => {}
        }
    }
    let origin = Origin::of(head, &snapshot.settings.management.trusted_proxies);
    if origin.is_here() && !browser::is_foreign_page(head) {
        return Ok(Caller::default());
    }
    let message = "these routes serve programs on the gateway's own machine, by localhost or a loopback address; from elsewhere send a client key as `x-goog-api-key` or `?key=`";
    Err(Fault::new(Kind::Permission, message))
}
