//! Schemas as Gemini takes them.

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
        property(&json!({"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},
            {"properties":{"b":{"type":"string"}},"required":["b"]}]})),
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
