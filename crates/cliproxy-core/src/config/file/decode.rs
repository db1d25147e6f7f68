//! From tree nodes to typed sections.
//!
//! A [`Cursor`] walks the tree, knows the path, and collects what is wrong; a [`Decode`] type
//! says how it is read. The `section!` macro writes the struct of one YAML mapping together with
//! its decoder, so the list of known keys, from which suggestions come, cannot drift from the
//! struct. Typing follows what users of existing files rely on: `yes` and `on` are booleans, a
//! bare number is fine as text, but a quoted number is no number and `null` means absent.

use std::ops::Deref;
use std::sync::Arc;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::nearest::nearest;
use super::scalar::{boolean, integer, json};
use super::tree::{Entry, Kind, Node, member};
use crate::config::code::noun;
use crate::config::diagnostic::{Code, Origin, Position, Report};
use crate::secret::Secret;

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Placed<T> {
    /// Where it was written.
    pub origin: Origin,
    /// What was written.
    pub value: T,
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A list; `null` and absence are the same.
pub type List<T> = Vec<Placed<T>>;

/// A mapping with free keys, in file order.
pub type Map<T> = Vec<(String, Placed<T>)>;

/// A value of any shape, kept for whoever understands it.
#[derive(Clone, Debug)]
pub struct Free(pub(crate) Node);

impl Free {
    /// Whether there is nothing inside.
    pub fn is_empty(&self) -> bool {
        match &self.0.kind {
            Kind::Null => true,
            Kind::Scalar { text, .. } => text.is_empty(),
            Kind::List(items) => items.is_empty(),
            Kind::Map(entries) => entries.is_empty(),
        }
    }

    /// The value as JSON, plain scalars typed by the YAML core rules.
    pub fn to_json(&self) -> serde_json::Value {
        tree_json(&self.0)
    }
}

/// How a type is read from a node. `None` means that a problem was reported, or that there is
/// nothing.
pub(crate) trait Decode: Sized {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self>;

    /// What it looks like as JSON.
    fn schema(generator: &mut SchemaGenerator) -> Schema;
}

/// One member of a section, for descriptions of it.
#[derive(Debug)]
pub(crate) struct Field {
    /// As [`key_name`] takes it.
    pub(crate) member: &'static str,
    /// What it decides.
    pub(crate) about: &'static str,
    /// What it looks like.
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
}

/// A section as JSON: nothing has to be there, and keys that nobody knows may be.
pub(crate) fn described(about: &str, fields: &[Field], generator: &mut SchemaGenerator) -> Schema {
    let mut properties = serde_json::Map::new();
    for field in fields {
        let mut schema = (field.schema)(generator);
        schema.insert("description".to_owned(), field.about.trim().into());
        properties.insert(key_name(field.member), schema.into());
    }
    json_schema!({"type": "object", "description": about.trim(), "properties": properties})
}

/// The place in the tree and the report.
pub(crate) struct Cursor<'report> {
    report: &'report mut Report,
    path: String,
    key: Position,
}

impl<'report> Cursor<'report> {
    pub(crate) fn new(report: &'report mut Report) -> Self {
        Self { report, path: String::new(), key: Position::default() }
    }

    fn origin(&self, node: &Node) -> Origin {
        Origin { path: Arc::from(self.path.as_str()), key: self.key, value: node.position }
    }

    /// Reads the value of one member.
    pub(crate) fn field<T: Decode>(&mut self, entry: &Entry) -> Option<Placed<T>> {
        if matches!(entry.value.kind, Kind::Null) {
            return None;
        }
        self.below(&member(&self.path, &entry.key), entry.position, &entry.value)
    }

    fn below<T: Decode>(&mut self, path: &str, key: Position, node: &Node) -> Option<Placed<T>> {
        let path = std::mem::replace(&mut self.path, path.to_owned());
        let key = std::mem::replace(&mut self.key, key);
        let value = T::decode(node, self).map(|value| Placed { origin: self.origin(node), value });
        self.path = path;
        self.key = key;
        value
    }

