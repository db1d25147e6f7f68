//! Whether a schema is clean already, found by reading its text once and building nothing.
//!
//! The scan may say no to a schema that cleaning would not change; it never says yes to one that it would.

use std::borrow::Cow;

use crate::Error;
use crate::json::{Kind, Raw, Reader};

use super::reference::{Children, children};
use super::{Dialect, MAX_DEPTH, Purpose, openapi};

/// Whether cleaning would leave `schema` as it is.
pub(super) fn is_clean(schema: &Raw, dialect: Dialect, purpose: Purpose) -> bool {
    let mut reader = schema.reader();
    let is_tool = purpose == Purpose::Tool;
    match dialect {
        Dialect::GeminiLenient | Dialect::GeminiStrict => gemini(&mut reader, is_tool, 0),
        Dialect::ClaudeTool => claude_root(&mut reader),
        Dialect::OpenAi => openai(&mut reader, is_tool, 0),
        Dialect::Json => return openapi::is_json_schema(schema),
        Dialect::OpenApi | Dialect::Plain | Dialect::Narrow | Dialect::ClaudeStrict => return false,
    }
    .unwrap_or(false)
}

/// A root of type object without combinators; what is inside may stay.
fn claude_root(reader: &mut Reader<'_>) -> Result<bool, Error> {
    if reader.kind() != Kind::Object {
        return Ok(false);
    }
    let mut has_type = false;
    let mut is_clean = true;
    reader.object(|key, value| {
        match key {
            "type" => has_type = value.kind() == Kind::String && value.str()? == "object",
            "anyOf" | "oneOf" | "allOf" | "$ref" => is_clean = false,
            _ => {}
        }
        Ok(())
    })?;
    Ok(is_clean && has_type)
}

