//! What a simulated model answers: a pure function of what it is asked.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::ask::Ask;

/// Counts of every answer. Thoughts are part of the output.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Tokens read, cached ones included.
    pub input: u64,
    /// Those that came from a cache.
    pub cached: u64,
    /// Tokens written, thoughts included.
    pub output: u64,
    /// Those that were thought, when the model thinks.
    pub thought: u64,
}

/// What every answer counts.
pub const USAGE: Usage = Usage { input: 52, cached: 20, output: 41, thought: 12 };
/// The answer to every request for a count.
pub const COUNT: u64 = 17;

/// A call of a tool.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: Value,
}

/// An answer, whatever the format.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) thought: Option<String>,
    pub(super) text: String,
    pub(super) calls: Vec<Call>,
}

impl Answer {
    pub(super) fn to(ask: &Ask) -> Self {
        let mut answer = Self { thought: None, text: String::new(), calls: Vec::new() };
        if !ask.results.is_empty() {
            let results: Vec<String> =
                ask.results.iter().map(|(name, gave)| format!("{name}: {gave}")).collect();
            answer.text = format!("Röme 🌤 {}", results.join("; "));
        } else if !ask.tools.is_empty() {
            "Checking Röme 🌤.".clone_into(&mut answer.text);
            answer.calls = ask
                .tools
                .iter()
                .enumerate()
                .map(|(ordinal, tool)| Call {
                    id: format!("call_{}_{ordinal}", ask.turn),
                    name: tool.name.clone(),
                    arguments: sample(&tool.schema, &tool.schema),
                })
                .collect();
        } else if let Some(schema) = &ask.schema {
            answer.text = sample(schema, schema).to_string();
        } else if !ask.media.is_empty() {
            answer.text = ask.media.iter().fold("I got".to_owned(), |mut text, media| {
                let digest = hex(&Sha256::digest(&media.bytes));
                write!(text, " {} {} {digest}", media.kind, media.bytes.len()).expect("a string takes all");
                text
            });
        } else {
            answer.text = format!("You said: {} 🌤", ask.text);
        }
        answer.thought = ask.thinks.then(|| format!("Thought {}: need the weather.", ask.turn));
        answer
    }

    /// The text in two pieces, as streams bring it.
    pub(super) fn text_pieces(&self) -> Vec<&str> {
        pieces(&self.text)
    }
}

/// A text in two pieces.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let middle = (text.len() / 2..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    let (head, tail) = text.split_at(middle);
    [head, tail].into_iter().filter(|piece| !piece.is_empty()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

/// A value that fits a schema.
fn sample(schema: &Value, root: &Value) -> Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
        return sample(target, root);
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    let first = |name: &str| schema.get(name).and_then(Value::as_array).and_then(|all| all.first());
    if let Some(value) = first("enum") {
        return value.clone();
    }
    if let Some(variant) = first("anyOf").or_else(|| first("oneOf")) {
        return sample(variant, root);
    }
    let kind = first("type").or_else(|| schema.get("type")).and_then(Value::as_str).unwrap_or("object");
    match kind.to_lowercase().as_str() {
        "string" => json!("Röme"),
        "integer" => json!(18),
        "number" => json!(18.5),
        "boolean" => json!(true),
        "null" => Value::Null,
        "array" => json!([sample(schema.get("items").unwrap_or(&Value::Null), root)]),
        _ => {
            let properties = schema.get("properties").and_then(Value::as_object);
            let members = properties.into_iter().flatten();
            Value::Object(
                members.map(|(name, schema)| (name.clone(), sample(schema, root))).collect::<Map<_, _>>(),
            )
        }
    }
}
