//! The routes of the Amp command line and its editor extensions, which are pointed at this server instead of Amp's.
//!
//! Model calls (`/api/provider/{provider}/…`, in every format) are served by the accounts and keys that are here: by the
//! model's own name, by the name that a mapping puts in its place, and, where neither is known, by the configured
//! control plane at the cost of Amp credits. Everything else (accounts, threads, pages) is the control plane's and is
//! passed on. Which of them, says [`choice`]; how, [`forward`]; with which key, [`secret`]; what Amp's programs need
//! changed in a body, [`quirk`]. Serving itself is [`call`]'s business.

mod choice;
mod control;
mod forward;
mod quirk;
mod secret;

pub(crate) use control::is_control;
pub(crate) use secret::Secrets;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, any, get, post};
use bytes::Bytes;
use cliproxy_core::access::Caller;
use cliproxy_core::provider::Operation;
use cliproxy_core::snapshot::Snapshot;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::lane::Peek;
use cliproxy_wire::{Format, form, lane};
use http::request::Parts;
use http::{Method, StatusCode};

use self::choice::Choice;
use super::Place;
use super::call::{self, Refusal, Route};
use super::model::{self, Shape};
use crate::clock::now;
use crate::{App, encoding, reply};

/// All routes of Amp's programs. They are there whatever is configured, so that a reload needs no other router.
pub(super) fn routes() -> Router<App> {
    let below = |path: &str| format!("/api/provider/{{provider}}{path}");
    let mut router = control::routes()
        .route("/api/provider/google/v1beta1/{*path}", any(google))
        .route(&below("/v1/messages"), calls(Format::Claude, Operation::Generate))
        .route(&below("/v1/messages/count_tokens"), calls(Format::Claude, Operation::CountTokens))
        .route(&below("/v1beta/models"), get(model::list_gemini))
        .route(&below("/v1beta/models/{*model}"), get(one_gemini).post(gemini))
        .route(&below("/v1/models/{*model}"), get(one).post(gemini));
    // Amp says the version for some providers and leaves it out for others.
    for version in ["", "/v1"] {
        let below = |path: &str| format!("/api/provider/{{provider}}{version}{path}");
        router = router
            .route(&below("/models"), get(models))
            .route(&below("/chat/completions"), calls(Format::Chat, Operation::Generate))
            .route(&below("/completions"), post(completions))
            .route(&below("/embeddings"), calls(Format::Chat, Operation::Embed))
            .route(&below("/images/generations"), calls(Format::Chat, Operation::Draw))
            .route(&below("/images/edits"), calls(Format::Chat, Operation::Redraw))
            .route(&below("/responses"), calls(Format::Responses, Operation::Generate))
            .route(&below("/responses/compact"), calls(Format::Responses, Operation::Compact))
            .route(&below("/responses/input_tokens"), calls(Format::Responses, Operation::CountTokens));
    }
    router
}

/// A route that serves one operation of a format.
fn calls(format: Format, operation: Operation) -> MethodRouter<App> {
    post(move |State(app): State<App>, request: Request| serve(app, Route::new(format, operation), request))
}

async fn completions(State(app): State<App>, request: Request) -> Response {
    let route = Route { is_legacy: true, ..Route::new(Format::Chat, Operation::Generate) };
    serve(app, route, request).await
}

/// The shape of what is said about models. It follows from the path alone: Amp's programs send no header that would tell.
fn shape_of(provider: &str) -> Shape {
    match provider {
        "anthropic" => Shape::Claude,
        "google" => Shape::Gemini,
        _ => Shape::OpenAi,
    }
}

async fn models(State(app): State<App>, Place(provider): Place<String>, request: Request) -> Response {
    model::listing(&app, shape_of(&provider), &request)
}

async fn one(
    State(app): State<App>,
    Place((provider, model)): Place<(String, String)>,
    request: Request,
) -> Response {
    model::single(&app, shape_of(&provider), &model, &request)
}

async fn one_gemini(
    State(app): State<App>,
    Place((_provider, model)): Place<(String, String)>,
    request: Request,
) -> Response {
    model::single(&app, Shape::Gemini, &model, &request)
}

async fn gemini(
    State(app): State<App>,
    Place((_provider, rest)): Place<(String, String)>,
    request: Request,
) -> Response {
    method(app, &rest, request).await
}

/// The paths of Vertex: calls of models in the middle of them are served, everything else is the control plane's.
async fn google(State(app): State<App>, Place(path): Place<String>, request: Request) -> Response {
    if request.method() != Method::POST || !path.contains("models/") {
        return control::pass(app, request).await;
    }
    match path.rsplit_once("models/") {
        Some((_, rest)) if rest.contains(':') && !rest.starts_with(':') => method(app, rest, request).await,
        _ => {
            let (head, body) = request.into_parts();
            encoding::drain(&head.headers, body).await;
            reply::json_response(StatusCode::BAD_REQUEST, |root| {
                root.str("error", "Invalid Gemini API path format");
            })
        }
    }
}

/// `{model}:{method}`. A method that is not served here is the control plane's, too, and so is what is no conversation:
/// Amp's own models do it.
async fn method(app: App, rest: &str, request: Request) -> Response {
    let has_control = app.engine.snapshot().settings.amp.upstream.is_some();
    let known = super::gemini_operation(rest);
    let served = known.filter(|(_, operation)| operation.is_conversation() || !has_control);
    let Some((model, operation)) = served else {
        if !has_control {
            return super::not_found(request).await;
        }
        let model = rest.rsplit_once(':').map_or(rest, |(model, _)| model);
        let caller = app.engine.snapshot().access.admit(request.headers(), request.uri().query(), now());
        return match caller.ok().and_then(|caller| withheld(&caller, model)) {
            Some(fault) => super::refuse(request, &fault).await,
            None => control::pass(app, request).await,
        };
    };
    serve(app, Route { model: Some(model), ..Route::new(Format::Gemini, operation) }, request).await
}