/// Objects have properties, arrays have items.
fn openai(reader: &mut Reader<'_>, is_root: bool, depth: usize) -> Result<bool, Error> {
    if reader.kind() != Kind::Object || depth > MAX_DEPTH {
        reader.skip()?;
        return Ok(!is_root && depth <= MAX_DEPTH);
    }
    let mut is_clean = true;
    let mut kind = Cow::Borrowed("");
    let (mut has_properties, mut has_items) = (false, false);
    reader.object(|key, value| {
        let shape = value.kind();
        has_properties |= key == "properties" && shape == Kind::Object;
        has_items |= matches!(key, "items" | "prefixItems");
        match (key, children(key), shape) {
            ("type", _, Kind::String) => kind = value.str()?,
            (_, Children::Map, Kind::Object) => value.object(|_, node| {
                is_clean &= openai(node, false, depth + 1)?;
                Ok(())
            })?,
            (_, Children::List | Children::NodeOrList, Kind::Array) => value.array(|_, node| {
                is_clean &= openai(node, false, depth + 1)?;
                Ok(())
            })?,
            (_, Children::Node | Children::NodeOrList, Kind::Object) => {
                is_clean &= openai(value, false, depth + 1)?;
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(is_clean
        && match &*kind {
            "object" => has_properties,
            "array" => has_items && !is_root,
            _ => !is_root,
        })
}

/// The common shape of agents' tools: typed nodes with the documented keywords and no references.
fn gemini(reader: &mut Reader<'_>, is_root: bool, depth: usize) -> Result<bool, Error> {
    if reader.kind() != Kind::Object || depth > MAX_DEPTH {
        reader.skip()?;
        return Ok(false);
    }
    let mut is_clean = true;
    let mut kind = Cow::Borrowed("");
    let mut has_items = false;
    let mut has_enum = false;
    let mut properties: Vec<Cow<'_, str>> = Vec::new();
    let mut required: Vec<Cow<'_, str>> = Vec::new();
    let mut has_required = false;
    // Borrowed by the closure below while the fields above are filled.
    let flag = &mut is_clean;
    reader.object(|key, value| {
        let shape = value.kind();
        match (key, shape) {
            ("type", Kind::String) => {
                kind = value.str()?;
                *flag &= is_known(&kind);
            }
            ("type", Kind::Array) => *flag &= is_nullable(value)? && !is_root,
            ("description", Kind::String)
            | ("additionalProperties", Kind::Bool)
            | ("minItems" | "maxItems" | "minimum" | "maximum", Kind::Number) => {}
            ("enum", Kind::Array) => {
                has_enum = true;
                let mut is_empty = true;
                value.array(|_, item| {
                    is_empty = false;
                    *flag &= item.kind() == Kind::String;
                    Ok(())
                })?;
                *flag &= !is_empty;
            }
            ("format", Kind::String) => {
                *flag &= matches!(&*value.str()?, "date-time" | "date" | "time");
            }
            ("properties", Kind::Object) => value.object(|name, node| {
                properties.push(Cow::Owned(name.to_owned()));
                *flag &= gemini(node, false, depth + 1)?;
                Ok(())
            })?,
            ("required", Kind::Array) => {
                has_required = true;
                value.array(|_, name| {
                    if name.kind() == Kind::String {
                        required.push(name.str()?);
                    } else {
                        *flag = false;
                    }
                    Ok(())
                })?;
            }
            ("items", Kind::Object) => {
                has_items = true;
                *flag &= gemini(value, false, depth + 1)?;
            }
            ("additionalProperties", Kind::Object) => *flag &= gemini(value, false, depth + 1)?,
            ("anyOf", Kind::Array) => {
                let mut is_empty = true;
                value.array(|_, node| {
                    is_empty = false;
                    *flag &= gemini(node, false, depth + 1)?;
                    Ok(())
                })?;
                *flag &= !is_empty;
            }
            _ => *flag = false,
        }
        Ok(())
    })?;
    is_clean &= !has_enum || kind == "string";
    is_clean &= kind != "array" || has_items;
    is_clean &= !is_root || kind == "object";
    if has_required {
        is_clean &= !required.is_empty()
            && required.iter().enumerate().all(|(at, name)| {
                properties.contains(name) && !required.iter().take(at).any(|other| other == name)
            });
    }
    Ok(is_clean)
}

fn is_known(name: &str) -> bool {
    matches!(name, "string" | "number" | "integer" | "boolean" | "array" | "object" | "null")
}

/// `["string","null"]` and its like.
fn is_nullable(reader: &mut Reader<'_>) -> Result<bool, Error> {
    let mut names = Vec::new();
    let mut is_text = true;
    reader.array(|_, name| {
        if name.kind() == Kind::String {
            names.push(name.str()?);
        } else {
            is_text = false;
        }
        Ok(())
    })?;
    Ok(is_text
        && matches!(names.as_slice(), [first, second] if second == "null" && first != "null" && is_known(first)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::{claude, gemini as cleaner, openai as completer};
    use super::*;

    fn schema() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!({"type":"string"})),
            Just(json!({"type":"string","enum":["a","b"]})),
            Just(json!({"enum":["a","b"]})),
            Just(json!({"type":["integer","null"],"minimum":1})),
            Just(json!({"type":"number","format":"float"})),
            Just(json!({"type":"string","format":"date"})),
            Just(json!({"type":"array"})),
            Just(json!({"$ref":"#/x"})),
            Just(json!({})),
            Just(json!(true)),
            Just(json!({"type":"OBJECT","description":"d"})),
            Just(json!({"const":1,"nullable":true})),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|item| json!({"type":"array","items":item})),
                prop::collection::vec(inner.clone(), 0..3).prop_map(|branches| json!({"anyOf":branches})),
                (prop::collection::vec(inner.clone(), 0..3), any::<bool>(), any::<bool>()).prop_map(
                    |(nodes, is_closed, is_required)| {
                        let names = ["title", "b", "c"];
                        let mut node = json!({"type":"object","properties":{}});
                        for (name, inner) in names.iter().zip(nodes) {
                            node["properties"][*name] = inner;
                        }
                        if is_closed {
                            node["additionalProperties"] = json!(false);
                        }
                        if is_required {
                            node["required"] = json!(["title", "b"]);
                        }
                        node
                    }
                ),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_the_scan_calls_clean_is_not_changed_by_cleaning(value in schema()) {
            let raw = Raw::from(&value);
            for purpose in [Purpose::Tool, Purpose::Answer] {
                for dialect in [Dialect::GeminiStrict, Dialect::GeminiLenient] {
                    if is_clean(&raw, dialect, purpose) {
                        prop_assert_eq!(cleaner::clean(&value, dialect, purpose), Ok(value.clone()));
                    }
                }
                if is_clean(&raw, Dialect::OpenAi, purpose) {
                    prop_assert_eq!(completer::complete(&value, purpose), value.clone());
                }
            }
            if is_clean(&raw, Dialect::ClaudeTool, Purpose::Tool) {
                prop_assert_eq!(claude::tool(&value), value.clone());
            }
        }

        #[test]
        fn cleaning_twice_changes_nothing_more(value in schema()) {
            for dialect in [Dialect::GeminiStrict, Dialect::GeminiLenient] {
                if let Ok(once) = cleaner::clean(&value, dialect, Purpose::Tool) {
                    prop_assert_eq!(cleaner::clean(&once, dialect, Purpose::Tool), Ok(once.clone()));
                }
            }
        }
    }

    #[test]
    fn a_usual_tool_is_clean() {
        let raw = Raw::new(
            r#"{"type":"object","properties":{"city":{"type":"string","description":"where"},"n":{"type":"array","items":{"type":"integer"}}},"required":["city"],"additionalProperties":false}"#,
        );
        for dialect in [Dialect::GeminiStrict, Dialect::ClaudeTool, Dialect::OpenAi] {
            assert!(is_clean(&raw, dialect, Purpose::Tool), "{dialect:?}");
        }
    }
}
