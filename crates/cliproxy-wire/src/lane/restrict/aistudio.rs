//! Pages of AI Studio.
//!
//! Source: what existing gateways leave out of requests to such a page. A form of the answer is not left out but put into
//! words, which the translation does.

use super::{Restricted, at, members};
use crate::Error;
use crate::json::Reader;
use crate::json::patch::Edit;

pub(super) fn restrict(text: &str) -> Result<Option<Restricted>, Error> {
    let mut restricted = Restricted::default();
    let mut wants_form = false;
    members(&mut Reader::new(text), |key, value| match key {
        "session_id" | "sessionId" => {
            restricted.edits.push(Edit::remove(at(key)));
            value.skip()
        }
        "generationConfig" | "generation_config" => members(value, |name, value| {
            let is_limit = matches!(name, "maxOutputTokens" | "max_output_tokens");
            let is_form = matches!(
                name,
                "responseMimeType"
                    | "response_mime_type"
                    | "responseJsonSchema"
                    | "response_json_schema"
                    | "responseSchema"
                    | "response_schema"
            );
            if !is_limit && !is_form {
                return value.skip();
            }
            let said = value.raw()?;
            wants_form |= is_form && !matches!(said, "null" | "\"\"" | "\"text/plain\"");
            restricted.edits.push(Edit::remove(at(key).key(name)));
            if is_limit && said != "null" {
                restricted.notes.add([key, ".", name].concat());
            }
            Ok(())
        }),
        _ => value.skip(),
    })?;
    Ok((!wants_form).then_some(restricted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::patch;

    #[test]
    fn limits_go_with_a_note_and_every_other_byte_stays() {
        let body = r#"{"contents":[{"parts":[{"text":"maxOutputTokens"}]}], "session_id":"s","generationConfig":{"topK":1.0,"maxOutputTokens":5,"responseMimeType":"text/plain"}}"#;
        let restricted = restrict(body).unwrap().unwrap();
        assert_eq!(
            patch::apply(body, &restricted.edits).unwrap(),
            r#"{"contents":[{"parts":[{"text":"maxOutputTokens"}]}],"generationConfig":{"topK":1.0}}"#
        );
        assert_eq!(restricted.notes.header().unwrap(), "generationConfig.maxOutputTokens");
        for passing in [r#"{"contents":[],"generationConfig":{"seed":1}}"#, r#"{"generationConfig":7}"#, "{}"]
        {
            assert_eq!(restrict(passing).unwrap(), Some(Restricted::default()));
        }
    }

    #[test]
    fn a_form_of_the_answer_is_for_the_translation() {
        for body in [
            r#"{"generationConfig":{"responseMimeType":"application/json"}}"#,
            r#"{"generation_config":{"response_json_schema":{"type":"object"}}}"#,
            r#"{"generationConfig":{"responseSchema":{"type":"OBJECT"}}}"#,
        ] {
            assert_eq!(restrict(body).unwrap(), None, "{body}");
        }
    }
}
