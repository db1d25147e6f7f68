//! What the service wants of the messages of a Chat body: nobody's thoughts may be missing from a call, no result
//! without its call, no empty turn.
//!
//! Source: a message with `tool_calls` and without `reasoning_content` is refused, and so are an assistant's message
//! with nothing in it and a `tool` message without `tool_call_id`.

use cliproxy_wire::json::patch::{Edit, Path};
use cliproxy_wire::json::{Kind, Raw, Reader};

use crate::provider::chat_body::{member, messages, parts, text};

/// Stands for thoughts that no client and no memory of ours has kept.
const UNKNOWN: &str = "(not kept)";

pub(super) fn edits(body: &str) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut open: Vec<String> = Vec::new();
    for (at, message) in messages(body).into_iter().enumerate() {
        let place = || Path::root().key("messages").index(at);
        match text(message, "role").as_deref() {
            Some("assistant") => {
                let calls = calls(message);
                let is_without_thoughts = text(message, "reasoning_content").unwrap_or_default().is_empty();
                if !calls.is_empty() {
                    if is_without_thoughts {
                        let thoughts = Raw::string(UNKNOWN);
                        edits.push(Edit::set(place().key("reasoning_content"), thoughts));
                    }
                    open = calls;
                } else if is_without_thoughts && parts(message).is_empty() {
                    edits.push(Edit::remove(place()));
                }
            }
            Some("tool") => match text(message, "tool_call_id").filter(|id| !id.is_empty()) {
                Some(id) => open.retain(|call| *call != id),
                None => {
                    // With several open calls nobody can tell which one is meant; the service says so.
                    if let [call] = open.as_slice() {
                        edits.push(Edit::set(place().key("tool_call_id"), Raw::string(call)));
                        open.clear();
                    }
                }
            },
            _ => {}
        }
    }
    edits
}

/// The ids of a message's calls.
fn calls(message: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let Some(list) = member(message, "tool_calls") else { return ids };
    let mut reader = Reader::new(list);
    if reader.kind() == Kind::Array {
        let read = reader.array(|_, call| {
            ids.push(text(call.raw()?, "id").unwrap_or_default());
            Ok(())
        });
        if read.is_err() {
            ids.clear();
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use insta::assert_snapshot;

    use crate::provider::chat_body;

    fn fitted(body: &'static str) -> String {
        let body = chat_body::edited(&Bytes::from_static(body.as_bytes()), super::edits);
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn thoughts_are_never_missing_from_calls_and_known_ones_stay() {
        assert_snapshot!(fitted(r#"{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"a"}]},{"role":"tool","content":"1"},{"role":"user","content":"x", "n":1.0}]}"#),
            @r#"{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"a"}],"reasoning_content":"(not kept)"},{"role":"tool","content":"1","tool_call_id":"a"},{"role":"user","content":"x", "n":1.0}]}"#);
        let known = r#"{"messages":[{"role":"assistant","reasoning_content":"hm","tool_calls":[{"id":"a"}]},{"role":"tool","tool_call_id":"a"}]}"#;
        assert_eq!(fitted(known), known);
    }

    #[test]
    fn which_of_several_calls_a_result_is_of_is_not_guessed() {
        let open = r#"{"messages":[{"role":"assistant","reasoning_content":"hm","tool_calls":[{"id":"a"},{"id":"b"}]},{"role":"tool","content":"1"}]}"#;
        assert_eq!(fitted(open), open);
        let answered = r#"{"messages":[{"role":"assistant","reasoning_content":"hm","tool_calls":[{"id":"a"},{"id":"b"}]},{"role":"tool","tool_call_id":"a"},{"role":"tool"}]}"#;
        assert!(
            fitted(answered).ends_with(r#"{"role":"tool","tool_call_id":"b"}]}"#),
            "{}",
            fitted(answered)
        );
    }

    #[test]
    fn turns_with_nothing_in_them_are_left_out() {
        assert_snapshot!(fitted(r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":""},{"role":"assistant","content":[]},{"role":"assistant","content":"b"}]}"#),
            @r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#);
    }
}
