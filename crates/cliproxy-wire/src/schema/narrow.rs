//! The form of schemas that Antigravity takes for Claude models: out of the OpenAPI-like form of [`super::openapi`].
//!
//! What it cannot say is told to the model in the description. Every object has a member that must be given, because
//! calls are checked there in a mode that wants one; a member that stands in for one is taken out of the calls again
//! (`crate::normalize::Restore`).

use serde_json::{Map, Value, json};

use super::describe;

/// Keywords that are told instead of sent.
const TOLD: [&str; 13] = [
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "uniqueItems",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "format",
    "default",
    "example",
];

/// `value` in the narrow form, with `stand_in` as the name of members that stand in for missing ones; none do without it.
pub(super) fn from_openapi(value: Value, stand_in: Option<&str>) -> Value {
    let Value::Object(mut map) = value else { return value };
    let mut phrases = Vec::new();
    if let Some(Value::Array(branches)) = map.shift_remove("anyOf") {
        choose(&mut map, branches, &mut phrases);
    }
    for name in TOLD {
        if let Some(value) = map.shift_remove(name) {
            phrases
                .push(format!("{name}: {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        }
    }
    map.shift_remove("propertyOrdering");
    let kind = map.get("type").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    if !kind.is_empty() {
        map.insert("type".to_owned(), kind.as_str().into());
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for property in properties.values_mut() {
            *property = from_openapi(property.take(), stand_in);
        }
    }
    if let Some(items) = map.get_mut("items") {
        *items = from_openapi(items.take(), stand_in);
    }
    if let Some(stand_in) = stand_in.filter(|_| kind == "object") {
        demand(&mut map, stand_in);
    }
    let description = match map.shift_remove("description") {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    if let Some(text) = describe(&phrases, description) {
        map.insert("description".to_owned(), text.into());
    }
    Value::Object(map)
}

/// Puts the branch that says most in the place of all, and names the others.
fn choose(map: &mut Map<String, Value>, mut branches: Vec<Value>, phrases: &mut Vec<String>) {
    let kind = |branch: &Value| {
        branch.get("type").and_then(Value::as_str).unwrap_or("anything").to_ascii_lowercase()
    };
    let rank = |branch: &Value| match kind(branch).as_str() {
        "object" => 0,
        "array" => 1,
        "null" => 3,
        _ => 2,
    };
    let Some(best) = (0..branches.len()).min_by_key(|at| branches.get(*at).map(rank)) else { return };
    let chosen = branches.swap_remove(best);
    let mut others: Vec<String> = branches.iter().map(kind).collect();
    others.sort_unstable();
    others.dedup();
    if !others.is_empty() {
        phrases.push(format!("or: {}", others.join(", ")));
    }
    if let Value::Object(chosen) = chosen {
        map.extend(chosen);
    }
}

/// Gives an object a member that must be given, unless it has one.
fn demand(map: &mut Map<String, Value>, stand_in: &str) {
    if map.get("required").and_then(Value::as_array).is_some_and(|names| !names.is_empty()) {
        return;
    }
    let properties = map.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(properties) = properties {
        let member = json!({"type": "boolean", "description": "means nothing; always true"});
        properties.insert(stand_in.to_owned(), member);
    }
    map.insert("required".to_owned(), vec![Value::from(stand_in)].into());
}

#[cfg(test)]
mod tests {
    use super::super::{Cleaned, Dialect, Purpose, clean, stand_in};
    use super::*;
    use crate::json::Raw;

    fn narrow(value: &Value) -> Value {
        clean(&Raw::from(value), Dialect::Narrow, Purpose::Tool, &Cleaned::default()).unwrap().to_value()
    }

    #[test]
    fn every_object_has_a_member_that_must_be_given() {
        let member = json!({"type": "boolean", "description": "means nothing; always true"});
        assert_eq!(
            narrow(&json!({"type": "object", "properties": {}})),
            json!({"type": "object", "properties": {"_": member}, "required": ["_"]})
        );
        assert_eq!(
            narrow(&json!({"type": "object", "properties": {"a": {"type": "object", "properties": {
                "b": {"type": "string"}}}, "c": {"type": "array", "items": {"type": "object"}}}, "required": ["a"]})),
            json!({"type": "object", "properties": {
                "a": {"type": "object", "properties": {"b": {"type": "string"}, "_": member}, "required": ["_"]},
                "c": {"type": "array", "items": {"type": "object", "properties": {"_": member}, "required": ["_"]}},
            }, "required": ["a"]})
        );
        assert_eq!(stand_in(&Raw::new(r#"{"properties":{"_":{}}}"#)), "__");
    }

    #[test]
    fn what_cannot_be_said_is_told() {
        let cleaned = narrow(&json!({"type": "object", "required": ["p"], "properties": {
            "p": {"type": "string", "minLength": 1, "pattern": "^a", "default": "a", "format": "uuid"},
            "q": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}, {"type": "null"}]},
            "e": {"const": 3}, "n": {"type": ["integer", "null"], "exclusiveMinimum": 0},
        }}));
        let text = cleaned.to_string();
        for gone in
            ["minLength\"", "pattern\"", "default\"", "format\"", "anyOf", "const", "exclusiveMinimum\""]
        {
            assert!(!text.contains(&format!("\"{gone}")), "{gone}: {text}");
        }
        let told =
            |name: &str| cleaned["properties"][name]["description"].as_str().unwrap_or_default().to_owned();
        assert!(told("p").contains("minLength: 1") && told("p").contains("pattern: ^a"), "{text}");
        assert!(told("q").contains("or: string"), "{text}");
        assert_eq!(cleaned["properties"]["q"]["type"], "array");
        assert_eq!(
            (&cleaned["properties"]["n"]["type"], &cleaned["properties"]["n"]["nullable"]),
            (&json!("integer"), &json!(true))
        );
    }
}
