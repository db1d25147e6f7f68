//! The accumulator of Chat clients: texts are joined, lists are merged by `index`, and a list without indices may come
//! only once.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

const REASONS: [&str; 5] = ["stop", "length", "tool_calls", "content_filter", "function_call"];

pub(super) fn read(stream: &str) -> Value {
    let (chunks, end) = stream.strip_suffix("data: [DONE]\n\n").map_or((stream, false), |rest| (rest, true));
    assert!(end, "the end mark is last: {stream}");
    let mut choices: BTreeMap<u64, Value> = BTreeMap::new();
    let mut whole = Map::new();
    let mut names: BTreeMap<(u64, u64), u32> = BTreeMap::new();
    // Comments are signs of life.
    for frame in chunks.split_terminator("\n\n").filter(|frame| !frame.starts_with(':')) {
        let data = frame.strip_prefix("data: ").unwrap_or_else(|| panic!("a data line: {frame}"));
        assert!(!data.contains('\n'), "{frame}");
        let chunk: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        for name in ["id", "created", "model"] {
            let known = whole.entry(name).or_insert_with(|| chunk[name].clone());
            assert_eq!(*known, chunk[name], "{name} changed");
        }
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert!(!whole.contains_key("usage"), "the usage chunk is the last: {chunk}");
        for name in ["usage", "service_tier", "system_fingerprint"] {
            if !chunk[name].is_null() {
                whole.insert(name.into(), chunk[name].clone());
            }
        }
        let parts = chunk["choices"].as_array().unwrap();
        assert_eq!(parts.is_empty(), chunk["usage"].is_object(), "usage stands alone: {chunk}");
        for part in parts {
            let index = part["index"].as_u64().unwrap();
            let is_first = !choices.contains_key(&index);
            let choice = choices.entry(index).or_insert_with(|| json!({"index": index, "message": {}}));
            assert_eq!(is_first, part["delta"].get("role").is_some(), "the role is first and once: {chunk}");
            assert!(choice["finish_reason"].is_null(), "nothing behind the finish reason: {chunk}");
            name_once(index, &part["delta"], &mut names);
            merge(&mut choice["message"], &part["delta"]);
            for (name, value) in part.as_object().unwrap() {
                if name == "logprobs" && value.is_object() && choice["logprobs"].is_object() {
                    let more = value["content"].as_array().unwrap().clone();
                    choice["logprobs"]["content"].as_array_mut().unwrap().extend(more);
                } else if !matches!(name.as_str(), "index" | "delta") && !value.is_null() {
                    choice[name] = value.clone();
                }
            }
            if !part["finish_reason"].is_null() {
                assert!(REASONS.contains(&part["finish_reason"].as_str().unwrap()), "{chunk}");
                assert_eq!(part["delta"], json!({}), "{chunk}");
            }
        }
    }
    for choice in choices.values() {
        check(choice);
    }
    whole.insert("object".into(), "chat.completion".into());
    whole.insert("choices".into(), choices.into_values().collect());
    Value::Object(whole)
}

/// Id, type and name of a call are in one chunk, the first of that call.
fn name_once(choice: u64, delta: &Value, names: &mut BTreeMap<(u64, u64), u32>) {
    for call in delta["tool_calls"].as_array().into_iter().flatten() {
        let is_first = names.insert((choice, call["index"].as_u64().unwrap()), 1).is_none();
        let inner = if call["custom"].is_object() { &call["custom"] } else { &call["function"] };
        assert_eq!(is_first, call["id"].is_string(), "{delta}");
        assert_eq!(is_first, call["type"].is_string(), "{delta}");
        assert_eq!(is_first, inner["name"].is_string(), "{delta}");
    }
}

fn check(choice: &Value) {
    assert_eq!(choice["message"]["role"], "assistant");
    let is_cut = choice["finish_reason"] == "length";
    assert!(choice["finish_reason"].is_string(), "a choice without reason: {choice}");
    for (at, call) in choice["message"]["tool_calls"].as_array().into_iter().flatten().enumerate() {
        assert_eq!(call["index"], at);
        if call["type"] == "function" && !is_cut {
            let arguments = call["function"]["arguments"].as_str().unwrap();
            serde_json::from_str::<Value>(arguments).unwrap_or_else(|error| panic!("{error}: {arguments}"));
        }
    }
}

fn merge(whole: &mut Value, piece: &Value) {
    for (name, value) in piece.as_object().unwrap() {
        let slot = &mut whole[name];
        match (&mut *slot, value) {
            (Value::Null, value) => *slot = value.clone(),
            (slot, value) if name == "index" || name == "type" => *slot = value.clone(),
            (Value::String(slot), Value::String(value)) => slot.push_str(value),
            (slot @ Value::Object(_), Value::Object(_)) => merge(slot, value),
            (Value::Array(list), Value::Array(pieces)) => {
                for piece in pieces {
                    let index = usize::try_from(piece["index"].as_u64().expect("an index")).unwrap();
                    assert!(index <= list.len(), "a gap before {piece}");
                    if index == list.len() {
                        list.push(piece.clone());
                    } else {
                        merge(&mut list[index], piece);
                    }
                }
            }
            (_, Value::Null) => {}
            (slot, value) => panic!("{name}: {slot} and {value}"),
        }
    }
}

/// A message without the members that only streams need, and with those that only bodies have.
pub(super) fn plain(mut body: Value) -> Value {
    for choice in body["choices"].as_array_mut().unwrap() {
        let choice = choice.as_object_mut().unwrap();
        choice.entry("logprobs").or_insert(Value::Null);
        let message = choice["message"].as_object_mut().unwrap();
        message.entry("refusal").or_insert(Value::Null);
        let has_others =
            ["tool_calls", "function_call", "images", "audio"].iter().any(|name| message.contains_key(*name))
                || message["refusal"].is_string();
        if has_others && message["content"] == "" {
            message.insert("content".into(), Value::Null);
        }
        for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            call.as_object_mut().unwrap().remove("index");
        }
    }
    body
}