/// Serves one call, here or there.
async fn serve(app: App, route: Route, request: Request) -> Response {
    let id = call::request_id();
    let format = route.format;
    match run(&app, route, request, &id).await {
        Ok(response) => response,
        Err(refusal) => Box::pin(refusal.answer(&app, format, &id)).await,
    }
}

async fn run(app: &App, mut route: Route, request: Request, id: &Arc<str>) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let head = Box::new(head);
    let snapshot = app.engine.snapshot();
    let caller = match route.admit(&snapshot, &head) {
        Ok(caller) => caller,
        Err(fault) => {
            encoding::drain(&head.headers, body).await;
            return Err(fault.into());
        }
    };
    if let Err(fault) = route.check(&head) {
        encoding::drain(&head.headers, body).await;
        return Err(Refusal::unread(fault, head, caller));
    }
    let limit = usize::try_from(snapshot.settings.max_request_body_bytes).unwrap_or(usize::MAX);
    let packed = match encoding::read_packed(&head.headers, body, limit).await {
        Ok(packed) => packed,
        Err(fault) => return Err(Refusal::unread(fault, head, caller)),
    };
    let body = match encoding::unpacked(&head.headers, packed.clone(), limit).await {
        Ok(body) => body,
        Err(fault) => return Err(Refusal::unread(fault, head, caller)),
    };
    let requested = requested(&route, &head, &body);
    let choice = match &requested {
        Some(model) => choice::choose(&snapshot, model),
        // Whoever serves calls says what is missing.
        None => Choice::Local,
    };
    if let Some(model) = &requested {
        choice.log(model, head.uri.path());
    }
    match choice {
        Choice::Upstream => {
            if let Some(fault) = withheld(&caller, requested.as_deref().unwrap_or_default()) {
                return Err(fault.into());
            }
            let sender = forward::Sender { caller: &caller, may_use_key: true };
            return Ok(forward::forward(app, &snapshot, &head, packed, sender).await);
        }
        Choice::Mapped(target) => {
            route.model = Some(target);
            route.shown = requested.as_deref().map(Into::into);
        }
        Choice::Local | Choice::Nobody => {}
    }
    let amp = &snapshot.settings.amp;
    let is_withheld = withheld(&caller, requested.as_deref().unwrap_or_default()).is_some();
    if !amp.upstream_when_exhausted || amp.upstream.is_none() || is_withheld {
        return here(app, route, head, body, caller, (id, requested.as_deref())).await;
    }
    let (kept, owner) = (head.clone(), caller.clone());
    let answer = here(app, route, head, body, caller, (id, requested.as_deref())).await;
    if !answer.as_ref().is_err_and(Refusal::is_exhausted) {
        return answer;
    }
    choice::log_exhausted(requested.as_deref().unwrap_or_default(), kept.uri.path());
    let sender = forward::Sender { caller: &owner, may_use_key: true };
    Ok(forward::forward(app, &snapshot, &kept, packed, sender).await)
}

/// Why a client key may not have the control plane serve a model: it is none of its models, or the control plane, by the
/// name `amp`, none of those who may serve it.
fn withheld(caller: &Caller, model: &str) -> Option<Fault> {
    let allowance = caller.allowance.as_ref()?;
    let shown: String = model.chars().take(120).collect();
    let (message, code) = if !allowance.allows_model(model) {
        (format!("this API key may not use the model `{shown}`"), "model_not_allowed")
    } else if !allowance.allows_service("amp") {
        let message = format!("this API key may not use the Amp control plane, which would serve `{shown}`");
        (message, "credential_not_allowed")
    } else {
        return None;
    };
    Some(Fault::new(Kind::Permission, message).with_code(code))
}

/// Serves a call by the accounts and keys that are here.
async fn here(
    app: &App,
    route: Route,
    mut head: Box<Parts>,
    body: Bytes,
    caller: Caller,
    (id, requested): (&Arc<str>, Option<&str>),
) -> Result<Response, Refusal> {
    quirk::request_headers(&mut head.headers);
    if route.format != Format::Claude || route.operation == Operation::CountTokens {
        let answer = call::answer(app, route, head, body, caller, id).await;
        return answer.map(|response| response.map(Body::new));
    }
    let body = quirk::request_body(body);
    let rewriter = rewriter(&app.engine.snapshot(), &route, requested, &body);
    let answer = call::answer(app, route, head, body, caller, id).await;
    answer.map(|response| rewriter.rewrite(response.map(Body::new)))
}

/// The model that a call is for, as its client names it.
fn requested(route: &Route, head: &Parts, body: &Bytes) -> Option<String> {
    let named = match &route.model {
        Some(model) => Some(model.clone()),
        None => match form::boundary(&head.headers) {
            Some(boundary) => Peek::of_form(&form::parts(body, &boundary)?).model,
            None => lane::peek(route.format, body).ok()?.model,
        },
    };
    named.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

fn rewriter(snapshot: &Snapshot, route: &Route, requested: Option<&str>, body: &Bytes) -> quirk::Rewriter {
    let serving = route.model.as_deref().or(requested).unwrap_or_default();
    let is_claude = choice::is_claude(snapshot, serving);
    quirk::Rewriter::new(body, route.model.is_some() || !is_claude)
}
