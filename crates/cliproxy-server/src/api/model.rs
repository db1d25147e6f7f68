//! Model listings, in the shape that the asking client reads.
//!
//! One path serves four shapes: Claude's for clients that send `anthropic-version` or are Claude Code, Gemini's for
//! `x-goog-api-key` and under `/v1beta`, Codex's own for a `client_version` in the query, else OpenAI's.

use axum::body::Body;
use axum::extract::{OriginalUri, Request, State};
use axum::response::Response;
use cliproxy_core::access::Caller;
use cliproxy_core::route::Listed;
use cliproxy_wire::Format;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::image::imagen::is_imagen;
use cliproxy_wire::json::{self, Object};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use super::Place;
use super::call::{agent, refused, request_id};
use crate::clock::now;
use crate::{App, reply};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    OpenAi,
    Claude,
    Gemini,
    Codex,
}

impl Shape {
    fn of(request: &Request) -> Self {
        let headers = request.headers();
        let query = request.uri().query().unwrap_or_default();
        if query.split('&').any(|pair| pair.split('=').next() == Some("client_version")) {
            Self::Codex
        } else if headers.contains_key("anthropic-version") || agent(headers).starts_with("claude-cli") {
            Self::Claude
        } else if headers.contains_key("x-goog-api-key") {
            Self::Gemini
        } else {
            Self::OpenAi
        }
    }

    fn format(self) -> Format {
        match self {
            Self::OpenAi => Format::Chat,
            Self::Claude => Format::Claude,
            Self::Gemini => Format::Gemini,
            Self::Codex => Format::Responses,
        }
    }
}

pub(super) async fn list(State(app): State<App>, request: Request) -> Response {
    let shape = Shape::of(&request);
    listing(&app, shape, &request)
}

pub(super) async fn list_gemini(State(app): State<App>, request: Request) -> Response {
    listing(&app, Shape::Gemini, &request)
}

pub(super) async fn one(State(app): State<App>, Place(model): Place<String>, request: Request) -> Response {
    let shape = Shape::of(&request);
    single(&app, shape, &model, &request)
}

pub(super) async fn one_gemini(
    State(app): State<App>,
    Place(model): Place<String>,
    OriginalUri(_uri): OriginalUri,
    request: Request,
) -> Response {
    single(&app, Shape::Gemini, &model, &request)
}

pub(super) fn denied(app: &App, shape: Shape, request: &Request) -> Option<Response> {
    caller(app, shape, request).err().map(|denied| *denied)
}

fn caller(app: &App, shape: Shape, request: &Request) -> Result<Caller, Box<Response>> {
    let snapshot = app.engine.snapshot();
    let admitted = snapshot.access.admit(request.headers(), request.uri().query(), now());
    admitted.map_err(|why| Box::new(reply::fault(shape.format(), &refused(why), &request_id(), false)))
}

pub(super) fn listing(app: &App, shape: Shape, request: &Request) -> Response {
    let caller = match caller(app, shape, request) {
        Ok(caller) => caller,
        Err(denied) => return *denied,
    };
    let listed = app.engine.offered(&app.engine.snapshot(), caller.allowance.as_deref());
    reply::json_response(StatusCode::OK, |root| match shape {
        Shape::OpenAi => {
            root.str("object", "list");
            root.array("data", |data| {
                for model in &listed {
                    data.object(|object| openai(object, model));
                }
            });
        }
        Shape::Claude => {
            root.array("data", |data| {
                for model in &listed {
                    data.object(|object| claude(object, model));
                }
            });
            root.bool("has_more", false);
            root.str("first_id", listed.first().map_or("", |model| &model.id));
            root.str("last_id", listed.last().map_or("", |model| &model.id));
        }
        Shape::Gemini => {
            root.array("models", |models| {
                for model in &listed {
                    models.object(|object| gemini(object, model));
                }
            });
        }
        Shape::Codex => {
            root.array("models", |models| {
                for (rank, model) in listed.iter().enumerate() {
                    models.object(|object| codex(object, model, rank));
                }
            });
        }
    })
}