    /// The members of a mapping; nothing counts as an empty one.
    pub(crate) fn members<'node>(&mut self, node: &'node Node) -> Option<&'node [Entry]> {
        match &node.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Null => Some(&[]),
            _ => {
                self.mismatch(node, noun::MAPPING_LINES);
                None
            }
        }
    }

    /// Reports a key that nobody knows.
    pub(crate) fn unknown(&mut self, entry: &Entry, known: &[&str]) {
        let path = member(&self.path, &entry.key);
        let matter = match nearest(&entry.key, known) {
            Some(near) => Code::UnknownKey.with("near", near),
            None => Code::UnknownKey.into(),
        };
        self.report.warning_at(entry.position, &path, matter);
    }

    /// Reports a key that is accepted without effect on purpose.
    pub(crate) fn ignored(&mut self, entry: &Entry) {
        let path = member(&self.path, &entry.key);
        self.report.ignored(entry.position, &path, Code::DisguiseKey);
    }

    /// Reports a value that its type does not allow.
    pub(crate) fn refuse(&mut self, node: &Node, code: Code) {
        self.report.problem_at(node.position, &self.path, code);
    }

    /// Reports what stands in the place of a number or of true or false; the words themselves may be a secret.
    fn mistyped<T>(
        &mut self,
        node: &Node,
        wanted: &'static str,
        is_quoted: bool,
        fits_unquoted: bool,
    ) -> Option<T> {
        let found = if is_quoted { noun::QUOTED } else { noun::OTHER_TEXT };
        let matter = if fits_unquoted {
            Code::QuotedValue.with("wanted", wanted)
        } else {
            Code::WrongType.with("wanted", wanted).with("found", found)
        };
        self.report.problem_at(node.position, &self.path, matter);
        None
    }

    fn mismatch(&mut self, node: &Node, wanted: &'static str) -> Option<()> {
        let matter = Code::WrongType.with("wanted", wanted).with("found", node.noun());
        self.report.problem_at(node.position, &self.path, matter);
        None
    }

    fn scalar<'node>(&mut self, node: &'node Node, wanted: &'static str) -> Option<(&'node str, bool)> {
        match &node.kind {
            Kind::Scalar { text, is_quoted } => Some((text, *is_quoted)),
            Kind::Null => None,
            _ => {
                self.mismatch(node, wanted);
                None
            }
        }
    }
}

impl Decode for String {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        cursor.scalar(node, noun::TEXT).map(|(text, _)| text.to_owned())
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string"})
    }
}

impl Decode for Secret {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        String::decode(node, cursor).map(Self::from)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        String::schema(generator)
    }
}

impl Decode for bool {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        let (text, is_quoted) = cursor.scalar(node, noun::BOOLEAN)?;
        let value = boolean(text);
        if value.is_none() || is_quoted {
            return cursor.mistyped(node, noun::BOOLEAN, is_quoted, value.is_some());
        }
        value
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "boolean"})
    }
}

impl Decode for i64 {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        let (text, is_quoted) = cursor.scalar(node, noun::WHOLE_NUMBER)?;
        let value = integer(text);
        if value.is_none() || is_quoted {
            return cursor.mistyped(node, noun::WHOLE_NUMBER, is_quoted, value.is_some());
        }
        value
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer"})
    }
}

impl Decode for f64 {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        let (text, is_quoted) = cursor.scalar(node, noun::NUMBER)?;
        let value = json(text).as_f64();
        if value.is_none() || is_quoted {
            return cursor.mistyped(node, noun::NUMBER, is_quoted, value.is_some());
        }
        value
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number"})
    }
}

impl Decode for Free {
    fn decode(node: &Node, _: &mut Cursor<'_>) -> Option<Self> {
        Some(Self(node.clone()))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        Schema::default()
    }
}

impl<T: Decode> Decode for List<T> {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        let items = match &node.kind {
            Kind::List(items) => items,
            Kind::Null => return Some(Self::new()),
            _ => {
                cursor.mismatch(node, noun::LIST_LINES);
                return None;
            }
        };
        let mut list = Self::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}[{index}]", cursor.path);
            list.extend(cursor.below(&path, item.position, item));
        }
        Some(list)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "array", "items": T::schema(generator)})
    }
}

