//! A small value that fits a JSON Schema, always the same for the same schema.

use serde_json::{Map, Value};

/// The text of a value that fits `schema`; the plain cases that tools and structured answers use.
pub(super) fn of_schema(schema: &Value) -> String {
    value(schema, schema, 0).to_string()
}

fn value(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth > 16 {
        return Value::Null;
    }
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Value::Null, |target| value(target, root, depth + 1));
    }
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(first) = schema.get("enum").and_then(Value::as_array).and_then(|values| values.first()) {
        return first.clone();
    }
    for combinator in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) =
            schema.get(combinator).and_then(Value::as_array).and_then(|branches| branches.first())
        {
            return value(first, root, depth + 1);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.to_ascii_lowercase(),
        Some(Value::Array(kinds)) => {
            let first = kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null");
            first.unwrap_or("null").to_ascii_lowercase()
        }
        _ if schema.get("properties").is_some() => "object".to_owned(),
        _ => "string".to_owned(),
    };
    match kind.as_str() {
        "object" => {
            let mut object = Map::new();
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                for (name, property) in properties {
                    object.insert(name.clone(), value(property, root, depth + 1));
                }
            }
            Value::Object(object)
        }
        "array" => {
            let items = schema.get("items").map(|items| value(items, root, depth + 1));
            Value::Array(items.into_iter().collect())
        }
        "integer" => schema.get("minimum").cloned().unwrap_or_else(|| 42.into()),
        "number" => schema.get("minimum").cloned().unwrap_or_else(|| 4.5.into()),
        "boolean" => Value::Bool(true),
        "null" => Value::Null,
        _ => Value::String("demo".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_fits_its_schema_and_recursion_ends() {
        let schema = serde_json::json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["c", "f"]},
                "days": {"type": ["integer", "null"]},
                "child": {"$ref": "#"},
            },
        });
        let text = of_schema(&schema);
        assert!(text.starts_with(r#"{"city":"demo","unit":"c","days":42,"child":{"city":"demo""#), "{text}");
    }
}
