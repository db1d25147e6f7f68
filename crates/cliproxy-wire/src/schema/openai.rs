//! Schemas for OpenAI: what strict mode demands, and the two members that the rest of the service insists on.

use serde_json::{Map, Value};

use crate::json::Raw;

use super::reference::{Children, children};
use super::{Purpose, is_bare_properties, no_arguments};

/// Whether `schema` satisfies the rules of strict mode as it is.
pub fn holds_strict(schema: &Raw) -> bool {
    let value = schema.to_value();
    let Value::Object(root) = &value else { return false };
    let mut properties = 0;
    root.get("type").is_some_and(|kind| kind == "object")
        && !root.contains_key("anyOf")
        && holds(&value, 0, &mut properties)
}

fn holds(value: &Value, depth: usize, count: &mut usize) -> bool {
    let Value::Object(node) = value else { return false };
    let is_object = node.get("type").is_some_and(|kind| {
        kind == "object" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object"))
    });
    // Nesting counts objects and arrays; references and alternatives come for free.
    if depth > 20 {
        return false;
    }
    if is_object {
        let names = node.get("properties").and_then(Value::as_object);
        let required = node.get("required").and_then(Value::as_array);
        *count += names.map_or(0, Map::len);
        let is_required = |name: &String| required.is_some_and(|all| all.iter().any(|item| item == name));
        if depth > 10
            || *count > 5000
            || node.get("additionalProperties") != Some(&Value::Bool(false))
            || !names.is_none_or(|names| names.keys().all(is_required))
        {
            return false;
        }
    }
    node.iter().all(|(key, member)| match (key.as_str(), member) {
        ("properties" | "$defs", Value::Object(nodes)) => {
            nodes.values().all(|node| holds(node, depth + 1, count))
        }
        ("anyOf", Value::Array(nodes)) => nodes.iter().all(|node| holds(node, depth, count)),
        ("items", Value::Object(_)) => holds(member, depth + 1, count),
        ("properties" | "$defs" | "anyOf" | "items", _) => false,
        (key, _) => matches!(
            key,
            "type"
                | "enum"
                | "const"
                | "$ref"
                | "description"
                | "title"
                | "required"
                | "additionalProperties"
                | "pattern"
                | "format"
                | "minimum"
                | "maximum"
                | "exclusiveMinimum"
                | "exclusiveMaximum"
                | "multipleOf"
                | "minItems"
                | "maxItems"
        ),
    })
}

/// `value` with the members that OpenAI misses elsewhere: `properties` of objects, `items` of arrays, and an object at
/// the root of a tool.
pub(super) fn complete(value: &Value, purpose: Purpose) -> Value {
    let Value::Object(map) = value else {
        return if purpose == Purpose::Tool { no_arguments() } else { value.clone() };
    };
    if purpose == Purpose::Tool && is_bare_properties(map) {
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        schema.insert("properties".to_owned(), node(value, 0, true));
        return Value::Object(schema);
    }
    let mut root = map.clone();
    if purpose == Purpose::Tool && root.get("type").is_none_or(|kind| kind != "object") {
        root.shift_remove("type");
        root.shift_insert(0, "type".to_owned(), "object".into());
    }
    node(&Value::Object(root), 0, false)
}

/// A node, or a map of nodes.
fn node(value: &Value, depth: usize, is_map: bool) -> Value {
    let Value::Object(source) = value else { return value.clone() };
    if depth > super::MAX_DEPTH * 2 {
        return value.clone();
    }
    if is_map {
        return source.iter().map(|(name, child)| (name.clone(), node(child, depth + 1, false))).collect();
    }
    let mut out = Map::new();
    for (key, member) in source {
        let member = match (children(key), member) {
            (Children::Map, Value::Object(_)) => node(member, depth + 1, true),
            (Children::List | Children::NodeOrList, Value::Array(nodes)) => {
                Value::Array(nodes.iter().map(|child| node(child, depth + 1, false)).collect())
            }
            (Children::Node | Children::NodeOrList, Value::Object(_)) => node(member, depth + 1, false),
            _ => member.clone(),
        };
        out.insert(key.clone(), member);
    }
    match out.get("type").and_then(Value::as_str) {
        Some("object") if !out.get("properties").is_some_and(Value::is_object) => {
            out.insert("properties".to_owned(), Value::Object(Map::new()));
        }
        Some("array") if !out.contains_key("items") && !out.contains_key("prefixItems") => {
            out.insert("items".to_owned(), Value::Object(Map::new()));
        }
        _ => {}
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strict_holds_only_for_closed_and_fully_required_objects() {
        let good = json!({"type":"object","properties":{"a":{"type":["string","null"]},"b":{"type":"object",
            "properties":{},"additionalProperties":false}},"required":["a","b"],"additionalProperties":false});
        assert!(holds_strict(&Raw::from(&good)));
        let mut open = good.clone();
        open["additionalProperties"] = json!(true);
        let mut optional = good.clone();
        optional["required"] = json!(["a"]);
        let mut inner = good.clone();
        inner["properties"]["b"] = json!({"type":"object","properties":{}});
        let mut unknown = good.clone();
        unknown["properties"]["a"]["default"] = json!(1);
        for bad in [open, optional, inner, unknown, json!({"anyOf":[good]}), json!(true)] {
            assert!(!holds_strict(&Raw::from(&bad)), "{bad}");
        }
    }

    #[test]
    fn objects_get_properties_and_arrays_get_items() {
        assert_eq!(
            complete(
                &json!({"type":"object","properties":{"type":{"type":"array"},"o":{"type":"object"}}}),
                Purpose::Tool
            ),
            json!({"type":"object","properties":{"type":{"type":"array","items":{}},"o":{"type":"object","properties":{}}}})
        );
        assert_eq!(complete(&json!({}), Purpose::Tool), no_arguments());
    }
}