impl<T: Decode> Decode for Map<T> {
    fn decode(node: &Node, cursor: &mut Cursor<'_>) -> Option<Self> {
        let entries = cursor.members(node)?;
        let mut map = Self::with_capacity(entries.len());
        for entry in entries {
            let path = member(&cursor.path, &entry.key);
            let value = cursor.below(&path, entry.position, &entry.value);
            map.extend(value.map(|value| (entry.key.clone(), value)));
        }
        Some(map)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": T::schema(generator)})
    }
}

fn tree_json(node: &Node) -> serde_json::Value {
    use serde_json::Value;
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Scalar { text, is_quoted: true } => Value::String(text.clone()),
        Kind::Scalar { text, .. } => json(text),
        Kind::List(items) => Value::Array(items.iter().map(tree_json).collect()),
        Kind::Map(entries) => {
            Value::Object(entries.iter().map(|entry| (entry.key.clone(), tree_json(&entry.value))).collect())
        }
    }
}

/// Whether a struct member's name stands for this key.
pub(crate) fn is_named(member: &str, key: &str) -> bool {
    let member = member.strip_prefix("r#").unwrap_or(member);
    member.len() == key.len()
        && member
            .bytes()
            .zip(key.bytes())
            .all(|(ours, theirs)| if ours == b'_' { theirs == b'-' } else { ours == theirs })
}

/// The key that a struct member's name stands for.
pub(crate) fn key_name(member: &str) -> String {
    member.strip_prefix("r#").unwrap_or(member).replace('_', "-")
}

/// Declares the struct of one YAML mapping and how it is read.
///
/// Member names are the keys with `_` for `-`. Keys after `disguise:` are accepted and ignored
/// with one warning.
macro_rules! section {
    (
        $(#[doc = $about:literal])*
        pub struct $name:ident {
            $( $(#[doc = $field_about:literal])* $field:ident: $kind:ty, )*
        }
        $( disguise: [ $($disguise:literal),* $(,)? ] )?
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            $( $(#[doc = $field_about])* pub $field: Option<$crate::config::file::decode::Placed<$kind>>, )*
        }

        impl $name {
            /// Every key that has an effect here.
            pub fn keys() -> Vec<String> {
                vec![ $( $crate::config::file::decode::key_name(stringify!($field)) ),* ]
            }

            pub(crate) const FIELDS: &'static [$crate::config::file::decode::Field] = &[ $(
                $crate::config::file::decode::Field {
                    member: stringify!($field),
                    about: concat!($($field_about),*),
                    schema: <$kind as $crate::config::file::decode::Decode>::schema,
                },
            )* ];
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                concat!("config.", stringify!($name)).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::config::file::decode::described(concat!($($about),*), Self::FIELDS, generator)
            }
        }

        impl $crate::config::file::decode::Decode for $name {
            fn decode(
                node: &$crate::config::file::tree::Node,
                cursor: &mut $crate::config::file::decode::Cursor<'_>,
            ) -> Option<Self> {
                let mut section = Self::default();
                let disguise: &[&str] = &[ $( $($disguise),* )? ];
                for entry in cursor.members(node)? {
                    $(
                        if $crate::config::file::decode::is_named(stringify!($field), &entry.key) {
                            section.$field = cursor.field(entry);
                            continue;
                        }
                    )*
                    if disguise.contains(&entry.key.as_str()) {
                        cursor.ignored(entry);
                        continue;
                    }
                    let known = Self::keys();
                    let known: Vec<&str> = known.iter().map(String::as_str).collect();
                    cursor.unknown(entry, &known);
                }
                Some(section)
            }

            fn schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                generator.subschema_for::<Self>()
            }
        }
    };
}
pub(crate) use section;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_names_stand_for_keys() {
        assert!(is_named("gpt_image_2_base_model", "gpt-image-2-base-model"));
        assert!(is_named("r#match", "match"));
        assert!(!is_named("proxy_url", "proxy_url"));
        assert_eq!(key_name("not_match"), "not-match");
    }
}
