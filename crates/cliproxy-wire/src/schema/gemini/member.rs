//! What becomes of a single keyword of a schema.

use crate::schema::Dialect;
use serde_json::{Map, Value};

use super::{Cleaning, Node};

impl Cleaning<'_> {
    pub(super) fn member(
        &mut self,
        node: &mut Node,
        key: &str,
        member: &Value,
        source: &Map<String, Value>,
        depth: usize,
    ) {
        let is_lenient = self.dialect == Dialect::GeminiLenient;
        match (key, member) {
            ("type", member) => {
                if let Some(name) = types(member) {
                    node.out.insert(key.to_owned(), name);
                }
            }
            ("description", Value::String(text)) => node.description = Some(text.clone()),
            ("nullable", Value::Bool(flag)) => node.is_nullable |= *flag,
            ("const", value) => {
                node.out.insert("enum".to_owned(), vec![value.clone()].into());
            }
            ("enum", Value::Array(_)) => {
                node.out.insert(key.to_owned(), member.clone());
            }
            ("anyOf" | "oneOf", Value::Array(branches)) => {
                for branch in branches.iter().filter(|branch| **branch != Value::Bool(false)) {
                    let branch = self.node(branch, depth + 1);
                    node.any_of.push(branch);
                }
            }
            ("properties", Value::Object(properties)) => self.properties(node, properties, depth),
            ("required", Value::Array(_)) => {
                node.out.insert(key.to_owned(), member.clone());
            }
            ("items", Value::Array(items)) => {
                let items = items.iter().map(|item| self.node(item, depth + 1)).collect();
                node.out.insert("prefixItems".to_owned(), Value::Array(items));
            }
            ("items", item) => {
                let item = self.node(item, depth + 1);
                node.out.insert(key.to_owned(), item);
            }
            ("prefixItems", Value::Array(items)) => {
                let items = items.iter().map(|item| self.node(item, depth + 1)).collect();
                node.out.insert(key.to_owned(), Value::Array(items));
            }
            ("additionalProperties", Value::Bool(_)) => {
                node.out.insert(key.to_owned(), member.clone());
            }
            ("additionalProperties", Value::Object(_)) => {
                let member = self.node(member, depth + 1);
                node.out.insert(key.to_owned(), member);
            }
            ("$defs" | "definitions", Value::Object(definitions)) => {
                let mut own = match node.out.shift_remove("$defs") {
                    Some(Value::Object(own)) => own,
                    _ => Map::new(),
                };
                for (name, definition) in definitions {
                    let definition = self.node(definition, depth + 1);
                    own.entry(name.clone()).or_insert(definition);
                }
                node.out.insert("$defs".to_owned(), Value::Object(own));
            }
            ("format", Value::String(format)) => {
                let is_number =
                    matches!(source.get("type").and_then(Value::as_str), Some(kind) if is_numeric(kind));
                let is_kept = match format.as_str() {
                    "date-time" | "date" | "time" => true,
                    "enum" => self.dialect == Dialect::OpenApi,
                    _ => is_number,
                };
                if is_kept {
                    node.out.insert(key.to_owned(), member.clone());
                } else {
                    node.phrases.push(format!("format: {format}"));
                }
            }
            ("exclusiveMinimum" | "exclusiveMaximum", limit) => exclusive(node, key, limit, source),
            ("minimum" | "maximum", Value::Number(_)) => {
                // An exclusive bound that was read first may be the tighter one.
                let is_looser = node.out.get(key).is_some_and(|known| {
                    if key == "minimum" {
                        known.as_f64() >= member.as_f64()
                    } else {
                        known.as_f64() <= member.as_f64()
                    }
                });
                if !is_looser {
                    node.out.insert(key.to_owned(), member.clone());
                }
            }
            ("minItems" | "maxItems", Value::Number(_))
            | ("propertyOrdering", Value::Array(_))
            | ("$id" | "$anchor", Value::String(_)) => {
                node.out.insert(key.to_owned(), member.clone());
            }
            (
                "minLength" | "maxLength" | "pattern" | "minProperties" | "maxProperties" | "default",
                member,
            ) if self.dialect == Dialect::OpenApi => {
                node.out.insert(key.to_owned(), member.clone());
            }
            // Ignored by Gemini, so it may stay; but a keyword of another draft that changes the meaning may not.
            (key, member)
                if is_lenient
                    && !key.starts_with("x-")
                    && !matches!(key, "allOf" | "$schema" | "required" | "$ref" | "nullable") =>
            {
                node.out.insert(key.to_owned(), member.clone());
            }
            ("pattern", Value::String(pattern)) => node.phrases.push(format!("pattern: {pattern}")),
            (
                "minLength" | "maxLength" | "minProperties" | "maxProperties" | "multipleOf",
                Value::Number(limit),
            ) => node.phrases.push(format!("{key}: {limit}")),
            ("uniqueItems", Value::Bool(true)) => node.phrases.push("items are unique".to_owned()),
            _ => {}
        }
    }

    pub(super) fn properties(&mut self, node: &mut Node, properties: &Map<String, Value>, depth: usize) {
        let mut out = Map::new();
        for (name, property) in properties {
            match property {
                Value::Bool(false) => continue,
                Value::Object(map) if map.get("required") == Some(&Value::Bool(true)) => {
                    node.required.push(name.as_str().into());
                }
                _ => {}
            }
            let property = self.node(property, depth + 1);
            out.insert(name.clone(), property);
        }
        node.out.insert("properties".to_owned(), Value::Object(out));
    }
}

fn is_numeric(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("integer") || kind.eq_ignore_ascii_case("number")
}

/// A type or list of types with lower-case, known names.
fn types(value: &Value) -> Option<Value> {
    let known = |name: &Value| {
        let name = name.as_str()?.to_ascii_lowercase();
        matches!(name.as_str(), "string" | "number" | "integer" | "boolean" | "array" | "object" | "null")
            .then(|| Value::from(name))
    };
    match value {
        Value::Array(names) => {
            let mut list: Vec<Value> = Vec::new();
            for name in names.iter().filter_map(known) {
                if !list.contains(&name) {
                    list.push(name);
                }
            }
            if list.len() > 1 { Some(list.into()) } else { list.pop() }
        }
        name => known(name),
    }
}

/// An exclusive bound: for integers the next one is inclusive, else it is told.
fn exclusive(node: &mut Node, key: &str, limit: &Value, source: &Map<String, Value>) {
    let is_lower = key == "exclusiveMinimum";
    let plain = if is_lower { "minimum" } else { "maximum" };
    let limit = match limit {
        // Draft 4: a flag beside the plain bound.
        Value::Bool(true) => source.get(plain),
        Value::Number(_) => Some(limit),
        _ => None,
    };
    let Some(limit) = limit else { return };
    let is_integer =
        source.get("type").and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("integer"));
    match limit.as_i64().filter(|_| is_integer) {
        Some(limit) => {
            let inclusive = if is_lower { limit.saturating_add(1) } else { limit.saturating_sub(1) };
            let own = node.out.get(plain).or_else(|| source.get(plain)).and_then(Value::as_i64);
            let tighter =
                own.map_or(inclusive, |own| if is_lower { own.max(inclusive) } else { own.min(inclusive) });
            node.out.insert(plain.to_owned(), tighter.into());
        }
        None => node.phrases.push(format!("{} {limit}", if is_lower { "greater than" } else { "less than" })),
    }
}
