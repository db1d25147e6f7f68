//! What a request says, so that the next one of its conversation can go on from it: fingerprints of its items and of all
//! else, which tell whether a later request begins with what an earlier one said and was answered.
//!
//! Items are compared by what they mean: clients leave out ids, states and annotations, write texts as strings or as
//! parts, and keep reasoning or not. What is told wrongly to be different costs a longer request, what is told wrongly
//! to be the same would cost a turn; so everything that is not understood counts as it stands.

use aws_lc_rs::digest;
use cliproxy_wire::json::patch::{self, Edit, Path};
use cliproxy_wire::json::{self, Raw, Reader};
use serde_json::{Map, Value};

type Print = [u8; 16];

/// A request, or a request with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::upstream) struct Turn {
    /// Everything but the conversation.
    rest: Print,
    /// The items that count.
    items: Vec<Print>,
    /// Where in the list of all items each of those ends.
    ends: Vec<usize>,
}

impl Turn {
    /// Reads the frame that asks; `None` when it is not of the usual form.
    pub(in crate::upstream) fn read(opening: &str) -> Option<Self> {
        let mut rest = Map::new();
        let mut turn = Self { rest: Print::default(), items: Vec::new(), ends: Vec::new() };
        let mut has_input = false;
        let read = Reader::new(opening).object(|name, value| {
            match name {
                "input" => {
                    has_input = true;
                    return value.array(|at, item| {
                        let item = item.raw()?;
                        if turn.add(item) {
                            turn.ends.push(at + 1);
                        }
                        Ok(())
                    });
                }
                // Of the transport, and of the single request.
                "type" | "stream" | "previous_response_id" | "client_metadata" => value.skip()?,
                _ => {
                    rest.insert(name.to_owned(), value.to_raw()?.to_value());
                }
            }
            Ok(())
        });
        turn.rest = print(&Value::Object(rest));
        (read.is_ok() && has_input).then_some(turn)
    }

    /// Adds an item; false when it does not count.
    pub(super) fn add(&mut self, item: &str) -> bool {
        let Some(meaning) = meaning(Raw::new(item).to_value()) else { return false };
        self.items.push(print(&meaning));
        true
    }

    pub(super) fn n_items(&self) -> usize {
        self.items.len()
    }

    /// How many of all items of this request were said in an earlier turn; `None` when this one does not go on from it.
    pub(super) fn continues(&self, earlier: &Self) -> Option<usize> {
        let n_said = earlier.items.len();
        let goes_on = self.rest == earlier.rest
            && n_said > 0
            && self.items.len() > n_said
            && self.items.starts_with(&earlier.items);
        if goes_on { self.ends.get(n_said - 1).copied() } else { None }
    }
}

/// The frame that asks without its first `n_said` items, which the answer called `id` had and gave.
pub(super) fn continued(opening: &str, n_said: usize, id: &str) -> Option<String> {
    let mut new: Vec<&str> = Vec::new();
    let read = Reader::new(json::member(opening, "input")?).array(|at, item| {
        let item = item.raw()?;
        // Reasoning that leads was part of the answer.
        if at >= n_said && !(new.is_empty() && is_reasoning(item)) {
            new.push(item);
        }
        Ok(())
    });
    read.ok()?;
    let input = Raw::array(|items| new.iter().for_each(|item| items.raw(item)));
    let edits = [
        Edit::set(Path::root().key("input"), input),
        Edit::set(Path::root().key("previous_response_id"), Raw::string(id)),
    ];
    Some(patch::apply(opening, &edits).ok()?.into_owned())
}

fn is_reasoning(item: &str) -> bool {
    json::member(item, "type") == Some("\"reasoning\"")
}

/// What an item means; `None` for what clients may keep or leave out.
fn meaning(item: Value) -> Option<Value> {
    let Value::Object(mut item) = item else { return Some(item) };
    item.shift_remove("id");
    item.shift_remove("status");
    let kind = item.get("type").and_then(Value::as_str).unwrap_or("message").to_owned();
    Some(match kind.as_str() {
        "reasoning" => return None,
        "message" => vec![
            kind.into(),
            item.shift_remove("role").unwrap_or_default(),
            said(item.shift_remove("content")),
        ]
        .into(),
        _ => {
            // Clients of formats that have objects there write the text anew.
            if let Some(Value::String(text)) = item.get("arguments")
                && let Ok(arguments) = serde_json::from_str::<Value>(text)
            {
                item.insert("arguments".to_owned(), arguments);
            }
            Value::Object(item)
        }
    })
}

