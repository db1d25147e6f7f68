//! The system block that the service wants to see first with an account's token.
//!
//! Source: with an OAuth token the first `system` block has to be a text block with exactly this text; the person's own
//! blocks follow. With API keys nothing of the kind is needed and nothing is added. The request's user agent says what
//! we are all the same.

use bytes::Bytes;
use cliproxy_wire::json::Raw;
use cliproxy_wire::json::patch::{self, Edit, Path};

const TEXT: &str = "You are Claude Code, Anthropic's official CLI for Claude.";
const OTHER: &str =
    "You are Claude Code, Anthropic's official CLI for Claude, running within the Claude Agent SDK.";

/// The body with the block in front, unless the client sent it already. A plain text becomes the second block.
pub(super) fn with_preamble(body: &Bytes) -> Bytes {
    let Ok(text) = std::str::from_utf8(body) else { return body.clone() };
    let path = Path::root().key("system");
    let block = |text: &str| {
        Raw::object(|object| {
            object.str("type", "text");
            object.str("text", text);
        })
    };
    let preamble = block(TEXT);
    let system = match patch::get(text, &path).map(str::trim) {
        None | Some("null" | "" | "[]" | "\"\"") => format!("[{}]", preamble.as_str()),
        Some(array) if array.starts_with('[') => {
            let first = patch::get(array, &Path::root().index(0).key("text"));
            let first = first.and_then(|text| Raw::parse(text).ok()?.to_text());
            if first.is_some_and(|first| first == TEXT || first == OTHER) {
                return body.clone();
            }
            let rest = array.trim_start_matches('[');
            format!("[{},{rest}", preamble.as_str())
        }
        Some(word) => match Raw::parse(word).ok().and_then(|word| word.to_text()) {
            Some(word) if word == TEXT || word == OTHER => format!("[{}]", block(&word).as_str()),
            Some(word) => format!("[{},{}]", preamble.as_str(), block(&word).as_str()),
            // Not what the format knows: the service says so better than we could.
            None => return body.clone(),
        },
    };
    match patch::apply(text, &[Edit::set(path, Raw::new(system))]) {
        Ok(changed) => changed.into_owned().into(),
        Err(_not_json) => body.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(body: &str) -> serde_json::Value {
        let changed = with_preamble(&Bytes::copy_from_slice(body.as_bytes()));
        let value: serde_json::Value = serde_json::from_slice(&changed).unwrap();
        value["system"].clone()
    }

    fn texts(body: &str) -> Vec<String> {
        let system = system(body);
        let blocks = system.as_array().unwrap().iter();
        blocks.map(|block| block["text"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_block_comes_first_and_the_persons_own_follow() {
        assert_eq!(texts(r#"{"model":"m"}"#), [TEXT]);
        assert_eq!(texts(r#"{"system":"Be brief.","model":"m"}"#), [TEXT, "Be brief."]);
        let cached =
            r#"{"system": [ {"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}} ]}"#;
        assert_eq!(texts(cached), [TEXT, "Be brief."]);
        assert_eq!(system(cached)[1]["cache_control"]["type"], "ephemeral");
    }

    #[test]
    fn a_client_that_sends_it_is_passed_on_byte_for_byte() {
        for text in [TEXT, OTHER] {
            let body = Bytes::from(format!(
                r#"{{ "system" : [{{"text":"{text}", "type":"text"}},{{"type":"text","text":"x"}}], "n":1.0}}"#
            ));
            assert_eq!(with_preamble(&body), body);
        }
    }
}
