//! Hand-made exchanges of the four formats: what is asked, what a scripted upstream answers, what a client reads.

use bytes::Bytes;
use cliproxy_testkit::{Received, Script};
use serde_json::{Value, json};

/// The formats, by the names of these tests.
pub(crate) const FORMATS: [&str; 4] = ["chat", "responses", "claude", "gemini"];
/// What upstreams say.
pub(crate) const TEXT: &str = "Grüße 🌤";

/// A small request: where it goes and its body.
pub(crate) fn request(format: &str, model: &str, is_stream: bool) -> (String, Value) {
    match format {
        "chat" => (
            "/v1/chat/completions".into(),
            json!({"model": model, "stream": is_stream, "messages": [{"role": "user", "content": "hi"}]}),
        ),
        "responses" => ("/v1/responses".into(), json!({"model": model, "stream": is_stream, "input": "hi"})),
        "claude" => (
            "/v1/messages".into(),
            json!({"model": model, "max_tokens": 64, "stream": is_stream, "messages": [{"role": "user", "content": "hi"}]}),
        ),
        _ => {
            let method = if is_stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            (
                format!("/v1beta/models/{model}:{method}"),
                json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
            )
        }
    }
}

/// Whether a request to a scripted upstream asks for a stream.
pub(crate) fn asks_stream(received: &Received) -> bool {
    if received.path.contains("streamGenerateContent") {
        return true;
    }
    serde_json::from_slice::<Value>(&received.body).unwrap()["stream"] == json!(true)
}

/// A whole answer with [`TEXT`], ten tokens read and five written.
pub(crate) fn body(format: &str) -> Value {
    match format {
        "chat" => json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "up",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}),
        "responses" => {
            json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "up",
            "output": [{"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "text": TEXT, "annotations": []}]}],
            "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}})
        }
        "claude" => json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "up",
            "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 10, "output_tokens": 5}}),
        _ => {
            json!({"candidates": [{"content": {"role": "model", "parts": [{"text": TEXT}]}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}, "modelVersion": "up"})
        }
    }
}

/// The same as a stream.
pub(crate) fn events(format: &str) -> String {
    let frame = |value: Value| format!("data: {value}\n\n");
    let named = |value: Value| format!("event: {}\ndata: {value}\n\n", value["type"].as_str().unwrap());
    match format {
        "chat" => {
            let chunk = |delta: Value, finish: Value| {
                frame(json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "up",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))
            };
            [
                chunk(json!({"role": "assistant", "content": ""}), Value::Null),
                chunk(json!({"content": "Grüße "}), Value::Null),
                chunk(json!({"content": "🌤"}), Value::Null),
                chunk(json!({}), json!("stop")),
                frame(json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "up", "choices": [],
                    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}})),
                "data: [DONE]\n\n".to_owned(),
            ]
            .concat()
        }
        "responses" => {
            let mut done = body("responses");
            let item = done["output"][0].clone();
            let mut open = item.clone();
            open["status"] = json!("in_progress");
            open["content"] = json!([]);
            let part = item["content"][0].clone();
            let mut head = done.clone();
            head["status"] = json!("in_progress");
            head["output"] = json!([]);
            done["usage"] = body("responses")["usage"].clone();
            [
                named(json!({"type": "response.created", "sequence_number": 0, "response": head})),
                named(json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": open})),
                named(json!({"type": "response.content_part.added", "sequence_number": 2, "item_id": "msg_1", "output_index": 0,
                    "content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}})),
                named(json!({"type": "response.output_text.delta", "sequence_number": 3, "item_id": "msg_1", "output_index": 0,
                    "content_index": 0, "delta": "Grüße "})),
                named(json!({"type": "response.output_text.delta", "sequence_number": 4, "item_id": "msg_1", "output_index": 0,
                    "content_index": 0, "delta": "🌤"})),
                named(json!({"type": "response.output_text.done", "sequence_number": 5, "item_id": "msg_1", "output_index": 0,
                    "content_index": 0, "text": TEXT})),
                named(json!({"type": "response.content_part.done", "sequence_number": 6, "item_id": "msg_1", "output_index": 0,
                    "content_index": 0, "part": part})),
                named(json!({"type": "response.output_item.done", "sequence_number": 7, "output_index": 0, "item": item})),
                named(json!({"type": "response.completed", "sequence_number": 8, "response": done})),
            ]
            .concat()
        }
        "claude" => [
            named(json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "up",
                "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 1}}})),
            named(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
            named(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüße "}})),
            named(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "🌤"}})),
            named(json!({"type": "content_block_stop", "index": 0})),
            named(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 5}})),
            named(json!({"type": "message_stop"})),
        ]
        .concat(),
        _ => {
            let mut first = body("gemini");
            first["candidates"][0].as_object_mut().unwrap().remove("finishReason");
            let mut last = first.clone();
            first["candidates"][0]["content"]["parts"][0]["text"] = json!("Grüße ");
            last["candidates"][0]["content"]["parts"][0]["text"] = json!("🌤");
            last["candidates"][0]["finishReason"] = json!("STOP");
            [frame(first), frame(last)].concat()
        }
    }
}

/// Answers in `format`, as asked, with the stream in pieces of seven bytes.
pub(crate) fn answering(format: &'static str) -> impl Fn(&Received) -> Script + Send + Sync {
    move |received| {
        if !asks_stream(received) {
            return Script::json(200, body(format).to_string());
        }
        Script::events(events(format).as_bytes().chunks(7).map(Bytes::copy_from_slice).collect())
    }
}

fn data(stream: &str) -> Vec<Value> {
    let lines = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// The text that a client of `format` reads out of an answer.
pub(crate) fn text_of(format: &str, is_stream: bool, answer: &str) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if !is_stream {
        let value: Value = serde_json::from_str(answer).unwrap();
        return match format {
            "chat" => text(&value["choices"][0]["message"]["content"]),
            "responses" => text(&value["output"][0]["content"][0]["text"]),
            "claude" => text(&value["content"][0]["text"]),
            _ => text(&value["candidates"][0]["content"]["parts"][0]["text"]),
        };
    }
    let pieces = data(answer);
    let pieces = pieces.iter().map(|value| match format {
        "chat" => text(&value["choices"][0]["delta"]["content"]),
        "responses" if value["type"] == "response.output_text.delta" => text(&value["delta"]),
        "responses" => String::new(),
        "claude" => text(&value["delta"]["text"]),
        _ => text(&value["candidates"][0]["content"]["parts"][0]["text"]),
    });
    pieces.collect()
}

/// Whether a stream ends with its format's mark of success.
pub(crate) fn is_complete(format: &str, stream: &str) -> bool {
    match format {
        "chat" => stream.ends_with("data: [DONE]\n\n"),
        "responses" => stream.contains("event: response.completed\n"),
        "claude" => stream.contains("event: message_stop\n"),
        _ => stream.contains("\"finishReason\":\"STOP\""),
    }
}
