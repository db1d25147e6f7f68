//! What the configuration looks like as JSON, for whoever describes an interface to it.
//!
//! The schemas are made of the same declarations as the reader of the file. Values are described as the file usually
//! has them; what YAML lets a person write otherwise (`yes`, a bare number as text, an empty value) is read too.

use schemars::{JsonSchema as _, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, json};

use super::file::decode::{Field, key_name};
use super::file::{Ampcode, CompatibleEntry, Config, KeyEntry, KeyLimit};

/// The whole file.
pub fn whole(generator: &mut SchemaGenerator) -> Schema {
    Config::json_schema(generator)
}

/// The value of a key of the file; anything where there is no such key.
pub fn value(generator: &mut SchemaGenerator, key: &str) -> Schema {
    of(generator, Config::FIELDS, key)
}

/// The value of a key of the section `ampcode`.
pub fn of_ampcode(generator: &mut SchemaGenerator, key: &str) -> Schema {
    of(generator, Ampcode::FIELDS, key)
}

/// What may be changed of an entry of a list: its members, and `null` in the place of one removes it.
pub fn change(generator: &mut SchemaGenerator, key: &str) -> Schema {
    let fields = match key {
        "openai-compatibility" => CompatibleEntry::FIELDS,
        "api-key-limits" => KeyLimit::FIELDS,
        _ => KeyEntry::FIELDS,
    };
    let mut properties = Map::new();
    for field in fields {
        let shape = (field.schema)(generator);
        properties.insert(key_name(field.member), json!({"anyOf": [shape, {"type": "null"}]}));
    }
    json_schema!({"type": "object", "properties": properties})
}

fn of(generator: &mut SchemaGenerator, fields: &[Field], key: &str) -> Schema {
    let field = fields.iter().find(|field| key_name(field.member) == key);
    field.map(|field| (field.schema)(generator)).unwrap_or_default()
}