/// The parts of a message: texts that follow each other are one, and annotations are the service's.
fn said(content: Option<Value>) -> Value {
    let mut parts: Vec<Value> = Vec::new();
    let mut text = String::new();
    let flush = |text: &mut String, parts: &mut Vec<Value>| {
        if !text.is_empty() {
            parts.push(std::mem::take(text).into());
        }
    };
    match content {
        Some(Value::Array(list)) => {
            for part in list {
                let is_text = matches!(
                    part.get("type").and_then(Value::as_str),
                    Some("input_text" | "output_text" | "text")
                );
                if let Some(piece) = part.get("text").and_then(Value::as_str).filter(|_| is_text) {
                    text.push_str(piece);
                } else {
                    flush(&mut text, &mut parts);
                    parts.push(part);
                }
            }
        }
        Some(Value::String(whole)) => text = whole,
        other => parts.extend(other),
    }
    flush(&mut text, &mut parts);
    parts.into()
}

fn print(value: &Value) -> Print {
    let mut text = String::new();
    write(value, &mut text);
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mut print = Print::default();
    print.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    print
}

/// Writes a value with its members in order, so that two that are equal read alike.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_unstable();
            out.push('{');
            for name in names {
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write(members.get(name).unwrap_or(&Value::Null), out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(elements) => {
            out.push('[');
            for element in elements {
                write(element, out);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"type":"response.create","model":"m","tools":[],"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"one"}]}]}"#;
    const ANSWER: [&str; 3] = [
        r#"{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"e"}"#,
        r#"{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Yes.","annotations":[],"logprobs":[]}]}"#,
        r#"{"id":"fc_1","type":"function_call","status":"completed","call_id":"c","name":"f","arguments":"{\"a\":1, \"b\":2}"}"#,
    ];

    fn answered() -> Turn {
        let mut turn = Turn::read(FIRST).unwrap();
        for item in ANSWER {
            turn.add(item);
        }
        turn
    }

    #[test]
    fn a_request_goes_on_from_what_was_said_and_answered_however_it_is_written() {
        let output = r#"{"type":"function_call_output","call_id":"c","output":"2"}"#;
        let call = r#"{"type":"function_call","name":"f","call_id":"c","arguments":"{\"b\":2,\"a\":1}"}"#;
        for (reasoning, n_said) in [(ANSWER[0], 4), ("", 3)] {
            let comma = if reasoning.is_empty() { "" } else { "," };
            let next = format!(
                r#"{{"tools":[],"model":"m","stream":true,"input":[{{"role":"user","content":"one"}},{reasoning}{comma}{{"role":"assistant","content":[{{"type":"output_text","text":"Ye"}},{{"type":"output_text","text":"s."}}]}},{call},{output}]}}"#
            );
            assert_eq!(Turn::read(&next).unwrap().continues(&answered()), Some(n_said), "{next}");
            let sent = continued(&next, n_said, "resp_1").unwrap();
            assert_eq!(
                sent,
                format!(
                    r#"{{"tools":[],"model":"m","stream":true,"input":[{output}],"previous_response_id":"resp_1"}}"#
                )
            );
        }
    }

    #[test]
    fn what_differs_begins_anew() {
        let next = |model: &str, text: &str, more: &str| {
            let [_, said, call] = ANSWER;
            Turn::read(&format!(
                r#"{{"model":"{model}","tools":[],"input":[{{"role":"user","content":"{text}"}},{said},{call}{more}]}}"#
            ))
            .unwrap()
        };
        let more = r#",{"role":"user","content":"two"}"#;
        assert_eq!(next("m", "one", more).continues(&answered()), Some(3));
        assert_eq!(next("m", "other", more).continues(&answered()), None);
        assert_eq!(next("n", "one", more).continues(&answered()), None);
        assert_eq!(next("m", "one", "").continues(&answered()), None, "nothing new is no turn");
        for odd in [r#"{"model":"m","input":"text"}"#, "[]", "no JSON", r#"{"model":"m"}"#] {
            assert!(Turn::read(odd).is_none(), "{odd}");
        }
    }
}
