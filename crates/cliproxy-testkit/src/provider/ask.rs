//! What a request asks, whatever its format; and the readings that formats share.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// What kind of answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Body,
    Stream,
    Count,
}

/// A file in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Media {
    pub(super) kind: String,
    pub(super) bytes: Vec<u8>,
}

impl Media {
    /// A file in base64, which must be flawless.
    pub(super) fn new(kind: &str, data: &str) -> Result<Self, String> {
        let bytes = BASE64_STANDARD.decode(data).map_err(|error| format!("invalid base64: {error}"))?;
        Ok(Self { kind: kind.to_owned(), bytes })
    }

    /// The same in either alphabet.
    pub(super) fn of_any_alphabet(kind: &str, data: &str) -> Result<Self, String> {
        Self::new(kind, &data.replace('-', "+").replace('_', "/"))
    }

    /// A `data:` URL.
    pub(super) fn of_url(url: &str) -> Result<Self, String> {
        let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        let (kind, data) = data.ok_or("only data: URLs are taken here")?;
        Self::new(kind, data)
    }
}

/// A tool that the model may call.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    pub(super) name: String,
    pub(super) schema: Value,
}

/// A request, whatever its format.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) want: Want,
    /// What the user said last.
    pub(super) text: String,
    /// What came with it.
    pub(super) media: Vec<Media>,
    /// Tools that may be called.
    pub(super) tools: Vec<Tool>,
    /// Results of the last turn's calls, in order of the calls: the name of the tool and what it gave.
    pub(super) results: Vec<(String, String)>,
    /// Whether the model thinks.
    pub(super) thinks: bool,
    /// Whether the client sees the thoughts.
    pub(super) shows_thoughts: bool,
    /// Whether state is wanted that the client keeps.
    pub(super) keeps_state: bool,
    /// Whether the stream ends with counts; only Chat leaves the choice.
    pub(super) counts_stream: bool,
    /// The schema that the answer must fit.
    pub(super) schema: Option<Value>,
    /// How many turns came before: ids are made from it.
    pub(super) turn: usize,
}

impl Ask {
    pub(super) fn new(model: &str, want: Want) -> Self {
        Self {
            model: model.to_owned(),
            want,
            text: String::new(),
            media: Vec::new(),
            tools: Vec::new(),
            results: Vec::new(),
            thinks: false,
            shows_thoughts: false,
            keeps_state: true,
            counts_stream: true,
            schema: None,
            turn: 0,
        }
    }
}

/// A member's text; empty when there is none.
pub(super) fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A member's elements; none when it is absent.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A required text.
pub(super) fn required(value: &Value, name: &str) -> Result<String, String> {
    value.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| format!("{name} is required"))
}

/// Schemas with a promise must close every object and require every property.
pub(super) fn check_closed(schema: &Value) -> Result<(), String> {
    let Some(object) = schema.as_object() else {
        return schema.as_array().map_or(Ok(()), |all| all.iter().try_for_each(check_closed));
    };
    if let Some(properties) = object.get("properties").and_then(Value::as_object) {
        if object.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Err("additionalProperties must be false on every object".to_owned());
        }
        let required: Vec<&str> = list(schema, "required").iter().filter_map(Value::as_str).collect();
        if let Some(name) = properties.keys().find(|name| !required.contains(&name.as_str())) {
            return Err(format!("required must hold every property; {name} is missing"));
        }
    }
    object.values().try_for_each(check_closed)
}

/// Pairs the results with their calls: each call has one result, and no result is without a call. Both are given as
/// id and name, or id and what the tool gave.
pub(super) fn pair(
    calls: &[(String, String)],
    mut results: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, String> {
    let mut paired = Vec::new();
    for (id, name) in calls {
        let at = results
            .iter()
            .position(|(of, _)| of == id)
            .ok_or_else(|| format!("the call {id} has no result"))?;
        paired.push((name.clone(), results.remove(at).1));
    }
    match results.first() {
        Some((id, _)) => Err(format!("the result {id} is of no call")),
        None => Ok(paired),
    }
}
