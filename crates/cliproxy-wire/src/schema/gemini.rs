//! Schemas for Gemini: the documented subset of JSON Schema, and the normal form that the OpenAPI-like form starts from.
//!
//! What a keyword says and Gemini cannot check is told to the model in the description.

use serde_json::{Map, Value};

use super::reference::{self, Inliner};
use super::{
    Dialect, MAX_DEPTH, MAX_NODES, Purpose, describe, is_bare_properties, merge, no_arguments, openapi,
    single,
};

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

    fn member(
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

    fn properties(&mut self, node: &mut Node, properties: &Map<String, Value>, depth: usize) {
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

/// Puts together what was gathered.
fn finish(node: Node) -> Value {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn strict(value: &Value) -> Value {
        clean(value, Dialect::GeminiStrict, Purpose::Tool).unwrap()
    }

    fn property(value: &Value) -> Value {
        let mut schema = strict(&json!({"type":"object","properties":{"p":value}}));
        schema["properties"]["p"].take()
    }

    #[test]
    fn j083_properties_named_like_keywords_survive_and_removed_keywords_do_not() {
        let cleaned = strict(&json!({
            "$schema":"http://json-schema.org/draft-07/schema#", "title":"T", "type":"object",
            "properties":{
                "format":{"type":"string","format":"email","title":"F"},
                "title":{"type":"string","default":"x","examples":["y"]},
                "required":{"type":"boolean"},
                "type":{"type":"string","pattern":"^a+$","description":"kind"},
                "$ref":{"type":"string"}
            },
            "required":["format","title","required","type","$ref","ghost"],
            "additionalProperties":false
        }));
        assert_eq!(
            cleaned,
            json!({
                "type":"object",
                "properties":{
                    "format":{"type":"string","description":"format: email"},
                    "title":{"type":"string"},
                    "required":{"type":"boolean"},
                    "type":{"type":"string","description":"kind (pattern: ^a+$)"},
                    "$ref":{"type":"string"}
                },
                "required":["format","title","required","type","$ref"],
                "additionalProperties":false
            })
        );
    }

    #[test]
    fn j085_a_nullable_type_stays_in_json_schema_form() {
        assert_eq!(property(&json!({"type":["string","null"]})), json!({"type":["string","null"]}));
        assert_eq!(property(&json!({"type":"string","nullable":true})), json!({"type":["string","null"]}));
        assert_eq!(
            property(&json!({"type":"string","enum":["a",null]})),
            json!({"type":["string","null"],"enum":["a"]})
        );
    }

    #[test]
    fn j086_const_becomes_an_enum_and_numeric_enums_survive() {
        assert_eq!(property(&json!({"const":"v"})), json!({"type":"string","enum":["v"]}));
        assert_eq!(property(&json!({"enum":[1,2]})), json!({"type":"integer","enum":[1,2]}));
        assert_eq!(property(&json!({"const":true})), json!({"type":"boolean","description":"always true"}));
    }

    #[test]
    fn j084_recursive_references_do_not_overflow_and_stay_acceptable() {
        let cleaned = strict(&json!({
            "type":"object",
            "properties":{"tree":{"$ref":"#/definitions/Node","description":"root"}},
            "definitions":{"Node":{"type":"object","properties":{"next":{"$ref":"#/definitions/Node"},"v":{"type":"integer"}},
                "required":["next","v"]}}
        }));
        assert_eq!(
            cleaned,
            json!({
                "type":"object",
                "properties":{"tree":{"anyOf":[{"$ref":"#/$defs/Node"}],"description":"root"}},
                "$defs":{"Node":{"type":"object","properties":{"next":{"$ref":"#/$defs/Node"},"v":{"type":"integer"}},
                    "required":["v"]}}
            })
        );
        let own = strict(&json!({"type":"object","properties":{"self":{"$ref":"#"}}}));
        assert_eq!(own["properties"]["self"]["type"], "object");
        let loops =
            strict(&json!({"$ref":"#/$defs/A","$defs":{"A":{"$ref":"#/$defs/B"},"B":{"$ref":"#/$defs/A"}}}));
        assert_eq!(loops["type"], "object");
        let inside = strict(
            &json!({"type":"object","properties":{"a":{"type":"object","properties":{"b":{"$ref":"#/properties/a"}}}}}),
        );
        assert_eq!(inside["properties"]["a"]["type"], "object");
    }

    #[test]
    fn all_of_merges_and_one_of_becomes_any_of() {
        assert_eq!(
            property(
                &json!({"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},
                {"properties":{"b":{"type":"string"}},"required":["b"]}]})
            ),
            json!({"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a","b"]})
        );
        assert_eq!(
            property(&json!({"oneOf":[{"type":"string"},{"type":"integer"},false]})),
            json!({"anyOf":[{"type":"string"},{"type":"integer"}]})
        );
    }

    #[test]
    fn exclusive_bounds_of_integers_become_inclusive() {
        assert_eq!(
            property(&json!({"type":"integer","exclusiveMinimum":0,"exclusiveMaximum":10})),
            json!({"type":"integer","minimum":1,"maximum":9})
        );
        assert_eq!(
            property(&json!({"type":"number","exclusiveMinimum":0})),
            json!({"type":"number","description":"greater than 0"})
        );
        assert_eq!(
            property(&json!({"type":"integer","minimum":3,"exclusiveMinimum":true})),
            json!({"type":"integer","minimum":4})
        );
    }

    #[test]
    fn arrays_get_items_and_required_flags_move_up() {
        assert_eq!(property(&json!({"type":"ARRAY"})), json!({"type":"array","items":{}}));
        let cleaned = strict(&json!({"type":"object","properties":{"a":{"type":"string","required":true}}}));
        assert_eq!(cleaned, json!({"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}));
    }

    #[test]
    fn a_root_that_is_no_object_is_refused_unless_it_can_be_read_as_one() {
        assert!(clean(&json!({"type":"string"}), Dialect::GeminiStrict, Purpose::Tool).is_err());
        assert_eq!(
            clean(&json!({"type":"array","items":{"type":"string"}}), Dialect::GeminiStrict, Purpose::Answer),
            Ok(json!({"type":"array","items":{"type":"string"}}))
        );
        assert_eq!(
            strict(&json!({"city":{"type":"string"}})),
            json!({"type":"object","properties":{"city":{"type":"string"}}})
        );
        assert_eq!(strict(&json!(true)), no_arguments());
    }

    #[test]
    fn lenient_cleaning_keeps_what_is_only_ignored() {
        let cleaned = clean(
            &json!({"$schema":"x","type":"object","properties":{"a":{"type":"string","default":"d","minLength":1,"x-a":1}}}),
            Dialect::GeminiLenient,
            Purpose::Tool,
        );
        assert_eq!(
            cleaned,
            Ok(json!({"type":"object","properties":{"a":{"type":"string","default":"d","minLength":1}}}))
        );
    }
}
