//! Vertex AI.
//!
//! Source: it refuses ids of calls and of their results as unknown members, and pairs them by name and order. Nor does it
//! know the conversation's name that Code Assist clients send.

use super::{Restricted, at, members};
use crate::Error;
use crate::json::patch::{Edit, Path};
use crate::json::{Kind, Reader};

/// Members of a part that the ids stand in; both spellings are understood.
const WITH_IDS: [&str; 4] = ["functionCall", "functionResponse", "function_call", "function_response"];

pub(super) fn restrict(text: &str) -> Result<Restricted, Error> {
    let mut edits = Vec::new();
    members(&mut Reader::new(text), |key, value| match (key, value.kind()) {
        ("contents", Kind::Array) => value.array(|at, content| {
            let place = super::at("contents").index(at);
            members(content, |key, value| match (key, value.kind()) {
                ("parts", Kind::Array) => {
                    value.array(|at, part| ids(part, &place.clone().key("parts").index(at), &mut edits))
                }
                _ => value.skip(),
            })
        }),
        ("session_id" | "sessionId", _) => {
            edits.push(Edit::remove(at(key)));
            value.skip()
        }
        _ => value.skip(),
    })?;
    Ok(Restricted { edits, ..Restricted::default() })
}

fn ids(part: &mut Reader<'_>, place: &Path, edits: &mut Vec<Edit>) -> Result<(), Error> {
    members(part, |key, value| {
        if !WITH_IDS.contains(&key) {
            return value.skip();
        }
        let place = place.clone().key(key);
        members(value, |key, value| {
            if key == "id" {
                edits.push(Edit::remove(place.clone().key(key)));
            }
            value.skip()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::patch;

    #[test]
    fn ids_of_calls_go_and_every_other_byte_stays() {
        let body = r#"{"contents":[{"role":"user","parts":[{"text":"id"}]}, {"parts":[{"functionCall":{"id":"c1","name":"f","args":{"id":1.0}}},{"function_response":{"name":"f","id":"c1","response":{"id":2}}}]}],"sessionId":"s","tools":[{"id":"x"}]}"#;
        let edits = restrict(body).unwrap().edits;
        assert_eq!(
            patch::apply(body, &edits).unwrap(),
            r#"{"contents":[{"role":"user","parts":[{"text":"id"}]}, {"parts":[{"functionCall":{"name":"f","args":{"id":1.0}}},{"function_response":{"name":"f","response":{"id":2}}}]}],"tools":[{"id":"x"}]}"#
        );
        for passing in [r#"{"contents":[{"parts":[{"text":"a"},7]},"b"]}"#, r#"{"contents":"c"}"#, "{}"] {
            assert_eq!(restrict(passing).unwrap(), Restricted::default());
        }
    }
}
