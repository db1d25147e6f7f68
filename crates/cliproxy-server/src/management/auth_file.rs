//! Accounts: their files listed, uploaded, downloaded and removed.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use cliproxy_core::engine::Listing;
use cliproxy_core::route::Listed;
use cliproxy_core::store::StoreError;
use cliproxy_wire::form;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use schemars::{JsonSchema, json_schema};
use serde::{Deserialize, Serialize};

use super::answer::{JSON, Json, Outcome, Raw, Refusal, Several};
use super::route::Parameter;
use super::{Ask, Endpoint, endpoint};
use crate::clock::now;

/// Largest upload: many files at once.
const LARGEST: usize = 16 << 20;

/// The name of a file.
const NAME: Parameter = Parameter::text("name", "of the file");

pub(super) fn endpoints() -> Vec<Endpoint> {
    let at = "/auth-files";
    vec![
        endpoint(Method::GET, at, "The accounts; `name` and `auth_index` select", list)
            .asks([NAME, Parameter::text("auth_index", "short id")]),
        endpoint(
            Method::POST,
            at,
            "Uploads auth files: form fields `file`, or the content itself with `?name=`",
            upload,
        )
        .takes(LARGEST)
        .asks([NAME])
        .or_reads(JSON, |_| {
            json_schema!({
                "type": "object", "required": ["type"], "properties": {"type": {"type": "string"}},
                "examples": [{"type": "claude", "email": "me@example.com", "refresh_token": "token"}],
            })
        })
        .or_reads("multipart/form-data", |_| {
            json_schema!({
                "type": "object", "required": ["file"],
                "properties": {"file": {
                    "type": "array", "items": {"type": "string", "contentMediaType": "application/json"},
                }},
            })
        }),
        endpoint(Method::DELETE, at, "Removes auth files: `name`, several of them, or `all=true`", delete)
            .asks([
                Parameter::text("name", "of the file; may be repeated"),
                Parameter::word("all", "every one of them", ALL),
            ])
            .reads::<Chosen>(),
        endpoint(Method::GET, "/auth-files/models", "The models that an account offers", models)
            .asks([NAME.required()]),
        endpoint(Method::GET, "/auth-files/download", "An auth file, with its tokens", download)
            .asks([NAME.required()])
            .gives(|_| json_schema!({"type": "object", "required": ["type"]})),
    ]
}

/// Refuses where nobody keeps accounts. The program always has an auth directory, also one that cannot be used, and loads it
/// before it listens; without one is only an engine that another program was built around.
pub(super) fn ready(ask: &Ask) -> Result<(), Refusal> {
    if ask.app.engine.has_auth_files() {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "core auth manager unavailable"))
}

pub(super) fn refusal(error: StoreError) -> Refusal {
    match error {
        StoreError::Missing(_) => Refusal::missing("file not found"),
        StoreError::Name(_) => Refusal::bad("invalid name"),
        StoreError::Unreadable(_) => Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "invalid auth file: not a JSON object with a `type`",
        ),
        other => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, other.to_string()),
    }
}

/// A name of an auth file that leads nowhere else.
fn plain(name: &str) -> Result<&str, Refusal> {
    if name.is_empty() || name.contains(['/', '\\']) || name.starts_with('.') {
        return Err(Refusal::bad("invalid name"));
    }
    if !name.to_ascii_lowercase().ends_with(".json") {
        return Err(Refusal::bad("name must end with .json"));
    }
    Ok(name)
}

/// The accounts, by name.
#[derive(Serialize, JsonSchema)]
struct Files {
    files: Vec<Listing>,
}

async fn list(ask: Ask) -> Outcome<Json<Files>> {
    ready(&ask)?;
    let mut files = ask.app.engine.roster(now()).await;
    if let Some(name) = ask.query("name") {
        files.retain(|file| file.name == name);
    }
    if let Some(index) = ask.query("auth_index") {
        files.retain(|file| file.auth_index == index);
    }
    Ok(Json(Files { files }))
}

/// The models that an account offers.
#[derive(Serialize, JsonSchema)]
struct Models {
    models: Vec<Model>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OfferedModel")]
struct Model {
    id: String,
    owned_by: String,
    /// The same.
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
}

async fn models(ask: Ask) -> Outcome<Json<Models>> {
    ready(&ask)?;
    let name = ask.query("name").ok_or_else(|| Refusal::bad("name is required"))?;
    let models = ask.app.engine.models_of_auth_file(name);
    let shown = |model: &Listed| Model {
        id: model.id.as_ref().to_owned(),
        owned_by: model.owned_by.as_ref().to_owned(),
        r#type: model.owned_by.as_ref().to_owned(),
        display_name: model.display_name.as_ref().map(|name| name.as_ref().to_owned()),
    };
    Ok(Json(Models { models: models.iter().map(shown).collect() }))
}

async fn download(ask: Ask) -> Outcome<Raw> {
    ready(&ask)?;
    let name = plain(ask.query("name").unwrap_or_default())?;
    let content = ask.app.engine.auth_file(name).await.map_err(refusal)?;
    let mut response = Response::new(Body::from(content));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let shown: String =
        name.chars().filter(|character| character.is_ascii_graphic() && *character != '"').collect();
    if let Ok(disposition) = HeaderValue::try_from(format!("attachment; filename=\"{shown}\"")) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(Raw(response))
}

/// What came of one file or several.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Batch {
    status: Whole,
    /// How many were taken in.
    #[serde(skip_serializing_if = "Option::is_none")]
    uploaded: Option<usize>,
    /// How many were removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<usize>,
    /// Of several: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<String>>,
    /// Of several: which were refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<FailedFile>,
}

