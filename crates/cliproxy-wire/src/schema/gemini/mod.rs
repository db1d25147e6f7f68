//! Schemas for Gemini: the documented subset of JSON Schema, and the normal form that the OpenAPI-like form starts from.
//!
//! What a keyword says and Gemini cannot check is told to the model in the description.

mod finish;
mod member;

use serde_json::{Map, Value};

use super::reference::{self, Inliner};
use super::{
    Dialect, MAX_DEPTH, MAX_NODES, Purpose, is_bare_properties, merge, no_arguments, openapi, single,
};

use finish::finish;

const NOT_AN_OBJECT: &str = "the root of a tool's schema must be an object";

/// `value` as Gemini accepts it.
///
/// # Errors
/// When the root of a tool's schema is no object and cannot be read as one.
pub(super) fn clean(value: &Value, dialect: Dialect, purpose: Purpose) -> Result<Value, &'static str> {
    let inlined;
    let mut root = value;
    if dialect == Dialect::OpenApi {
        inlined = Inliner::new(value).node(value, 0);
        root = &inlined;
    }
    let wrapped;
    if let Value::Object(map) = root
        && purpose == Purpose::Tool
        && is_bare_properties(map)
    {
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        schema.insert("properties".to_owned(), root.clone());
        wrapped = Value::Object(schema);
        root = &wrapped;
    }
    let mut cleaning = Cleaning { dialect, root, open: Vec::new(), nodes: 0 };
    let mut cleaned = cleaning.root();
    if purpose == Purpose::Tool {
        demand_object(&mut cleaned)?;
    } else if let Value::Object(map) = &mut cleaned
        && map.contains_key("properties")
        && !map.contains_key("type")
    {
        insert_first(map, "type", "object".into());
    }
    reference::relax_cycles(&mut cleaned);
    if dialect == Dialect::OpenApi {
        cleaned = openapi::from_normal(cleaned);
    }
    Ok(cleaned)
}

fn demand_object(root: &mut Value) -> Result<(), &'static str> {
    let Value::Object(map) = root else {
        *root = no_arguments();
        return Ok(());
    };
    let is_object = match map.get("type") {
        None => {
            insert_first(map, "type", "object".into());
            true
        }
        Some(Value::String(name)) => name == "object",
        Some(Value::Array(names)) => {
            let has_object = names.iter().any(|name| name == "object");
            map.insert("type".to_owned(), "object".into());
            has_object
        }
        Some(_) => false,
    };
    if is_object { Ok(()) } else { Err(NOT_AN_OBJECT) }
}

fn insert_first(map: &mut Map<String, Value>, key: &str, value: Value) {
    map.shift_insert(0, key.to_owned(), value);
}

struct Cleaning<'r> {
    dialect: Dialect,
    root: &'r Value,
    /// References being put in place.
    open: Vec<String>,
    nodes: usize,
}

/// What is gathered while the members of a node are read.
#[derive(Default)]
struct Node {
    out: Map<String, Value>,
    phrases: Vec<String>,
    description: Option<String>,
    is_nullable: bool,
    any_of: Vec<Value>,
    /// Properties that say `required:true` themselves.
    required: Vec<Value>,
}

impl Cleaning<'_> {
    fn root(&mut self) -> Value {
        let Value::Object(map) = self.root else { return no_arguments() };
        let Some(Value::String(reference)) = map.get("$ref") else { return self.node(self.root, 0) };
        // A reference at the root is put in place, since the root must be an object with members of its own.
        let mut merged = map.clone();
        merged.shift_remove("$ref");
        let mut next = Some(reference.clone());
        let mut seen: Vec<String> = Vec::new();
        while let Some(reference) = next.take().filter(|reference| !seen.contains(reference)) {
            if let Some(Value::Object(target)) = reference::resolve(self.root, &reference) {
                let mut target = target.clone();
                next = target.shift_remove("$ref").and_then(|further| further.as_str().map(str::to_owned));
                merge::into(&mut merged, target);
            }
            seen.push(reference);
        }
        self.node(&Value::Object(merged), 0)
    }

    fn node(&mut self, value: &Value, depth: usize) -> Value {
        let Value::Object(source) = value else { return Value::Object(Map::new()) };
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return reference::cut("#too deep");
        }
        if let Some(Value::String(reference)) = source.get("$ref") {
            return self.reference(reference, source, depth);
        }
        let merged;
        let source = if source.contains_key("allOf") {
            merged = merge::all_of(source, self.root);
            &merged
        } else {
            source
        };
        let mut node = Node::default();
        for (key, member) in source {
            self.member(&mut node, key, member, source, depth);
        }
        finish(node)
    }

    /// A reference stays one where it can; members beside it are not allowed, so they move out.
    fn reference(&mut self, reference: &str, source: &Map<String, Value>, depth: usize) -> Value {
        let kept = match reference.strip_prefix("#/definitions/") {
            Some(rest) => format!("#/$defs/{rest}"),
            None => reference.to_owned(),
        };
        let definition = kept.strip_prefix("#/$defs/").filter(|name| !name.contains('/'));
        let target = match (definition, reference::resolve(self.root, reference)) {
            (Some(_), Some(_)) => single("$ref", kept.into()),
            (None, Some(target)) if !self.open.iter().any(|open| open == reference) && reference != "#" => {
                self.open.push(reference.to_owned());
                let target = self.node(target, depth + 1);
                self.open.pop();
                target
            }
            _ => reference::cut(reference),
        };
        let mut siblings = source.clone();
        siblings.retain(|key, _| !key.starts_with('$') && key != "definitions");
        let definitions: Vec<(String, Value)> = source
            .iter()
            .filter(|(key, _)| matches!(key.as_str(), "$defs" | "definitions"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if siblings.is_empty() && definitions.is_empty() {
            return target;
        }
        siblings.extend(definitions);
        let mut node = Node { any_of: vec![target], ..Node::default() };
        let all = siblings.clone();
        for (key, member) in &siblings {
            self.member(&mut node, key, member, &all, depth);
        }
        finish(node)
    }
}

#[cfg(test)]
mod tests;
