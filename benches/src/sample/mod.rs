//! What is sent: questions of clients, answers and stream pieces of upstreams, in the four formats.

mod agentic;

use bytes::Bytes;
use serde_json::{Value, json};

pub use agentic::agentic;

/// Stands once in every piece of text, whatever the format.
pub const MARK: &[u8] = b"kettle";
const DELTA: &str = " kettle";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Chat,
    Responses,
    Claude,
    Gemini,
}

/// How the gateway is to carry a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Same format, same name: untouched bytes.
    Passthrough,
    /// Same format, another name: single members patched.
    Alias,
    /// Another format.
    Translate,
}

/// A request of a client.
#[derive(Clone, Debug)]
pub struct Question {
    pub path: String,
    pub body: Bytes,
}

impl Dialect {
    pub const ALL: [Self; 4] = [Self::Chat, Self::Responses, Self::Claude, Self::Gemini];

    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Claude => "claude",
            Self::Gemini => "gemini",
        }
    }

    pub fn of_path(path: &str) -> Self {
        match path {
            _ if path.contains("/models/") => Self::Gemini,
            _ if path.ends_with("/messages") => Self::Claude,
            _ if path.ends_with("/responses") => Self::Responses,
            _ => Self::Chat,
        }
    }

    /// The client's name for a model of an upstream of this format.
    pub fn model(self, lane: Lane) -> String {
        match lane {
            Lane::Alias => format!("{}-alias", self.name()),
            Lane::Passthrough | Lane::Translate => format!("{}-model", self.name()),
        }
    }

    /// A question of this format for a model.
    pub fn question(self, model: &str, text: &str, is_stream: bool) -> Question {
        let body = match self {
            Self::Chat => json!({"model": model, "stream": is_stream, "temperature": 0.7, "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": text},
            ]}),
            Self::Responses => json!({"model": model, "stream": is_stream, "temperature": 0.7,
            "instructions": "You are a helpful assistant.", "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]},
            ]}),
            Self::Claude => {
                json!({"model": model, "stream": is_stream, "temperature": 0.7, "max_tokens": 1024,
                "system": "You are a helpful assistant.",
                "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]})
            }
            Self::Gemini => json!({"generationConfig": {"temperature": 0.7, "maxOutputTokens": 1024},
                "systemInstruction": {"parts": [{"text": "You are a helpful assistant."}]},
                "contents": [{"role": "user", "parts": [{"text": text}]}]}),
        };
        self.question_of(model, &body, is_stream)
    }

    fn question_of(self, model: &str, body: &Value, is_stream: bool) -> Question {
        let path = match self {
            Self::Chat => "/v1/chat/completions".to_owned(),
            Self::Responses => "/v1/responses".to_owned(),
            Self::Claude => "/v1/messages".to_owned(),
            Self::Gemini if is_stream => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            Self::Gemini => format!("/v1beta/models/{model}:generateContent"),
        };
        Question { path, body: body.to_string().into() }
    }

    /// A whole answer of an upstream.
    pub fn answer(self) -> Bytes {
        let text = "A kettle boils water, and the water makes tea. ".repeat(6);
        let body = match self {
            Self::Chat => json!({"id": "chatcmpl-B1", "object": "chat.completion", "created": 1_700_000_000,
                "model": "chat-model", "choices": [{"index": 0, "logprobs": null, "finish_reason": "stop",
                    "message": {"role": "assistant", "content": text, "refusal": null}}],
                "usage": {"prompt_tokens": 21, "completion_tokens": 66, "total_tokens": 87}}),
            Self::Responses => json!({"id": "resp_B1", "object": "response", "created_at": 1_700_000_000,
                "status": "completed", "model": "responses-model", "output": [{"id": "msg_B1", "type": "message",
                    "status": "completed", "role": "assistant",
                    "content": [{"type": "output_text", "text": text, "annotations": []}]}],
                "usage": {"input_tokens": 21, "output_tokens": 66, "total_tokens": 87}}),
            Self::Claude => {
                json!({"id": "msg_B1", "type": "message", "role": "assistant", "model": "claude-model",
                "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 21, "output_tokens": 66}})
            }
            Self::Gemini => json!({"candidates": [{"index": 0, "finishReason": "STOP",
                    "content": {"role": "model", "parts": [{"text": text}]}}],
                "usageMetadata": {"promptTokenCount": 21, "candidatesTokenCount": 66, "totalTokenCount": 87},
                "modelVersion": "gemini-model", "responseId": "B1"}),
        };
        body.to_string().into()
    }

    /// What an upstream's stream begins with, up to its first text.
    pub fn opening(self) -> Bytes {
        match self {
            Self::Chat => events(&[json!({"id": "chatcmpl-B1", "object": "chat.completion.chunk",
                "created": 1_700_000_000, "model": "chat-model", "service_tier": "default",
                "system_fingerprint": "fp_44709d6fcb", "choices": [{"index": 0,
                    "delta": {"role": "assistant", "content": "", "refusal": null}, "logprobs": null,
                    "finish_reason": null}]})]),
            Self::Responses => {
                let response = json!({"id": "resp_B1", "object": "response", "created_at": 1_700_000_000,
                    "status": "in_progress", "model": "responses-model", "output": []});
                events(&[
                    json!({"type": "response.created", "sequence_number": 0, "response": response}),
                    json!({"type": "response.in_progress", "sequence_number": 1, "response": response}),
                    json!({"type": "response.output_item.added", "sequence_number": 2, "output_index": 0,
                        "item": {"id": "msg_B1", "type": "message", "status": "in_progress", "role": "assistant",
                            "content": []}}),
                    json!({"type": "response.content_part.added", "sequence_number": 3, "item_id": "msg_B1",
                        "output_index": 0, "content_index": 0,
                        "part": {"type": "output_text", "text": "", "annotations": []}}),
                ])
            }
            Self::Claude => events(&[
                json!({"type": "message_start", "message": {"id": "msg_B1", "type": "message", "role": "assistant",
                    "model": "claude-model", "content": [], "stop_reason": null, "stop_sequence": null,
                    "usage": {"input_tokens": 21, "output_tokens": 1}}}),
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            ]),
            Self::Gemini => Bytes::new(),
        }
    }

    /// One piece of text of an upstream's stream.
    pub fn delta(self) -> Bytes {
        events(&[match self {
            Self::Chat => {
                json!({"id": "chatcmpl-B1", "object": "chat.completion.chunk", "created": 1_700_000_000,
                "model": "chat-model", "service_tier": "default", "system_fingerprint": "fp_44709d6fcb",
                "choices": [{"index": 0, "delta": {"content": DELTA}, "logprobs": null, "finish_reason": null}]})
            }
            Self::Responses => json!({"type": "response.output_text.delta", "sequence_number": 4,
                "item_id": "msg_B1", "output_index": 0, "content_index": 0, "delta": DELTA, "logprobs": [],
                "obfuscation": "Zk3q9"}),
            Self::Claude => json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": DELTA}}),
            Self::Gemini => json!({"candidates": [{"content": {"parts": [{"text": DELTA}], "role": "model"},
                    "index": 0}],
                "usageMetadata": {"promptTokenCount": 21, "candidatesTokenCount": 12, "totalTokenCount": 33,
                    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 21}]},
                "modelVersion": "gemini-model", "responseId": "B1"}),
        }])
    }

    /// What an upstream's stream ends with.
    pub fn closing(self) -> Bytes {
        match self {
            Self::Chat => {
                let last = events(&[json!({"id": "chatcmpl-B1", "object": "chat.completion.chunk",
                    "created": 1_700_000_000, "model": "chat-model",
                    "choices": [{"index": 0, "delta": {}, "logprobs": null, "finish_reason": "stop"}]})]);
                [&last[..], b"data: [DONE]\n\n"].concat().into()
            }
            Self::Responses => {
                let part = json!({"type": "output_text", "text": "tea", "annotations": []});
                let item = json!({"id": "msg_B1", "type": "message", "status": "completed", "role": "assistant",
                    "content": [part]});
                events(&[
                    json!({"type": "response.output_text.done", "sequence_number": 5, "item_id": "msg_B1",
                        "output_index": 0, "content_index": 0, "text": "tea"}),
                    json!({"type": "response.content_part.done", "sequence_number": 6, "item_id": "msg_B1",
                        "output_index": 0, "content_index": 0, "part": part}),
                    json!({"type": "response.output_item.done", "sequence_number": 7, "output_index": 0,
                        "item": item}),
                    json!({"type": "response.completed", "sequence_number": 8, "response": {"id": "resp_B1",
                        "object": "response", "created_at": 1_700_000_000, "status": "completed",
                        "model": "responses-model", "output": [item],
                        "usage": {"input_tokens": 21, "output_tokens": 66, "total_tokens": 87}}}),
                ])
            }
            Self::Claude => events(&[
                json!({"type": "content_block_stop", "index": 0}),
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                    "usage": {"output_tokens": 66}}),
                json!({"type": "message_stop"}),
            ]),
            Self::Gemini => {
                events(&[json!({"candidates": [{"content": {"parts": [{"text": ""}], "role": "model"},
                    "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 21, "candidatesTokenCount": 66, "totalTokenCount": 87},
                "modelVersion": "gemini-model", "responseId": "B1"})])
            }
        }
    }
}