pub(super) fn single(app: &App, shape: Shape, name: &str, request: &Request) -> Response {
    let caller = match caller(app, shape, request) {
        Ok(caller) => caller,
        Err(denied) => return *denied,
    };
    let snapshot = app.engine.snapshot();
    let wanted = name.strip_prefix("models/").unwrap_or(name);
    let found = snapshot.routes.resolve(wanted);
    let model =
        found.and_then(|found| snapshot.routes.listed().iter().find(|listed| listed.id == found.model));
    let is_allowed = |model: &&Listed| snapshot.allows(caller.allowance.as_deref(), &model.id);
    let Some(model) = model.filter(is_allowed) else {
        let shown: String = wanted.chars().take(120).collect();
        if super::gemini_operation(wanted).is_some() {
            let fault = super::not_allowed(format!("`{shown}` is a call; send it by POST"));
            let mut response = reply::fault(shape.format(), &fault, &request_id(), false);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        let fault = Fault::new(
            Kind::NotFound,
            format!("the model `{shown}` is not known; GET /v1/models lists what is offered"),
        )
        .with_code("model_not_found");
        return reply::fault(shape.format(), &fault, &request_id(), false);
    };
    let mut body = Vec::new();
    json::object(&mut body, |object| match shape {
        Shape::OpenAi => openai(object, model),
        Shape::Claude => claude(object, model),
        Shape::Gemini => gemini(object, model),
        Shape::Codex => codex(object, model, 0),
    });
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn openai(object: &mut Object<'_>, model: &Listed) {
    object.str("id", &model.id);
    object.str("object", "model");
    // SDK types require the member; 0 says "not known" where nothing is.
    object.u64("created", model.created.unwrap_or(0));
    object.str("owned_by", &model.owned_by);
}

/// The members of the service's own listing and those that Claude Code reads of a gateway.
fn claude(object: &mut Object<'_>, model: &Listed) {
    object.str("id", &model.id);
    object.str("type", "model");
    object.str("object", "model");
    object.str("display_name", model.display_name.as_deref().unwrap_or(&model.id));
    object.str("owned_by", &model.owned_by);
    let created = jiff::Timestamp::from_second(i64::try_from(model.created.unwrap_or(0)).unwrap_or(0))
        .unwrap_or_default();
    object.str("created_at", &created.to_string());
}

fn gemini(object: &mut Object<'_>, model: &Listed) {
    let display_name = model.display_name.as_deref().unwrap_or(&model.id);
    object.str("name", &format!("models/{}", model.id));
    object.str("version", "001");
    object.str("displayName", display_name);
    object.str("description", display_name);
    if let Some(limit) = model.input_limit {
        object.u64("inputTokenLimit", limit);
    }
    if let Some(limit) = model.output_limit {
        object.u64("outputTokenLimit", limit);
    }
    object.array("supportedGenerationMethods", |methods| {
        for method in methods_of(&model.id) {
            methods.str(method);
        }
    });
}

/// What may be asked of a model, by the names that Google gives its models.
fn methods_of(model: &str) -> &'static [&'static str] {
    if is_imagen(model) {
        return &["predict", "generateContent", "streamGenerateContent"];
    }
    if model.to_ascii_lowercase().contains("embedding") {
        return &["embedContent", "batchEmbedContents"];
    }
    &["generateContent", "streamGenerateContent", "countTokens"]
}

/// The catalogue of the Codex client. Only the members that it needs to offer a model.
fn codex(object: &mut Object<'_>, model: &Listed, rank: usize) {
    object.str("slug", &model.id);
    object.str("display_name", model.display_name.as_deref().unwrap_or(&model.id));
    object.null("description");
    object.str("default_reasoning_level", "medium");
    object.array("supported_reasoning_levels", |levels| {
        for effort in ["low", "medium", "high"] {
            levels.object(|level| {
                level.str("effort", effort);
                level.str("description", effort);
            });
        }
    });
    object.str("shell_type", "shell_command");
    object.str("visibility", "list");
    object.bool("supported_in_api", true);
    object.u64("priority", u64::try_from(rank).unwrap_or(u64::MAX));
    object.u64("context_window", model.input_limit.unwrap_or(200_000));
}
