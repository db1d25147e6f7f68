//! The OpenAPI-like form of schemas (`parameters`, `responseSchema`): out of the normal form that
//! [`super::gemini`] makes, and back into JSON Schema when a Gemini client sent it.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::json::{Kind, Raw, Reader};

use super::reference::{Children, children};
use super::{describe, single};

/// A cleaned JSON Schema without references in the OpenAPI-like form.
pub(super) fn from_normal(value: Value) -> Value {
    let Value::Object(mut map) = value else { return value };
    let mut phrases = Vec::new();
    let mut is_nullable = false;
    for key in ["$id", "$anchor", "$defs"] {
        map.shift_remove(key);
    }
    if let Some(Value::Object(entry)) = map.shift_remove("additionalProperties") {
        let kind = entry.get("type").and_then(Value::as_str).unwrap_or("anything");
        phrases.push(format!("map of {kind}"));
    }
    if let Some(Value::Array(items)) = map.shift_remove("prefixItems") {
        let mut distinct: Vec<Value> = Vec::new();
        for item in items {
            if !distinct.contains(&item) {
                distinct.push(item);
            }
        }
        map.insert("items".to_owned(), single("anyOf", distinct.into()));
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for property in properties.values_mut() {
            *property = from_normal(property.take());
        }
    }
    if let Some(items) = map.get_mut("items") {
        *items = from_normal(items.take());
    }
    let mut branches: Vec<Value> = match map.shift_remove("anyOf") {
        Some(Value::Array(branches)) => branches.into_iter().map(from_normal).collect(),
        _ => Vec::new(),
    };
    let before = branches.len();
    branches.retain(|branch| branch.get("type").is_none_or(|kind| kind != "NULL"));
    is_nullable |= branches.len() < before;
    if let Some(Value::Array(names)) = map.get("type") {
        let mut names: Vec<Value> = names.clone();
        let before = names.len();
        names.retain(|name| name != "null");
        is_nullable |= names.len() < before;
        if names.len() > 1 && branches.is_empty() {
            map.shift_remove("type");
            branches = names.into_iter().map(|name| from_normal(single("type", name))).collect();
        } else if let Some(name) = names.into_iter().next() {
            map.insert("type".to_owned(), name);
        }
    }
    enumeration(&mut map, &mut phrases);
    format(&mut map, &mut phrases);
    if let Some(Value::String(name)) = map.get_mut("type") {
        name.make_ascii_uppercase();
    }
    let description = match map.shift_remove("description") {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    if let Some(text) = describe(&phrases, description) {
        map.insert("description".to_owned(), text.into());
    }
    if is_nullable {
        map.insert("nullable".to_owned(), true.into());
    }
    if branches.is_empty() {
        return Value::Object(map);
    }
    // Members beside `anyOf` are refused by some versions, so every branch gets them.
    let mut branches: Vec<Value> = branches.into_iter().map(|branch| with(branch, &map)).collect();
    if branches.len() == 1 {
        return branches.pop().unwrap_or_default();
    }
    single("anyOf", branches.into())
}

/// `branch` with the members of `outer` that it lacks. The outer description wins, requirements are joined.
fn with(branch: Value, outer: &Map<String, Value>) -> Value {
    let Value::Object(mut branch) = branch else { return branch };
    for (key, value) in outer {
        match (key.as_str(), branch.get_mut(key), value) {
            ("description", _, _) | (_, None, _) => {
                branch.insert(key.clone(), value.clone());
            }
            ("required", Some(Value::Array(own)), Value::Array(outer)) => {
                for name in outer {
                    if !own.contains(name) {
                        own.push(name.clone());
                    }
                }
            }
            ("properties", Some(Value::Object(own)), Value::Object(outer)) => {
                for (name, property) in outer {
                    own.entry(name.clone()).or_insert_with(|| property.clone());
                }
            }
            _ => {}
        }
    }
    Value::Object(branch)
}

/// Enums hold strings only.
fn enumeration(map: &mut Map<String, Value>, phrases: &mut Vec<String>) {
    let Some(Value::Array(values)) = map.get_mut("enum") else { return };
    if values.iter().all(Value::is_string) {
        return;
    }
    let words: Vec<String> =
        values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
    let is_number = map.get("type").is_some_and(|kind| kind == "integer" || kind == "number");
    if is_number {
        phrases.push(format!("one of {}", words.join(", ")));
        map.shift_remove("enum");
    } else {
        map.insert("enum".to_owned(), words.into());
        map.insert("type".to_owned(), "string".into());
    }
}

fn format(map: &mut Map<String, Value>, phrases: &mut Vec<String>) {
    let Some(Value::String(format)) = map.get("format") else { return };
    if matches!(format.as_str(), "enum" | "date-time" | "float" | "double" | "int32" | "int64") {
        return;
    }
    phrases.push(format!("format: {format}"));
    map.shift_remove("format");
}

/// Whether a schema uses no word of the OpenAPI-like form.
pub(super) fn is_json_schema(schema: &Raw) -> bool {
    !schema.names().any(is_suspect) || has_no_word(&mut schema.reader()).unwrap_or(false)
}

/// Whether a member, if it is one of a node, may be a word of the OpenAPI-like form. Most schemas have none, which is
/// told without knowing what is a node.
fn is_suspect((name, value): (&str, &str)) -> bool {
    match name {
        "type" => {
            let kind = value.strip_prefix('"').unwrap_or_default().bytes().take_while(|byte| *byte != b'"');
            kind.into_iter().any(|byte| byte.is_ascii_uppercase() || byte == b'\\')
        }
        "nullable" | "propertyOrdering" | "example" => true,
        _ => name.contains('\\') || value.starts_with('"') && is_count(name),
    }
}

/// Whether no node uses a word of the OpenAPI-like form.
fn has_no_word(reader: &mut Reader<'_>) -> Result<bool, crate::Error> {
    let mut is_clean = true;
    if reader.kind() != Kind::Object {
        reader.skip()?;
        return Ok(true);
    }
    reader.object(|key, value| {
        let kind = value.kind();
        match (key, children(key), kind) {
            ("type", _, Kind::String) => {
                let name = value.str()?;
                is_clean &= !name.bytes().any(|byte| byte.is_ascii_uppercase());
            }
            ("nullable" | "propertyOrdering" | "example", _, _) => is_clean = false,
            (_, Children::Map, Kind::Object) => value.object(|_, node| {
                is_clean &= has_no_word(node)?;
                Ok(())
            })?,
            (_, Children::List | Children::NodeOrList, Kind::Array) => value.array(|_, node| {
                is_clean &= has_no_word(node)?;
                Ok(())
            })?,
            (_, Children::Node | Children::NodeOrList, Kind::Object) => is_clean &= has_no_word(value)?,
            (key, Children::None, Kind::String) if is_count(key) => is_clean = false,
            _ => {}
        }
        Ok(())
    })?;
    Ok(is_clean)
}

/// Members of proto type `int64`, which travel as strings.
fn is_count(key: &str) -> bool {
    matches!(key, "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties")
}

/// A schema in the OpenAPI-like form (or in JSON Schema, which it may be mixed with) as JSON Schema.
pub(super) fn to_json_schema(value: Value, depth: usize) -> Value {
    let Value::Object(map) = value else { return value };
    if depth > super::MAX_DEPTH {
        return Value::Object(map);
    }
    let mut out = Map::new();
    let mut is_nullable = false;
    let mut order = Vec::new();
    for (key, member) in map {
        match (key.as_str(), children(&key), member) {
            ("type", _, Value::String(name)) => {
                if name != "TYPE_UNSPECIFIED" {
                    out.insert(key, name.to_ascii_lowercase().into());
                }
            }
            ("nullable", _, Value::Bool(flag)) => is_nullable = flag,
            ("propertyOrdering", _, Value::Array(names)) => order = names,
            ("example", _, member) => {
                out.insert("examples".to_owned(), vec![member].into());
            }
            (count, _, Value::String(text)) if is_count(count) => {
                let number = text.parse::<u64>().map_or_else(|_| Value::String(text), Value::from);
                out.insert(key, number);
            }
            (_, Children::Map, Value::Object(nodes)) => {
                let nodes =
                    nodes.into_iter().map(|(name, node)| (name, to_json_schema(node, depth + 1))).collect();
                out.insert(key, Value::Object(nodes));
            }
            (_, Children::List | Children::NodeOrList, Value::Array(nodes)) => {
                let nodes = nodes.into_iter().map(|node| to_json_schema(node, depth + 1)).collect();
                out.insert(key, Value::Array(nodes));
            }
            (_, Children::Node | Children::NodeOrList, member) => {
                out.insert(key, to_json_schema(member, depth + 1));
            }
            (_, _, member) => {
                out.insert(key, member);
            }
        }
    }
    if is_nullable {
        nullable(&mut out);
    }
    if let Some(Value::Object(properties)) = out.get_mut("properties")
        && !order.is_empty()
    {
        let mut ordered = Map::new();
        for name in order.iter().filter_map(Value::as_str) {
            if let Some(property) = properties.shift_remove(name) {
                ordered.insert(name.to_owned(), property);
            }
        }
        ordered.append(properties);
        *properties = ordered;
    }
    Value::Object(out)
}

fn nullable(out: &mut Map<String, Value>) {
    if let Some(Value::String(name)) = out.get("type") {
        let both = vec![Value::from(Cow::Borrowed(name.as_str())), "null".into()];
        out.insert("type".to_owned(), both.into());
        if let Some(Value::Array(values)) = out.get_mut("enum")
            && !values.contains(&Value::Null)
        {
            values.push(Value::Null);
        }
    } else if let Some(Value::Array(branches)) = out.get_mut("anyOf") {
        branches.push(single("type", "null".into()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Cleaned, Dialect, Purpose, clean, from_openapi};
    use super::*;

    fn open(value: &Value) -> Value {
        clean(&Raw::from(value), Dialect::OpenApi, Purpose::Tool, &Cleaned::default()).unwrap().to_value()
    }

    fn property(value: &Value) -> Value {
        open(&json!({"type":"object","properties":{"p":value}}))["properties"]["p"].take()
    }

    #[test]
    fn j085_a_type_list_becomes_nullable_in_openapi_form() {
        assert_eq!(property(&json!({"type":["string","null"]})), json!({"type":"STRING","nullable":true}));
        assert_eq!(
            property(&json!({"type":["string","integer","null"],"description":"d"})),
            json!({"anyOf":[{"type":"STRING","description":"d","nullable":true},
                {"type":"INTEGER","description":"d","nullable":true}]})
        );
        assert_eq!(
            property(
                &json!({"anyOf":[{"type":"string","description":"in"},{"type":"null"}],"description":"out"})
            ),
            json!({"type":"STRING","description":"out","nullable":true})
        );
    }

    #[test]
    fn j086_numeric_enums_never_appear_as_numbers_in_openapi_form() {
        assert_eq!(
            property(&json!({"type":"integer","enum":[1,2]})),
            json!({"type":"INTEGER","description":"one of 1, 2"})
        );
        assert_eq!(property(&json!({"enum":["a",1]})), json!({"type":"STRING","enum":["a","1"]}));
    }

    #[test]
    fn references_are_put_in_place_and_cycles_are_cut() {
        let schema = json!({"type":"object","properties":{"n":{"$ref":"#/$defs/Node"}},
            "$defs":{"Node":{"type":"object","properties":{"next":{"$ref":"#/$defs/Node"}}}}});
        assert_eq!(
            open(&schema),
            json!({"type":"OBJECT","properties":{"n":{"type":"OBJECT","properties":{
                "next":{"type":"OBJECT","description":"recursive: Node"}}}}})
        );
    }

    #[test]
    fn exponential_references_are_bounded() {
        let mut definitions = Map::new();
        for level in 0..40 {
            let next = format!("#/$defs/L{}", level + 1);
            definitions.insert(
                format!("L{level}"),
                json!({"type":"object","properties":{"a":{"$ref":next},"b":{"$ref":next}}}),
            );
        }
        definitions.insert("L40".to_owned(), json!({"type":"string"}));
        let schema = json!({"type":"object","properties":{"x":{"$ref":"#/$defs/L0"}},"$defs":definitions});
        assert!(open(&schema).to_string().len() < 8 << 20);
    }

    #[test]
    fn members_unknown_to_the_form_are_told() {
        assert_eq!(
            property(&json!({"type":"object","additionalProperties":{"type":"string"},"minProperties":1})),
            json!({"type":"OBJECT","minProperties":1,"description":"map of string"})
        );
        assert_eq!(
            property(&json!({"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}]})),
            json!({"type":"ARRAY","items":{"anyOf":[{"type":"STRING"},{"type":"INTEGER"}]}})
        );
        assert_eq!(
            property(&json!({"type":"string","pattern":"^a","default":"a","format":"uuid","title":"T"})),
            json!({"type":"STRING","pattern":"^a","default":"a","description":"format: uuid"})
        );
    }

    #[test]
    fn j123_the_openapi_form_becomes_json_schema() {
        let schema = json!({"type":"OBJECT","propertyOrdering":["b","a"],"properties":{
            "a":{"type":"STRING","nullable":true,"example":"x"},
            "b":{"type":"ARRAY","minItems":"1","items":{"type":"INTEGER"}}}});
        let expected = r#"{"type":"object","properties":{"b":{"type":"array","minItems":1,"items":{"type":"integer"}},"a":{"type":["string","null"],"examples":["x"]}}}"#;
        assert_eq!(from_openapi(&Raw::from(&schema), None).as_str(), expected);
        let known = Cleaned::default();
        for _first_then_remembered in 0..2 {
            assert_eq!(from_openapi(&Raw::from(&schema), Some(&known)).as_str(), expected);
        }
        let plain = Raw::new(r#"{ "type":"object", "properties":{"nullable":{"type":"string"}} }"#);
        assert_eq!(from_openapi(&plain, None), plain);
    }

    #[test]
    fn every_word_of_the_form_is_told_by_itself() {
        let words = [
            r#""type" : "STRING""#,
            r#""type":"sTRING""#,
            r#""\u0074ype":"STRING""#,
            r#""type":"\u0053TRING""#,
            r#""nullable":true"#,
            r#""propertyOrdering":[]"#,
            r#""example":1"#,
            r#""maxItems": "1""#,
            r#""minLength":"1""#,
        ];
        for word in words {
            for schema in [
                format!("{{{word}}}"),
                format!(
                    r#"{{"type":"object","properties":{{"type":{{"anyOf":[{{"title":"A",{word}}}]}}}}}}"#
                ),
            ] {
                let raw = Raw::parse(&schema).unwrap();
                assert_ne!(from_openapi(&raw, None), raw, "{schema}");
            }
        }
        for plain in
            [r#"{"type":"string","maxItems":1,"title":"STRING"}"#, r#""STRING""#, r#"{"enum":["A"]}"#]
        {
            let plain = Raw::new(plain);
            assert!(!plain.names().any(is_suspect));
            assert_eq!(from_openapi(&plain, None), plain);
        }
    }
}