/// Frames of an event stream; those that have a `type` are named after it.
fn events(values: &[Value]) -> Bytes {
    let frames = values.iter().map(|value| match value.get("type").and_then(Value::as_str) {
        Some(name) => format!("event: {name}\ndata: {value}\n\n"),
        None => format!("data: {value}\n\n"),
    });
    frames.collect::<String>().into()
}

/// The gateway's configuration: one upstream of every format, each with a plain and a renamed model, and no account of
/// whoever runs this.
pub fn config(upstream: &str) -> String {
    let models = |format: Dialect| {
        let name = format.name();
        format!(
            "models: [{{name: {name}-model, alias: {name}-model}}, {{name: {name}-other, alias: {name}-alias}}]"
        )
    };
    format!(
        "auth-dir: ./accounts\n\
         openai-compatibility:\n  - name: bench\n    base-url: {upstream}/v1\n    api-key-entries: [{{api-key: upstream-key-0001}}]\n    {}\n\
         codex-api-key:\n  - api-key: upstream-key-0002\n    base-url: {upstream}/v1\n    {}\n\
         claude-api-key:\n  - api-key: upstream-key-0003\n    base-url: {upstream}\n    {}\n\
         gemini-api-key:\n  - api-key: upstream-key-0004\n    base-url: {upstream}\n    {}\n",
        models(Dialect::Chat),
        models(Dialect::Responses),
        models(Dialect::Claude),
        models(Dialect::Gemini),
    )
}
