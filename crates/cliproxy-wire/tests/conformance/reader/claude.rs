//! The accumulator of Claude clients.

use serde_json::{Value, json};

const REASONS: [&str; 8] = [
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
    "compaction",
];

pub(super) fn read(stream: &str) -> Value {
    check_frames(stream);
    let message = accumulate(stream);
    for block in message["content"].as_array().unwrap() {
        match block["type"].as_str().unwrap() {
            "thinking" => {
                assert!(block["signature"].as_str().is_some_and(|text| !text.is_empty()), "{block}");
            }
            "tool_use" => {
                assert!(block["input"].is_object() || message["stop_reason"] == "max_tokens", "{block}");
            }
            "text" => assert!(block["text"] != "" || block["citations"].is_array(), "{block}"),
            _ => {}
        }
    }
    for name in ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"] {
        assert!(message["usage"][name].is_u64(), "{name} in {}", message["usage"]);
    }
    assert!(REASONS.contains(&message["stop_reason"].as_str().unwrap()), "{}", message["stop_reason"]);
    message
}

/// The order of a stream's frames, and what every frame has.
fn check_frames(stream: &str) {
    assert!(stream.ends_with("\n\n"));
    let mut frames: Vec<Value> = Vec::new();
    for frame in stream.split_terminator("\n\n") {
        let (name, data) = frame.split_once('\n').unwrap_or_else(|| panic!("two lines: {frame}"));
        let data = data.strip_prefix("data: ").unwrap_or_else(|| panic!("a data line: {frame}"));
        let data: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str(), "{frame}");
        frames.push(data);
    }
    let kinds: Vec<&str> = frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[0], "message_start");
    assert_eq!(kinds[1], "ping");
    assert_eq!(kinds[kinds.len() - 2..], ["message_delta", "message_stop"]);
    for once in ["message_start", "message_delta", "message_stop"] {
        assert_eq!(kinds.iter().filter(|kind| **kind == once).count(), 1, "{once}");
    }
    let (mut open, mut next, mut signatures) = (None, 0, 0);
    for (frame, kind) in frames.iter().zip(&kinds) {
        match *kind {
            "content_block_start" => {
                assert_eq!((open, frame["index"].as_u64()), (None, Some(next)), "{frame}");
                open = Some(next);
                next += 1;
                signatures = 0;
            }
            "content_block_delta" => {
                assert_eq!(frame["index"].as_u64(), open, "{frame}");
                signatures += usize::from(frame["delta"]["type"] == "signature_delta");
                assert!(signatures <= 1, "one signature: {frame}");
            }
            "content_block_stop" => {
                assert_eq!(frame["index"].as_u64(), open, "{frame}");
                open = None;
            }
            _ => {}
        }
    }
    assert_eq!(open, None);
}

/// The message that a client accumulates. Deltas must fit their block.
pub(crate) fn accumulate(sse: &str) -> Value {
    let mut message = Value::Null;
    let mut inputs: Vec<String> = Vec::new();
    for data in frames(sse) {
        match data["type"].as_str().unwrap() {
            "message_start" if message.is_null() => message = data["message"].clone(),
            "content_block_start" => {
                let content = message["content"].as_array_mut().unwrap();
                assert_eq!(data["index"].as_u64().unwrap(), content.len() as u64);
                content.push(data["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                let index = usize::try_from(data["index"].as_u64().unwrap()).unwrap();
                assert_eq!(index + 1, inputs.len(), "at most one block is open");
                let (block, input) = (&mut message["content"][index], &mut inputs[index]);
                apply(block, input, &data["delta"]);
            }
            "content_block_stop" => {
                let index = usize::try_from(data["index"].as_u64().unwrap()).unwrap();
                if !inputs[index].is_empty() {
                    // The service itself leaves arguments cut when the limit is hit.
                    message["content"][index]["input"] = serde_json::from_str(&inputs[index])
                        .unwrap_or_else(|_cut| Value::from(inputs[index].clone()));
                }
            }
            "message_delta" => finish(&mut message, &data),
            _ => {}
        }
    }
    message
}

fn frames(sse: &str) -> Vec<Value> {
    let sse = sse.replace("\r\n", "\n");
    let data = |frame: &str| {
        let data: String =
            frame.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim).collect();
        serde_json::from_str(&data).ok()
    };
    sse.split("\n\n").filter_map(data).collect()
}

fn apply(block: &mut Value, input: &mut String, delta: &Value) {
    let append = |block: &mut Value, name: &str| {
        let text = format!("{}{}", block[name].as_str().unwrap_or(""), delta[name].as_str().unwrap());
        block[name] = text.into();
    };
    match (delta["type"].as_str().unwrap(), block["type"].as_str().unwrap()) {
        ("text_delta", "text") => append(block, "text"),
        ("thinking_delta", "thinking") => append(block, "thinking"),
        ("signature_delta", "thinking") => append(block, "signature"),
        ("compaction_delta", "compaction") => append(block, "content"),
        ("input_json_delta", "tool_use" | "server_tool_use" | "mcp_tool_use") => {
            input.push_str(delta["partial_json"].as_str().unwrap());
        }
        ("citations_delta", "text") => {
            if !block["citations"].is_array() {
                block["citations"] = json!([]);
            }
            block["citations"].as_array_mut().unwrap().push(delta["citation"].clone());
        }
        other => panic!("{other:?} do not go together"),
    }
}

fn finish(message: &mut Value, data: &Value) {
    for (name, value) in data["delta"].as_object().unwrap() {
        message[name] = value.clone();
    }
    for (name, value) in data["usage"].as_object().unwrap() {
        message["usage"][name] = value.clone();
    }
    for name in ["context_management", "grounding_metadata", "url_context_metadata"] {
        if !data[name].is_null() {
            message[name] = data[name].clone();
        }
    }
}
