//! Schemas of tools as the door of xAI's own client bears them.
//!
//! Source: schemas with alternatives and references let a request hang there without any event. Such are written
//! without either: references in place, of alternatives the one that says most, the rest in words.

use bytes::Bytes;
use cliproxy_wire::json::patch::{Edit, Path};
use cliproxy_wire::json::{Raw, Reader};
use cliproxy_wire::schema::{self, Cleaned, Dialect, Purpose};

use crate::provider::chat_body;

/// The body with the schemas of its tools as they are borne; the same bytes where all are already.
pub(super) fn borne(body: &Bytes) -> Bytes {
    if memchr::memmem::find(body, b"\"$ref\"").is_none() {
        return body.clone();
    }
    chat_body::edited(body, |text| {
        let mut edits = Vec::new();
        let tools = chat_body::member(text, "tools").unwrap_or_default();
        // What cannot be read is told by the service.
        let _read = Reader::new(tools).array(|at, tool| {
            let tool = tool.raw()?;
            if let Some(simple) = chat_body::member(tool, "parameters").and_then(simplified) {
                edits.push(Edit::set(Path::root().key("tools").index(at).key("parameters"), simple));
                // What strict mode wants of a schema does not hold any more.
                if chat_body::member(tool, "strict") == Some("true") {
                    edits.push(Edit::set(
                        Path::root().key("tools").index(at).key("strict"),
                        Raw::new("false"),
                    ));
                }
            }
            Ok(())
        });
        edits
    })
}

/// A schema without references and alternatives; `None` when it has not both.
fn simplified(schema: &str) -> Option<Raw> {
    let has = |word: &str| schema.contains(word);
    if !(has("\"$ref\"") && (has("\"oneOf\"") || has("\"anyOf\""))) {
        return None;
    }
    schema::clean(&Raw::new(schema), Dialect::Plain, Purpose::Tool, &Cleaned::default()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_with_references_are_put_in_place() {
        let body = Bytes::from_static(
            br##"{"model":"m","n":1.0,"tools":[{"type":"function","name":"f","strict":true,"parameters":{"type":"object","properties":{"a":{"oneOf":[{"$ref":"#/$defs/A"},{"type":"string"}]}},"$defs":{"A":{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]}}}},{"type":"x_search"}]}"##,
        );
        let text = String::from_utf8(borne(&body).to_vec()).unwrap();
        assert_eq!(
            text,
            r#"{"model":"m","n":1.0,"tools":[{"type":"function","name":"f","strict":false,"parameters":{"type":"object","properties":{"a":{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"],"description":"or: string"}}}},{"type":"x_search"}]}"#
        );
    }

    #[test]
    fn other_schemas_keep_their_bytes() {
        for body in [
            r##"{"tools":[{"parameters":{"$ref":"#/$defs/A","$defs":{"A":{"type":"object"}}}}]}"##,
            r#"{"tools":[{"parameters":{"anyOf":[]}}],"input":"\"$ref\""}"#,
            r#"{"tools": 1, "x":"$ref"}"#,
        ] {
            let body = Bytes::from_static(body.as_bytes());
            assert_eq!(borne(&body), body);
        }
    }
}
