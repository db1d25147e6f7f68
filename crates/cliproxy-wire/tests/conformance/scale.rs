//! Requests and answers of very many of the same: what they cost grows as they do, not with its square.

use std::time::Duration;

use cliproxy_wire::codec::UpstreamContext;
use cliproxy_wire::format::{self, Format};
use cliproxy_wire::profile::Profile;
use serde_json::{Value, json};

use crate::support::{Upstream, client, decode, outgrows, work};

const FEW: usize = 100;
const MANY: usize = 8 * FEW;

fn upstreams() -> [(Profile, &'static str); 4] {
    [
        (Profile::compatible(), "m"),
        (Profile::openai_responses(), "gpt-5.1"),
        (Profile::claude(), "claude-sonnet-4-6"),
        (Profile::gemini(), "gemini-3-pro-preview"),
    ]
}

/// Complains where many cost more than a multiple of few. Quadratic work would take sixty-four times as long.
fn compare(what: &str, cost: impl Fn(usize) -> Duration, wrong: &mut Vec<String>) {
    if let Some((few, many)) = outgrows(28, |is_few| cost(if is_few { FEW } else { MANY })) {
        wrong.push(format!("{what}: {few:?} and {many:?}"));
    }
}

type Shape = (&'static str, fn(usize) -> Value);

#[expect(clippy::needless_pass_by_value, reason = "called with literals")]
fn claude(messages: Vec<Value>) -> Value {
    json!({"model": "m", "max_tokens": 9000, "messages": messages,
        "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]})
}

fn used(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "f", "input": {}})
}

fn result(id: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": "r"})
}

fn user(content: &Value) -> Value {
    json!({"role": "user", "content": content})
}

fn model(content: &Value) -> Value {
    json!({"role": "assistant", "content": content})
}

const CLAUDE: &[Shape] = &[
    ("calls of one turn", |count| {
        let ids = (0..count).map(|at| format!("toolu_{at}"));
        let (calls, results): (Vec<_>, Vec<_>) = ids.map(|id| (used(&id), result(&id))).unzip();
        claude(vec![user(&json!("hi")), model(&json!(calls)), user(&json!(results))])
    }),
    ("results in the other order", |count| {
        let ids = (0..count).map(|at| format!("toolu_{at}"));
        let (calls, mut results): (Vec<_>, Vec<_>) = ids.map(|id| (used(&id), result(&id))).unzip();
        results.reverse();
        claude(vec![user(&json!("hi")), model(&json!(calls)), user(&json!(results))])
    }),
    ("calls of one id in as many turns", |count| {
        let mut messages = vec![user(&json!("hi"))];
        for _ in 0..count {
            messages.push(model(&json!([used("toolu_1")])));
            messages.push(user(&json!([{"type": "text", "text": "so"}, result("toolu_1")])));
        }
        claude(messages)
    }),
    ("calls of one id in one turn", |count| {
        let calls = vec![used("toolu_1"); count];
        claude(vec![user(&json!("hi")), model(&json!(calls)), user(&json!(vec![result("toolu_1"); count]))])
    }),
    ("results without a call", |count| {
        claude(vec![user(&json!((0..count).map(|at| result(&format!("toolu_{at}"))).collect::<Vec<_>>()))])
    }),
    ("turns", |count| {
        claude(
            (0..count)
                .flat_map(|_| [user(&json!("hi")), model(&json!("ho"))])
                .chain([user(&json!("hi"))])
                .collect(),
        )
    }),
    ("texts of one turn", |count| {
        claude(vec![user(&json!(vec![json!({"type": "text", "text": "hi"}); count]))])
    }),
    ("pictures of one turn", |count| {
        let image =
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}});
        claude(vec![user(&json!(vec![image; count]))])
    }),
    ("thoughts of one turn", |count| {
        let thought =
            |at: usize| json!({"type": "thinking", "thinking": "t", "signature": format!("ErUB{at:08}")});
        let mut thoughts: Vec<Value> = (0..count).map(thought).collect();
        thoughts.push(used("toolu_1"));
        claude(vec![user(&json!("hi")), model(&json!(thoughts)), user(&json!([result("toolu_1")]))])
    }),
    ("tools", |count| {
        let tool = |at: usize| json!({"name": format!("tool_{at}"), "description": "d", "input_schema": {"type": "object", "properties": {}}});
        json!({"model": "m", "max_tokens": 9000, "messages": [user(&json!("hi"))],
            "tools": (0..count).map(tool).collect::<Vec<_>>()})
    }),
    ("tools whose names are too long", |count| {
        let tool = |at: usize| json!({"name": format!("{}{at}", "n".repeat(70)), "input_schema": {"type": "object", "properties": {}}});
        json!({"model": "m", "max_tokens": 9000, "messages": [user(&json!("hi"))],
            "tools": (0..count).map(tool).collect::<Vec<_>>()})
    }),
    ("members of a schema", |count| {
        let members: serde_json::Map<String, Value> =
            (0..count).map(|at| (format!("p{at}"), json!({"type": "string", "format": "x"}))).collect();
        json!({"model": "m", "max_tokens": 9000, "messages": [user(&json!("hi"))],
            "tools": [{"name": "f", "input_schema": {"type": "object", "properties": members}}]})
    }),
    ("unknown members", |count| {
        let mut body = claude(vec![user(&json!("hi"))]);
        for at in 0..count {
            body[format!("novel{at}")] = json!(1);
        }
        body
    }),
    ("system texts", |count| {
        let mut body = claude(vec![user(&json!("hi"))]);
        body["system"] = json!(vec![json!({"type": "text", "text": "do"}); count]);
        body
    }),
];

