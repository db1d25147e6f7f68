//! Schemas for Claude: tools need an object at the root, structured output reads a subset.

use serde_json::{Map, Value};

use super::reference::{self, Children, Inliner, children};
use super::{Purpose, describe, is_bare_properties, merge, no_arguments};

/// A tool's schema: the root is an object without combinators; the rest stays.
pub(super) fn tool(value: &Value) -> Value {
    let Value::Object(map) = value else { return no_arguments() };
    if is_bare_properties(map) {
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        schema.insert("properties".to_owned(), value.clone());
        return Value::Object(schema);
    }
    let mut root = map.clone();
    let mut seen: Vec<String> = Vec::new();
    while let Some(Value::String(reference)) = root.shift_remove("$ref") {
        if seen.contains(&reference) {
            break;
        }
        if let Some(Value::Object(target)) = reference::resolve(value, &reference) {
            merge::into(&mut root, target.clone());
        }
        seen.push(reference);
    }
    if root.contains_key("allOf") {
        root = merge::all_of(&root, value);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(branches)) = root.shift_remove(key) {
            flatten(&mut root, &branches, value);
        }
    }
    // Whatever type the root claims: a call's input is an object.
    if root.get("type").is_none_or(|kind| kind != "object") {
        root.shift_remove("type");
        root.shift_insert(0, "type".to_owned(), "object".into());
    }
    Value::Object(root)
}

/// Alternatives at the root as one object: all properties, only what all alternatives require, and a line that says
/// so.
fn flatten(root: &mut Map<String, Value>, branches: &[Value], document: &Value) {
    let mut common: Option<Vec<Value>> = None;
    let mut groups: Vec<String> = Vec::new();
    for branch in branches {
        let branch = match branch.get("$ref").and_then(Value::as_str) {
            Some(reference) => reference::resolve(document, reference).unwrap_or(branch),
            None => branch,
        };
        let Some(branch) = branch.as_object() else { continue };
        let branch = merge::all_of(branch, document);
        let required: Vec<Value> =
            branch.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let names: Vec<&str> = required.iter().filter_map(Value::as_str).collect();
        if !names.is_empty() {
            groups.push(names.join(" and "));
        }
        common = Some(match common {
            Some(common) => common.into_iter().filter(|name| required.contains(name)).collect(),
            None => required.clone(),
        });
        let mut properties = Map::new();
        if let Some(own) = branch.get("properties") {
            properties.insert("properties".to_owned(), own.clone());
        }
        merge::into(root, properties);
    }
    if let Some(common) = common.filter(|common| !common.is_empty()) {
        let mut required = Map::new();
        required.insert("required".to_owned(), common.into());
        merge::into(root, required);
    }
    if groups.len() > 1 {
        let own = root.get("description").and_then(Value::as_str).map(str::to_owned);
        let text = describe(&[format!("give one of: {}", groups.join(", or "))], own);
        root.insert("description".to_owned(), text.into());
    }
}

/// A schema for structured output or a strict tool.
///
/// # Errors
/// When the schema is recursive.
pub(super) fn strict(value: &Value, purpose: Purpose) -> Result<Value, &'static str> {
    let mut inliner = Inliner::new(value);
    let _inlined = inliner.node(value, 0);
    if inliner.has_cycle {
        return Err("recursive schemas are not supported by structured output");
    }
    let root = if purpose == Purpose::Tool { tool(value) } else { value.clone() };
    Ok(node(root, 0))
}

