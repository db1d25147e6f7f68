//! Client routes: which path is which format and operation, and what is said to a path that is none.

pub(crate) mod amp;
pub(crate) mod call;
mod code_assist;
mod debug;
mod model;
mod page;
mod socket;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, OriginalUri, Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use cliproxy_core::provider::Operation;
use cliproxy_wire::Format;
use cliproxy_wire::fault::{Fault, Kind};
use http::request::Parts;
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;

use crate::{App, encoding, reply};

/// The routes of clients.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/models", get(model::list))
        .route("/v1/models/{*model}", get(model::one).post(gemini))
        .route("/v1beta/models", get(model::list_gemini))
        .route("/v1beta/models/{*model}", get(model::one_gemini).post(gemini))
        .route("/v1/chat/completions", post(chat))
        .route("/chat/completions", post(chat))
        .route("/v1/completions", post(completions))
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/images/generations", post(draw))
        .route("/v1/images/edits", post(redraw))
        .route("/v1/responses", post(responses).get(socket::open))
        .route("/v1/ws", get(page::open))
        .route("/v1/responses/compact", post(compact))
        // Where Codex calls with `chatgpt_base_url`.
        .route("/backend-api/codex/responses", post(responses).get(socket::open))
        .route("/backend-api/codex/responses/compact", post(compact))
        .route("/backend-api/codex/models", get(model::list))
        .route("/v1/responses/input_tokens", post(input_tokens))
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/v1/debug/cache", get(debug::cache))
        .route("/v1/cache", get(debug::cache))
        .route("/v1/token-test", post(debug::token_test))
        .route("/v1/debug/token-test", post(debug::token_test))
        .route("/v1/test", post(debug::full_test))
        .route("/v1/debug/test", post(debug::full_test))
        .merge(code_assist::routes())
        .merge(amp::routes())
}

/// What stands in the places of a route's path. A path that cannot be read is refused in the format that it belongs to.
pub(crate) struct Place<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Place<T> {
    type Rejection = Response;

    async fn from_request_parts(head: &mut Parts, state: &S) -> Result<Self, Response> {
        let read = Path::from_request_parts(head, state).await;
        read.map(|Path(place)| Self(place)).map_err(|_not_text| {
            let message = "the path is not UTF-8 where its percent signs are decoded";
            let fault = Fault::new(Kind::InvalidRequest, message);
            reply::fault(format_of(head.uri.path()), &fault, &call::request_id(), false)
        })
    }
}

/// The format that a path belongs to.
pub(crate) fn format_of(path: &str) -> Format {
    let path = path.trim_end_matches('/');
    let path =
        match path.strip_prefix("/api/provider/").and_then(|rest| rest.find('/').map(|at| rest.split_at(at)))
        {
            Some((_, rest)) => rest,
            None => path,
        };
    if path.starts_with("/v1beta")
        || path.starts_with("/v1internal")
        || (path.starts_with("/v1/models/") && path.contains(':'))
    {
        Format::Gemini
    } else if path == "/v1/messages" || path.starts_with("/v1/messages/") {
        Format::Claude
    } else if path == "/v1/responses"
        || path.starts_with("/v1/responses/")
        || path.starts_with("/backend-api/codex/")
    {
        Format::Responses
    } else {
        Format::Chat
    }
}

async fn chat(State(app): State<App>, request: Request) -> Response {
    serve(app, call::Route::new(Format::Chat, Operation::Generate), request).await
}

async fn completions(State(app): State<App>, request: Request) -> Response {
    let route = call::Route { is_legacy: true, ..call::Route::new(Format::Chat, Operation::Generate) };
    serve(app, route, request).await
}

async fn embeddings(State(app): State<App>, request: Request) -> Response {
    serve(app, call::Route::new(Format::Chat, Operation::Embed), request).await
}

async fn draw(State(app): State<App>, request: Request) -> Response {
    serve(app, call::Route::new(Format::Chat, Operation::Draw), request).await
}

async fn redraw(State(app): State<App>, request: Request) -> Response {
    serve(app, call::Route::new(Format::Chat, Operation::Redraw), request).await
}

async fn responses(State(app): State<App>, request: Request) -> Response {
    serve(app, call::Route::new(Format::Responses, Operation::Generate), request).await
}