/// Whether everything was done.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BatchStatus")]
enum Whole {
    #[default]
    Ok,
    Partial,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FailedFile {
    name: String,
    error: String,
}

impl Batch {
    /// Says that it is done.
    fn ok() -> Several<Self> {
        Several { is_partial: false, body: Self::default() }
    }

    /// Notes what came of the next one of several.
    fn note(&mut self, name: &str, result: Result<(), Refusal>) {
        match result {
            Ok(()) => self.files.get_or_insert_default().push(name.to_owned()),
            Err(refused) => {
                let error = refused.message().to_owned();
                self.failed.push(FailedFile { name: name.to_owned(), error });
            }
        }
    }

    /// How many of several were done.
    fn count(&mut self) -> usize {
        self.files.get_or_insert_default().len()
    }

    fn answer(mut self) -> Several<Self> {
        let is_partial = !self.failed.is_empty();
        if is_partial {
            self.status = Whole::Partial;
        }
        Several { is_partial, body: self }
    }
}

async fn upload(ask: Ask) -> Outcome<Several<Batch>> {
    ready(&ask)?;
    let Some(boundary) = form::boundary(&ask.headers) else {
        let name = ask.query("name").ok_or_else(|| Refusal::bad("file or name is required"))?;
        let name = plain(name)?.to_owned();
        ask.app.engine.put_auth_file(&name, ask.body.clone()).await.map_err(refusal)?;
        return Ok(Batch::ok());
    };
    let parts = form::parts(&ask.body, &boundary).ok_or_else(|| Refusal::bad("invalid form"))?;
    let files: Vec<(String, Bytes)> = parts
        .into_iter()
        .filter(|part| part.name == "file")
        .map(|part| (part.file.unwrap_or_default(), part.content))
        .collect();
    match files.as_slice() {
        [] => Err(Refusal::bad("file is required")),
        [(name, content)] => {
            let name = plain(name).map_err(|_other| Refusal::bad("file must be .json"))?;
            ask.app.engine.put_auth_file(name, content.clone()).await.map_err(refusal)?;
            Ok(Batch::ok())
        }
        several => {
            let mut batch = Batch::default();
            for (name, content) in several {
                let result = match plain(name) {
                    Ok(name) => ask.app.engine.put_auth_file(name, content.clone()).await.map_err(refusal),
                    Err(refused) => Err(refused),
                };
                batch.note(name, result);
            }
            batch.uploaded = Some(batch.count());
            Ok(batch.answer())
        }
    }
}

/// Which files go.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Chosen {
    List(Vec<String>),
    Several { names: Vec<String> },
    One { name: String },
}

/// The names in a query or a body.
fn names(ask: &Ask) -> Vec<String> {
    let asked: Vec<String> = ask
        .query
        .iter()
        .filter(|(name, _)| name == NAME.name)
        .map(|(_, value)| value.trim().to_owned())
        .collect();
    if !asked.is_empty() {
        return asked;
    }
    match ask.json::<Chosen>() {
        Ok(Chosen::List(names) | Chosen::Several { names }) => names,
        Ok(Chosen::One { name }) => vec![name],
        Err(_no_body) => Vec::new(),
    }
}

/// Words for all of them.
const ALL: &[&str] = &["true", "1", "*"];

async fn delete(ask: Ask) -> Outcome<Several<Batch>> {
    ready(&ask)?;
    if ask.query("all").is_some_and(|all| ALL.contains(&all)) {
        let mut n_deleted = 0;
        // Pages that are connected have no file; a file that somebody else removes meanwhile is gone as well.
        for file in ask.app.engine.roster(now()).await.into_iter().filter(|file| !file.runtime_only) {
            match ask.app.engine.delete_auth_file(&file.name).await {
                Ok(()) => n_deleted += 1,
                Err(StoreError::Missing(_)) => {}
                Err(error) => return Err(refusal(error)),
            }
        }
        return Ok(Batch { deleted: Some(n_deleted), ..Batch::default() }.answer());
    }
    let names = names(&ask);
    match names.as_slice() {
        [] => Err(Refusal::bad("invalid name")),
        [name] => {
            ask.app.engine.delete_auth_file(plain(name)?).await.map_err(refusal)?;
            Ok(Batch::ok())
        }
        several => {
            let mut batch = Batch::default();
            for name in several {
                let result = match plain(name) {
                    Ok(name) => ask.app.engine.delete_auth_file(name).await.map_err(refusal),
                    Err(refused) => Err(refused),
                };
                batch.note(name, result);
            }
            batch.deleted = Some(batch.count());
            Ok(batch.answer())
        }
    }
}