fn node(value: Value, depth: usize) -> Value {
    let Value::Object(source) = value else { return value };
    if depth > super::MAX_DEPTH {
        return Value::Object(source);
    }
    let mut out = Map::new();
    let mut phrases = Vec::new();
    let mut description = None;
    for (key, member) in source {
        match (key.as_str(), children(&key), member) {
            ("description", _, Value::String(text)) => description = Some(text),
            ("oneOf", _, Value::Array(branches)) => {
                let branches: Vec<Value> =
                    branches.into_iter().map(|branch| node(branch, depth + 1)).collect();
                match out.get_mut("anyOf") {
                    Some(Value::Array(own)) => own.extend(branches),
                    _ => {
                        out.insert("anyOf".to_owned(), branches.into());
                    }
                }
            }
            (
                "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" | "minLength"
                | "maxLength" | "maxItems",
                _,
                limit,
            ) => phrases.push(format!("{key}: {limit}")),
            ("minItems", _, limit) => {
                if limit.as_u64().is_some_and(|limit| limit > 1) {
                    phrases.push(format!("minItems: {limit}"));
                } else {
                    out.insert(key, limit);
                }
            }
            ("uniqueItems", _, flag) => {
                if flag == Value::Bool(true) {
                    phrases.push("items are unique".to_owned());
                }
            }
            ("pattern", _, Value::String(pattern)) => {
                if is_simple(&pattern) {
                    out.insert(key, pattern.into());
                } else {
                    phrases.push(format!("pattern: {pattern}"));
                }
            }
            ("format", _, Value::String(format)) => {
                if is_format(&format) {
                    out.insert(key, format.into());
                } else {
                    phrases.push(format!("format: {format}"));
                }
            }
            ("additionalProperties", _, _) => {}
            (_, Children::Map, Value::Object(nodes)) => {
                let nodes = nodes.into_iter().map(|(name, child)| (name, node(child, depth + 1))).collect();
                out.insert(key, Value::Object(nodes));
            }
            (_, Children::List | Children::NodeOrList, Value::Array(nodes)) => {
                let nodes = nodes.into_iter().map(|child| node(child, depth + 1)).collect();
                out.insert(key, Value::Array(nodes));
            }
            (_, Children::Node | Children::NodeOrList, member) => {
                out.insert(key, node(member, depth + 1));
            }
            (_, _, member) => {
                out.insert(key, member);
            }
        }
    }
    let is_object = match out.get("type") {
        Some(Value::String(name)) => name == "object",
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        _ => out.contains_key("properties"),
    };
    if is_object {
        out.insert("additionalProperties".to_owned(), false.into());
    }
    if let Some(text) = describe(&phrases, description) {
        out.insert("description".to_owned(), text.into());
    }
    Value::Object(out)
}

fn is_format(format: &str) -> bool {
    matches!(
        format,
        "date-time" | "time" | "date" | "duration" | "email" | "hostname" | "uri" | "ipv4" | "ipv6" | "uuid"
    )
}

/// Whether a pattern does without what Claude's grammar compiler refuses: look-around, back references, boundaries.
fn is_simple(pattern: &str) -> bool {
    let has_reference = pattern.as_bytes().windows(2).any(|pair| {
        matches!(pair, [b'\\', second] if second.is_ascii_digit() || matches!(second, b'b' | b'B' | b'p' | b'P' | b'k'))
    });
    !has_reference && !pattern.contains("(?") && pattern.len() <= 128
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn j070_a_root_without_type_gets_one_and_alternatives_are_flattened() {
        assert_eq!(
            tool(&json!({"properties":{"a":{"type":"string"}}})),
            json!({"type":"object","properties":{"a":{"type":"string"}}})
        );
        assert_eq!(tool(&json!(true)), no_arguments());
        assert_eq!(
            tool(&json!({"type":"object","anyOf":[
                {"properties":{"a":{"type":"string"},"c":{"type":"string"}},"required":["a","c"]},
                {"properties":{"b":{"type":"string"},"c":{"type":"string"}},"required":["b","c"]}]})),
            json!({"type":"object","properties":{"a":{"type":"string"},"c":{"type":"string"},"b":{"type":"string"}},
                "required":["c"],"description":"give one of: a and c, or b and c"})
        );
        assert_eq!(
            tool(
                &json!({"$ref":"#/$defs/A","$defs":{"A":{"type":"object","properties":{"x":{"type":"string"}}}}})
            ),
            json!({"$defs":{"A":{"type":"object","properties":{"x":{"type":"string"}}}},"type":"object",
                "properties":{"x":{"type":"string"}}})
        );
    }

    #[test]
    fn j069_structured_output_closes_every_object_and_tells_constraints() {
        let cleaned = strict(
            &json!({"type":"object","properties":{"list":{"type":"array","minItems":2,"items":{"type":"object",
                "properties":{"n":{"type":"integer","minimum":1,"description":"count"}},"additionalProperties":true}},
                "f":{"type":"string","format":"regex"}},"required":["list"]}),
            Purpose::Answer,
        );
        assert_eq!(
            cleaned,
            Ok(json!({"type":"object","properties":{"list":{"type":"array","items":{"type":"object",
                "properties":{"n":{"type":"integer","description":"count (minimum: 1)"}},"additionalProperties":false},
                "description":"minItems: 2"},"f":{"type":"string","description":"format: regex"}},"required":["list"],
                "additionalProperties":false}))
        );
    }

    #[test]
    fn recursive_structured_output_is_refused() {
        let schema = json!({"$ref":"#/$defs/N","$defs":{"N":{"type":"object","properties":{"n":{"$ref":"#/$defs/N"}}}}});
        assert!(strict(&schema, Purpose::Answer).is_err());
    }
}