async fn compact(State(app): State<App>, request: Request) -> Response {
    serve(app, call::Route::new(Format::Responses, Operation::Compact), request).await
}

async fn input_tokens(State(app): State<App>, request: Request) -> Response {
    serve(app, call::Route::new(Format::Responses, Operation::CountTokens), request).await
}

async fn messages(State(app): State<App>, request: Request) -> Response {
    serve(app, call::Route::new(Format::Claude, Operation::Generate), request).await
}

async fn count_tokens(State(app): State<App>, request: Request) -> Response {
    serve(app, call::Route::new(Format::Claude, Operation::CountTokens), request).await
}

/// `{model}:{method}`; the model may hold slashes and, percent-encoded, anything.
async fn gemini(State(app): State<App>, Place(rest): Place<String>, request: Request) -> Response {
    let Some((model, operation)) = gemini_operation(&rest) else { return missed(&app, request).await };
    let route = call::Route { model: Some(model), ..call::Route::new(Format::Gemini, operation) };
    serve(app, route, request).await
}

async fn serve(app: App, route: call::Route, request: Request) -> Response {
    call::serve(&app, route, call::arrived(request)).await.map(Body::new)
}

/// Model and operation of `{model}:{method}`.
pub(crate) fn gemini_operation(rest: &str) -> Option<(String, Operation)> {
    let (model, method) = rest.rsplit_once(':')?;
    let operation = match method {
        "generateContent" => Operation::Generate,
        "streamGenerateContent" => Operation::Stream,
        "countTokens" => Operation::CountTokens,
        "embedContent" => Operation::Embed,
        "batchEmbedContents" => Operation::EmbedBatch,
        "predict" => Operation::Predict,
        _ => return None,
    };
    Some((model.strip_prefix("models/").unwrap_or(model).to_owned(), operation))
}

/// Says that there is no such route.
pub(crate) async fn not_found(request: Request) -> Response {
    // Whoever has it among the proxies of the system calls so.
    if request.method() == Method::CONNECT {
        let message =
            "the gateway is no proxy; give clients its address as their base URL, such as OPENAI_BASE_URL";
        return refuse(request, &Fault::new(Kind::NotFound, message).with_code("not_found")).await;
    }
    let message = format!("no route {}; GET / lists the routes", shown_path(&request));
    refuse(request, &Fault::new(Kind::NotFound, message).with_code("not_found")).await
}

/// The same for a path that a client may have meant for a call: it is counted.
pub(crate) async fn missed(app: &App, request: Request) -> Response {
    count_missed(app, request.uri().path(), Kind::NotFound);
    not_found(request).await
}

/// Counts what was never a call and may have been meant for one.
pub(crate) fn count_missed(app: &App, path: &str, kind: Kind) {
    if ["/v1/", "/v1beta/", "/api/provider/"].iter().any(|start| path.starts_with(start)) {
        app.telemetry.missed(format_of(path), kind);
    }
}

/// Says which methods a path has.
pub(crate) async fn wrong_method(State(app): State<App>, request: Request) -> Response {
    count_missed(&app, request.uri().path(), Kind::InvalidRequest);
    let message = format!(
        "{} is not a method of {}; the header `allow` names those that are",
        request.method(),
        shown_path(&request)
    );
    refuse(request, &not_allowed(message)).await
}

fn not_allowed(message: String) -> Fault {
    Fault::new(Kind::InvalidRequest, message)
        .with_code("method_not_allowed")
        .with_status(StatusCode::METHOD_NOT_ALLOWED.as_u16())
}

/// The path as the client wrote it, also where the router is mounted below another path.
fn shown_path(request: &Request) -> String {
    let original =
        request.extensions().get::<OriginalUri>().map_or_else(|| request.uri(), |original| &original.0);
    original.path().chars().take(200).collect()
}

/// Says `fault` in the format of the path and takes what the client still sends.
pub(crate) async fn refuse(request: Request, fault: &Fault) -> Response {
    let response = reply::fault(format_of(request.uri().path()), fault, &call::request_id(), false);
    let (head, body) = request.into_parts();
    encoding::drain(&head.headers, body).await;
    response
}

/// What is told when a handler panics that serves no call.
pub(crate) fn panicked(format: Format) -> Response {
    call::broken(format, &call::request_id())
}
