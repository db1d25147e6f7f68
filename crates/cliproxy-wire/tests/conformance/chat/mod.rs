//! The Chat codec: requests of clients and towards upstreams, answers as bodies and as streams.

mod answer;
mod completions;
mod corpus;
mod request;
mod stream;
mod upstream;

use std::collections::BTreeMap;

use cliproxy_wire::chat;
use cliproxy_wire::codec::UpstreamContext;
use cliproxy_wire::format::Format;
use cliproxy_wire::model::Response;
use cliproxy_wire::profile::Profile;
use serde_json::{Map, Value, json};

use crate::support::{client, frames};

/// The body that a client gets.
fn body(response: &Response) -> Value {
    serde_json::from_slice(&chat::encode_response(response, &client(Format::Chat))).unwrap()
}

/// An upstream's body, understood.
fn answer(body: &Value) -> Response {
    let context = UpstreamContext::new(&Profile::compatible(), "req_fx");
    chat::decode_response(&serde_json::to_vec(body).unwrap(), &context).unwrap()
}

/// The body that the official accumulator makes of a stream: texts are joined, lists are merged by `index`, and a list
/// without indices may come only once.
fn accumulate(stream: &str) -> Value {
    let mut choices: BTreeMap<u64, Value> = BTreeMap::new();
    let mut whole = Map::new();
    for chunk in frames(stream) {
        for name in ["id", "created", "model"] {
            let known = whole.entry(name).or_insert_with(|| chunk[name].clone());
            assert_eq!(*known, chunk[name], "{name} changed");
        }
        assert_eq!(chunk["object"], "chat.completion.chunk");
        if chunk["usage"].is_object() {
            whole.insert("usage".into(), chunk["usage"].clone());
        }
        for part in chunk["choices"].as_array().unwrap() {
            let index = part["index"].as_u64().unwrap();
            let choice = choices.entry(index).or_insert_with(|| json!({"index": index, "message": {}}));
            merge(&mut choice["message"], &part["delta"]);
            for (name, value) in part.as_object().unwrap() {
                if !matches!(name.as_str(), "index" | "delta") && !value.is_null() {
                    choice[name] = value.clone();
                }
            }
        }
    }
    whole.insert("object".into(), "chat.completion".into());
    whole.insert("choices".into(), choices.into_values().collect());
    Value::Object(whole)
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
fn as_in_a_body(mut body: Value) -> Value {
    for choice in body["choices"].as_array_mut().unwrap() {
        let choice = choice.as_object_mut().unwrap();
        choice.entry("logprobs").or_insert(Value::Null);
        let message = choice["message"].as_object_mut().unwrap();
        message.entry("refusal").or_insert(Value::Null);
        let has_calls = message.contains_key("tool_calls");
        if has_calls && message["content"] == "" {
            message.insert("content".into(), Value::Null);
        }
        for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            call.as_object_mut().unwrap().remove("index");
        }
    }
    body
}
