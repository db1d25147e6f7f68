//! Writing a cleaned node in the order and the words that the dialect wants.

use crate::schema::{describe, single};
use serde_json::{Map, Value};

use super::{Node, insert_first};

/// Puts together what was gathered.
pub(super) fn finish(node: Node) -> Value {
    let Node { mut out, mut phrases, description, mut is_nullable, mut any_of, required } = node;
    enumeration(&mut out, &mut phrases, &mut is_nullable);
    if is_nullable {
        match out.get_mut("type") {
            Some(Value::String(name)) if name != "null" => {
                let both = vec![Value::from(std::mem::take(name)), "null".into()];
                out.insert("type".to_owned(), both.into());
            }
            Some(Value::Array(names)) if !names.iter().any(|name| name == "null") => {
                names.push("null".into());
            }
            Some(_) => {}
            None if !any_of.is_empty() => {
                let null = single("type", "null".into());
                if !any_of.contains(&null) {
                    any_of.push(null);
                }
            }
            None => {}
        }
    }
    if !any_of.is_empty() {
        out.insert("anyOf".to_owned(), any_of.into());
    }
    requirement(&mut out, &required);
    if let Some(Value::Array(order)) = out.get("propertyOrdering") {
        let known = out.get("properties").and_then(Value::as_object);
        let kept: Vec<Value> = order
            .iter()
            .filter(|name| {
                name.as_str().is_some_and(|name| known.is_some_and(|known| known.contains_key(name)))
            })
            .cloned()
            .collect();
        if kept.is_empty() {
            out.shift_remove("propertyOrdering");
        } else {
            out.insert("propertyOrdering".to_owned(), kept.into());
        }
    }
    if out.get("type").is_some_and(|kind| kind == "array")
        && !out.contains_key("items")
        && !out.contains_key("prefixItems")
    {
        out.insert("items".to_owned(), Value::Object(Map::new()));
    }
    if let Some(text) = describe(&phrases, description) {
        out.insert("description".to_owned(), text.into());
    }
    Value::Object(out)
}

/// `required` names existing properties, each once.
fn requirement(out: &mut Map<String, Value>, own: &[Value]) {
    let listed = out.get("required").and_then(Value::as_array);
    if listed.is_none() && own.is_empty() {
        return;
    }
    let properties = out.get("properties").and_then(Value::as_object);
    let mut kept: Vec<Value> = Vec::new();
    for name in listed.into_iter().flatten().chain(own) {
        let exists = name.as_str().is_some_and(|name| properties.is_some_and(|all| all.contains_key(name)));
        if exists && !kept.contains(name) {
            kept.push(name.clone());
        }
    }
    if kept.is_empty() {
        out.shift_remove("required");
    } else {
        out.insert("required".to_owned(), kept.into());
    }
}

/// Gemini's enums hold strings and numbers; the rest is said otherwise.
fn enumeration(out: &mut Map<String, Value>, phrases: &mut Vec<String>, is_nullable: &mut bool) {
    let Some(Value::Array(values)) = out.get("enum") else { return };
    let has_null = values.iter().any(Value::is_null);
    let values: Vec<Value> = values.iter().filter(|value| !value.is_null()).cloned().collect();
    *is_nullable |= has_null && !values.is_empty();
    if values.is_empty() {
        out.shift_remove("enum");
        if has_null && !out.contains_key("type") {
            out.insert("type".to_owned(), "null".into());
        }
        return;
    }
    let all = |test: fn(&Value) -> bool| values.iter().all(test);
    let kind = if all(Value::is_string) {
        Some("string")
    } else if all(|value| value.is_i64() || value.is_u64()) {
        Some("integer")
    } else if all(Value::is_number) {
        Some("number")
    } else if all(Value::is_boolean) {
        Some("boolean")
    } else {
        None
    };
    let is_plain = all(|value| value.is_string() || value.is_number());
    if let Some(kind) = kind
        && !out.contains_key("type")
    {
        insert_first(out, "type", kind.into());
    }
    if is_plain {
        out.insert("enum".to_owned(), values.into());
        return;
    }
    out.shift_remove("enum");
    let words: Vec<String> = values.iter().map(Value::to_string).collect();
    match words.as_slice() {
        [one] => phrases.push(format!("always {one}")),
        _ if kind == Some("boolean") => {}
        several => phrases.push(format!("one of {}", several.join(", "))),
    }
}