const CHAT: &[Shape] = &[
    ("calls of one turn", |count| {
        let call = |at: usize| json!({"id": format!("call_{at}"), "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let mut messages = vec![
            user(&json!("hi")),
            json!({"role": "assistant", "tool_calls": (0..count).map(call).collect::<Vec<_>>()}),
        ];
        messages.extend(
            (0..count)
                .map(|at| json!({"role": "tool", "tool_call_id": format!("call_{at}"), "content": "r"})),
        );
        json!({"model": "m", "messages": messages, "tools": [{"type": "function", "function": {"name": "f"}}]})
    }),
    ("calls without an id", |count| {
        let mut messages = vec![user(&json!("hi"))];
        for _ in 0..count {
            messages.push(json!({"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}));
            messages.push(json!({"role": "function", "name": "f", "content": "r"}));
        }
        json!({"model": "m", "messages": messages, "functions": [{"name": "f"}]})
    }),
    ("instructions in the middle", |count| {
        let mut messages = vec![user(&json!("hi"))];
        messages.extend((0..count).map(|_| json!({"role": "system", "content": "do"})));
        json!({"model": "m", "messages": messages})
    }),
    ("instructions between turns", |count| {
        let turn = || [user(&json!("hi")), model(&json!("ho")), json!({"role": "system", "content": "do"})];
        json!({"model": "m", "messages": (0..count).flat_map(|_| turn()).collect::<Vec<_>>()})
    }),
];

const RESPONSES: &[Shape] = &[
    ("calls of one turn", |count| {
        let mut input = vec![json!({"role": "user", "content": "hi"})];
        let call = |at: usize| json!({"type": "function_call", "call_id": format!("call_{at}"), "name": "f", "arguments": "{}"});
        let output = |at: usize| json!({"type": "function_call_output", "call_id": format!("call_{at}"), "output": "r"});
        input.extend((0..count).map(call));
        input.extend((0..count).map(output));
        json!({"model": "m", "input": input, "tools": [{"type": "function", "name": "f"}]})
    }),
    ("shell calls", |count| {
        let mut input = vec![json!({"role": "user", "content": "hi"})];
        for at in 0..count {
            input.push(json!({"type": "local_shell_call", "id": format!("lsh_{at}"), "call_id": format!("call_{at}"), "status": "completed",
                "action": {"type": "exec", "command": ["ls"], "env": {}}}));
            input.push(json!({"type": "local_shell_call_output", "id": format!("lsh_{at}"), "output": "r"}));
        }
        json!({"model": "m", "input": input, "tools": [{"type": "local_shell"}]})
    }),
    ("shell outputs", |count| {
        let mut input = vec![json!({"role": "user", "content": "hi"})];
        for at in 0..count {
            input.push(json!({"type": "shell_call", "call_id": format!("call_{at}"), "action": {"commands": ["ls"]}}));
            input.push(json!({"type": "shell_call_output", "call_id": format!("call_{at}"), "output": []}));
        }
        json!({"model": "m", "input": input})
    }),
    ("thoughts", |count| {
        let thought = |at: usize| json!({"type": "reasoning", "summary": [], "encrypted_content": format!("gAAAA{at}")});
        let mut input = vec![json!({"role": "user", "content": "hi"})];
        input.extend((0..count).map(thought));
        input.push(json!({"role": "assistant", "content": "ho"}));
        input.push(json!({"role": "user", "content": "hi"}));
        json!({"model": "m", "input": input})
    }),
];

const GEMINI: &[Shape] = &[
    ("calls of one turn", |count| {
        let calls = vec![json!({"functionCall": {"name": "f", "args": {}}}); count];
        let results = vec![json!({"functionResponse": {"name": "f", "response": {"output": "r"}}}); count];
        json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": calls}, {"role": "user", "parts": results}],
            "tools": [{"functionDeclarations": [{"name": "f"}]}]})
    }),
    ("signed texts", |count| {
        let text = |at: usize| json!({"text": "t", "thoughtSignature": format!("CiQB{at:08}")});
        json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": (0..count).map(text).collect::<Vec<_>>()},
            {"role": "user", "parts": [{"text": "hi"}]}]})
    }),
    ("thoughts", |count| {
        let text =
            |at: usize| json!({"text": "t", "thought": true, "thoughtSignature": format!("CiQB{at:08}")});
        json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": (0..count).map(text).collect::<Vec<_>>()},
            {"role": "user", "parts": [{"text": "hi"}]}]})
    }),
];

