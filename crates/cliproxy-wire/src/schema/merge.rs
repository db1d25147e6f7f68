//! `allOf`: one node out of several.

use serde_json::{Map, Value};

use super::reference;

/// The node with its `allOf` merged in. References among the branches are put in place once; what they hold stays as
/// it is.
pub(super) fn all_of(node: &Map<String, Value>, root: &Value) -> Map<String, Value> {
    let mut merged = node.clone();
    // Branches may hold further `allOf`s and references; the bound cuts what leads in circles.
    let mut rest = 32usize;
    while let Some(Value::Array(branches)) = merged.shift_remove("allOf") {
        for branch in branches {
            let Some(left) = rest.checked_sub(1) else { return merged };
            rest = left;
            let target = match branch.get("$ref") {
                Some(Value::String(name)) => reference::resolve(root, name).cloned(),
                _ => None,
            };
            if let Some(Value::Object(target)) = target {
                into(&mut merged, target);
            }
            if let Value::Object(mut branch) = branch {
                branch.shift_remove("$ref");
                into(&mut merged, branch);
            }
        }
    }
    merged
}

/// Merges `other` into `node`; where both say something that cannot be joined, `node` wins and the description tells
/// the rest.
pub(super) fn into(node: &mut Map<String, Value>, other: Map<String, Value>) {
    for (key, value) in other {
        let Some(own) = node.get_mut(&key) else {
            node.insert(key, value);
            continue;
        };
        if *own == value {
            continue;
        }
        match (key.as_str(), own, value) {
            ("properties" | "$defs" | "definitions", Value::Object(own), Value::Object(value)) => {
                for (name, property) in value {
                    own.entry(name).or_insert(property);
                }
            }
            ("required" | "allOf", Value::Array(own), Value::Array(value)) => {
                for name in value {
                    if !own.contains(&name) {
                        own.push(name);
                    }
                }
            }
            ("enum", Value::Array(own), Value::Array(value)) => {
                let both: Vec<Value> = own.iter().filter(|item| value.contains(item)).cloned().collect();
                if !both.is_empty() {
                    *own = both;
                }
            }
            ("minimum" | "minLength" | "minItems" | "exclusiveMinimum" | "minProperties", own, value)
                if value.as_f64() > own.as_f64() =>
            {
                *own = value;
            }
            ("maximum" | "maxLength" | "maxItems" | "exclusiveMaximum" | "maxProperties", own, value)
                if value.as_f64() < own.as_f64() =>
            {
                *own = value;
            }
            ("type", own, value) => {
                let own_type = own.clone();
                match narrowed(&own_type, &value) {
                    Some(both) => *own = both,
                    None => note(node, &format!("also of type {}", words(&value))),
                }
            }
            ("description", Value::String(own), Value::String(value)) => {
                own.push('\n');
                own.push_str(&value);
            }
            ("additionalProperties", own, value)
                if value == Value::Bool(false) || *own == Value::Bool(true) =>
            {
                *own = value;
            }
            _ => {}
        }
    }
}

fn note(node: &mut Map<String, Value>, phrase: &str) {
    let text = match node.get("description").and_then(Value::as_str) {
        Some(text) if !text.is_empty() => format!("{text} ({phrase})"),
        _ => phrase.to_owned(),
    };
    node.insert("description".to_owned(), text.into());
}

fn words(value: &Value) -> String {
    names(value).join(" or ")
}

fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The types that both allow.
fn narrowed(own: &Value, other: &Value) -> Option<Value> {
    let other = names(other);
    let mut both: Vec<&str> = Vec::new();
    for name in names(own) {
        if other.contains(&name) {
            both.push(name);
        } else if (name == "number" && other.contains(&"integer"))
            || (name == "integer" && other.contains(&"number"))
        {
            both.push("integer");
        }
    }
    match both.as_slice() {
        [] => None,
        [one] => Some((*one).into()),
        several => Some(several.iter().copied().map(Value::from).collect()),
    }
}
