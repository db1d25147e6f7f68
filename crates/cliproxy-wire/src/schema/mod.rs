//! JSON Schema dialects: making a schema fit a target.
//!
//! Every provider reads another subset of JSON Schema and refuses or ignores the rest. What is done here works on
//! schema *nodes*, never on whole requests, and knows that the keys under `properties` are the user's: a property may
//! be called `format`, `title` or `$ref`. A schema that is clean already is returned as it was sent, found by a scan
//! without a tree; every result is remembered in [`Cleaned`], because agents resend the same tools with every turn.

mod cache;
mod claude;
mod gemini;
mod merge;
mod narrow;
mod openai;
mod openapi;
mod reference;
mod scan;

pub use cache::Cleaned;
pub use openai::holds_strict;

use serde_json::{Map, Value};

use crate::json::{self, Raw};

/// Deepest nesting of schema nodes that is followed; deeper ones become open objects.
const MAX_DEPTH: usize = 48;
/// Most nodes that one schema may become when references are put in place.
const MAX_NODES: usize = 20_000;

/// What a schema is cleaned for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Gemini's JSON Schema members; keywords that are only ignored stay.
    GeminiLenient,
    /// Gemini's JSON Schema members; only documented keywords stay.
    GeminiStrict,
    /// Gemini's OpenAPI-like members.
    OpenApi,
    /// JSON Schema without references and alternatives.
    Plain,
    /// The least that Gemini's OpenAPI-like members can be; no object is without a member that must be given.
    Narrow,
    /// Claude's `input_schema`.
    ClaudeTool,
    /// Claude's structured output and strict tools.
    ClaudeStrict,
    /// OpenAI without strict mode.
    OpenAi,
    /// JSON Schema, out of Gemini's OpenAPI-like members.
    Json,
}

/// Where a schema goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Arguments of a tool: the root is an object.
    Tool,
    /// The answer: the root may be anything.
    Answer,
}

/// A schema in a form that its target accepts.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The schema.
    pub schema: Raw,
    /// It says only that there are no arguments. Gemini wants no schema then, and its OpenAPI-like form refuses any
    /// object without properties.
    pub takes_nothing: bool,
}

impl Fitted {
    fn new(schema: Raw, dialect: Dialect) -> Self {
        let is_open = || {
            ["additionalProperties", "anyOf", "$ref"]
                .iter()
                .any(|key| schema.member(key).is_some_and(|value| value != "false"))
        };
        let takes_nothing = match schema.member("properties") {
            Some(properties) => json::is_empty(properties) && !is_open(),
            None => dialect == Dialect::OpenApi,
        };
        Self { schema, takes_nothing }
    }

    fn detached(&self) -> Self {
        Self { schema: self.schema.detached(), ..*self }
    }
}

/// `schema` in the form `dialect` accepts; the same handle if it is clean already.
///
/// # Errors
/// What cannot be made acceptable, in words.
pub fn clean(schema: &Raw, dialect: Dialect, purpose: Purpose, cache: &Cleaned) -> Result<Raw, &'static str> {
    fit(schema, dialect, purpose, cache).map(|fitted| fitted.schema)
}

/// [`clean`], with what there is to know of the outcome.
///
/// # Errors
/// What cannot be made acceptable, in words.
pub fn fit(
    schema: &Raw,
    dialect: Dialect,
    purpose: Purpose,
    cache: &Cleaned,
) -> Result<Fitted, &'static str> {
    // Looking a text up costs a hash of it, less than the scan.
    if let Some(known) = cache.get(schema, dialect, purpose) {
        return Ok(known);
    }
    let fitted = Fitted::new(made(schema, dialect, purpose)?, dialect);
    cache.put(schema, dialect, purpose, &fitted);
    Ok(fitted)
}

/// A schema in the OpenAPI-like form (or in JSON Schema, which it may be mixed with) as JSON Schema.
pub fn from_openapi(schema: &Raw, cache: Option<&Cleaned>) -> Raw {
    let (dialect, purpose) = (Dialect::Json, Purpose::Tool);
    let made = match cache {
        Some(cache) => clean(schema, dialect, purpose, cache),
        None => made(schema, dialect, purpose),
    };
    // What cannot be read is told by whoever makes it fit its target.
    made.unwrap_or_else(|_unread| schema.clone())
}

fn made(schema: &Raw, dialect: Dialect, purpose: Purpose) -> Result<Raw, &'static str> {
    if scan::is_clean(schema, dialect, purpose) {
        return Ok(schema.clone());
    }
    let value = schema.to_value();
    if value.is_null() && schema.as_str().trim() != "null" {
        return Err("the schema nests too deeply or holds a number out of range");
    }
    let cleaned = match dialect {
        Dialect::GeminiLenient | Dialect::GeminiStrict | Dialect::OpenApi => {
            gemini::clean(&value, dialect, purpose)?
        }
        Dialect::Narrow => {
            narrow::from_openapi(gemini::clean(&value, Dialect::OpenApi, purpose)?, Some(stand_in(schema)))
        }
        Dialect::Plain => narrow::from_openapi(gemini::clean(&value, Dialect::OpenApi, purpose)?, None),
        Dialect::ClaudeTool => claude::tool(&value),
        Dialect::ClaudeStrict => claude::strict(&value, purpose)?,
        Dialect::OpenAi => openai::complete(&value, purpose),
        Dialect::Json => openapi::to_json_schema(value.clone(), 0),
    };
    Ok(if cleaned == value { schema.clone() } else { Raw::from(&cleaned) })
}

/// The name of the member that [`Dialect::Narrow`] adds to objects without one that must be given: one that no property
/// of `schema` has.
pub fn stand_in(schema: &Raw) -> &'static str {
    const NAMES: [&str; 4] = ["_", "__", "___", "____"];
    let is_free = |name: &&str| !schema.as_str().contains(&format!("\"{name}\""));
    NAMES.into_iter().find(is_free).unwrap_or("_gateway")
}

/// A map with one member.
fn single(key: &str, value: Value) -> Value {
    let mut map = Map::new();
    map.insert(key.to_owned(), value);
    Value::Object(map)
}

/// The schema of a function without arguments.
fn no_arguments() -> Value {
    let mut map = Map::new();
    map.insert("type".to_owned(), "object".into());
    map.insert("properties".to_owned(), Value::Object(Map::new()));
    Value::Object(map)
}

/// Whether `value` is a map of property schemas that somebody forgot to wrap into an object schema.
fn is_bare_properties(map: &Map<String, Value>) -> bool {
    const NODE: [&str; 7] = ["type", "$ref", "enum", "const", "anyOf", "oneOf", "allOf"];
    !map.is_empty()
        && map.values().all(|value| {
            value.as_object().is_some_and(|node| {
                NODE.iter().any(|key| node.get(*key).is_some_and(|member| !member.is_object()))
            })
        })
}

/// Appends a phrase to the description of a node that is being built.
fn describe(phrases: &[String], description: Option<String>) -> Option<String> {
    if phrases.is_empty() {
        return description;
    }
    let phrases = phrases.join("; ");
    Some(match description.filter(|text| !text.is_empty()) {
        Some(text) => format!("{text} ({phrases})"),
        None => phrases,
    })
}