#[test]
fn requests_of_very_many_of_the_same_cost_linear_time() {
    let mut wrong = Vec::new();
    for (from, shapes) in [
        (Format::Claude, CLAUDE),
        (Format::Chat, CHAT),
        (Format::Responses, RESPONSES),
        (Format::Gemini, GEMINI),
    ] {
        for (what, shape) in shapes {
            for (profile, name) in upstreams() {
                let upstream = Upstream::new(profile, name);
                let what = format!("{what} of {} for {}", from.name(), upstream.profile.name);
                let cost = |count: usize| {
                    let body = shape(count);
                    work(|| {
                        // What is refused is refused in time, too.
                        let _sent = upstream.encode_request(&decode(from, &body).unwrap());
                    })
                };
                compare(&what, cost, &mut wrong);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

type Answer = (&'static str, fn(usize) -> (Profile, String));

fn stream(chunks: impl IntoIterator<Item = Value>) -> String {
    chunks.into_iter().flat_map(|chunk| ["data: ".to_owned(), chunk.to_string(), "\n\n".to_owned()]).collect()
}

fn delta(delta: &Value, finish: Option<&str>) -> Value {
    json!({"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

fn call(at: usize) -> Value {
    json!({"index": at, "id": format!("call_{at}"), "type": "function", "function": {"name": "f", "arguments": "{}"}})
}

fn parts(parts: &Value, more: &Value) -> Value {
    let mut chunk = json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}}]});
    for (name, value) in more.as_object().into_iter().flatten() {
        chunk["candidates"][0][name] = value.clone();
    }
    chunk
}

const ANSWERS: &[Answer] = &[
    ("calls", |count| {
        let calls = (0..count).map(|at| delta(&json!({"tool_calls": [call(at)]}), None));
        (Profile::compatible(), stream(calls.chain([delta(&json!({}), Some("tool_calls"))])))
    }),
    ("calls at once", |count| {
        let calls: Vec<Value> = (0..count).map(call).collect();
        (Profile::compatible(), stream([delta(&json!({"tool_calls": calls}), Some("tool_calls"))]))
    }),
    ("citations", |count| {
        let cited = |at: usize| json!({"type": "url_citation", "url_citation": {"url": format!("https://a.example/{at}"), "title": "A", "start_index": 0, "end_index": 4}});
        let cited: Vec<Value> = (0..count).map(cited).collect();
        (
            Profile::compatible(),
            stream([
                delta(&json!({"content": "Text"}), None),
                delta(&json!({"annotations": cited}), Some("stop")),
            ]),
        )
    }),
    ("late citations", |count| {
        let cited = |at: usize| json!({"type": "url_citation", "url_citation": {"url": format!("https://a.example/{at}"), "title": "A", "start_index": 0, "end_index": 4}});
        let cited: Vec<Value> = (0..count).map(cited).collect();
        (
            Profile::compatible(),
            stream([
                delta(&json!({"content": "Text"}), None),
                delta(&json!({"tool_calls": [call(0)]}), None),
                delta(&json!({"annotations": cited}), Some("tool_calls")),
            ]),
        )
    }),
    ("thoughts between texts", |count| {
        let chunks = (0..count).flat_map(|_| {
            [delta(&json!({"reasoning_content": "t"}), None), delta(&json!({"content": "a"}), None)]
        });
        (Profile::compatible(), stream(chunks.chain([delta(&json!({}), Some("stop"))])))
    }),
    ("entries of reasoning", |count| {
        let entry = |at: usize| json!({"type": "reasoning.encrypted", "data": format!("d{at}"), "index": at});
        let chunks = (0..count).map(|at| delta(&json!({"reasoning_details": [entry(at)]}), None));
        (
            Profile::for_chat_base_url("https://openrouter.ai/api/v1", ""),
            stream(chunks.chain([delta(&json!({"content": "a"}), Some("stop"))])),
        )
    }),
    ("signed parts", |count| {
        let chunks = (0..count).map(|at| {
            parts(&json!([{"text": "t", "thoughtSignature": format!("CiQB{at:08}")}]), &Value::Null)
        });
        (Profile::gemini(), stream(chunks.chain([parts(&json!([]), &json!({"finishReason": "STOP"}))])))
    }),
    ("signed thoughts", |count| {
        let chunks = (0..count).map(|at| {
            parts(
                &json!([{"text": "t", "thought": true, "thoughtSignature": format!("CiQB{at:08}")}]),
                &Value::Null,
            )
        });
        (Profile::gemini(), stream(chunks.chain([parts(&json!([]), &json!({"finishReason": "STOP"}))])))
    }),
    ("grounding", |count| {
        let chunk = |at: usize| json!({"web": {"uri": format!("https://a.example/{at}"), "title": "A"}});
        let support = |at: usize| json!({"segment": {"startIndex": 0, "endIndex": 4, "text": "Text"}, "groundingChunkIndices": [at]});
        let grounding = json!({"groundingChunks": (0..count).map(chunk).collect::<Vec<_>>(), "groundingSupports": (0..count).map(support).collect::<Vec<_>>()});
        (
            Profile::gemini(),
            stream([
                parts(&json!([{"text": "Text"}]), &Value::Null),
                parts(&json!([]), &json!({"finishReason": "STOP", "groundingMetadata": grounding})),
            ]),
        )
    }),
    ("texts of an answer that is grounded early", |count| {
        let chunk = |at: usize| json!({"web": {"uri": format!("https://a.example/{at}"), "title": "A"}});
        let support = |at: usize| json!({"segment": {"startIndex": at * 4, "endIndex": at * 4 + 4, "text": format!("{at:04}")}, "groundingChunkIndices": [at]});
        let grounding = json!({"groundingChunks": (0..count).map(chunk).collect::<Vec<_>>(), "groundingSupports": (0..count).map(support).collect::<Vec<_>>()});
        let first = parts(&json!([]), &json!({"groundingMetadata": grounding}));
        let text = |at: usize| {
            parts(&json!([{"text": "t", "thought": true}, {"text": format!("{at:04}")}]), &Value::Null)
        };
        let end = parts(&json!([]), &json!({"finishReason": "STOP"}));
        (Profile::gemini(), stream([first].into_iter().chain((0..count).map(text)).chain([end])))
    }),
    ("candidates", |count| {
        let choice = |at: usize| json!({"id": "x", "choices": [{"index": at, "delta": {"content": "a"}, "finish_reason": "stop"}]});
        (Profile::compatible(), stream((0..count).map(choice)) + "data: [DONE]\n\n")
    }),
    ("items", |count| {
        let item = |at: usize| {
            json!({"type": "response.output_item.done", "output_index": at, "item": {"type": "message", "id": format!("msg_{at}"),
            "role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": []}]}})
        };
        let done = json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}});
        (Profile::openai_responses(), stream((0..count).map(item).chain([done])))
    }),
    ("parts of a message", |count| {
        let part = |at: usize| json!({"type": "response.output_text.delta", "output_index": 0, "item_id": "msg_1", "content_index": at, "delta": "a"});
        let done = json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}});
        (Profile::openai_responses(), stream((0..count).map(part).chain([done])))
    }),
    ("blocks", |count| {
        let block = |at: usize| {
            [
                json!({"type": "content_block_start", "index": at, "content_block": {"type": "tool_use", "id": format!("toolu_{at}"), "name": "f", "input": {}}}),
                json!({"type": "content_block_delta", "index": at, "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
                json!({"type": "content_block_stop", "index": at}),
            ]
        };
        let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}});
        let end = [
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}}),
            json!({"type": "message_stop"}),
        ];
        (Profile::claude(), stream([start].into_iter().chain((0..count).flat_map(block)).chain(end)))
    }),
    ("open blocks", |count| {
        let start = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}});
        let begin = |at: usize| json!({"type": "content_block_start", "index": at, "content_block": {"type": "tool_use", "id": format!("toolu_{at}"), "name": "f", "input": {}}});
        let stop = |at: usize| json!({"type": "content_block_stop", "index": at});
        let end = [
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}}),
            json!({"type": "message_stop"}),
        ];
        (
            Profile::claude(),
            stream([start].into_iter().chain((0..count).map(begin)).chain((0..count).map(stop)).chain(end)),
        )
    }),
];

#[test]
fn answers_of_very_many_of_the_same_cost_linear_time() {
    let mut wrong = Vec::new();
    for (what, shape) in ANSWERS {
        for to in Format::ALL {
            let what = format!("{what} for {}", to.name());
            let cost = |count: usize| {
                let (profile, stream) = shape(count);
                work(|| {
                    let context = UpstreamContext::new(&profile, "r");
                    let mut decoder = format::stream_decoder(profile.format, context);
                    let mut reader = cliproxy_wire::sse::StreamReader::new(32 << 20);
                    let mut encoder = format::stream_encoder(to, client(to));
                    let mut fold = cliproxy_wire::model::fold::Fold::default();
                    let (mut events, mut out) = (Vec::new(), Vec::new());
                    reader.push(stream.as_bytes(), &mut |frame| decoder.frame(&frame, &mut events)).unwrap();
                    decoder.finish(None, &mut events);
                    for event in events {
                        fold.event(event.clone());
                        encoder.event(event, &mut out);
                    }
                    if let Some(response) = fold.finish() {
                        let _body = format::encode_response(to, &response, &client(to));
                    }
                })
            };
            compare(&what, cost, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
