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
