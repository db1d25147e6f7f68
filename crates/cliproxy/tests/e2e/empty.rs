//! Upstreams that answer regularly and with nothing: that is a failure, and another key serves.

use cliproxy_testkit::{Received, Script, Upstream};
use serde_json::{Value, json};

use crate::support::{self, FORMATS};

fn frames(frames: &[(&str, Value)]) -> Script {
    let text: String = frames
        .iter()
        .map(|(event, data)| match *event {
            "" => format!("data: {data}\n\n"),
            event => format!("event: {event}\ndata: {data}\n\n"),
        })
        .collect();
    Script::events(vec![text.into()])
}

/// A regular answer of the format without anything in it; `output` tokens are said to have been written.
fn empty(format: &str, is_stream: bool, output: u64) -> Script {
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "up", "content": [],
        "stop_reason": "end_turn", "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": output}});
    let chat = |key: &str, content: Value, finish: Value| {
        json!({"id": "c", "object": "chat.completion", "created": 1, "model": "up",
            "choices": [{"index": 0, key: content, "finish_reason": finish}],
            "usage": {"prompt_tokens": 10, "completion_tokens": output, "total_tokens": 10 + output}})
    };
    let response = |status: &str| {
        json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "up", "output": [],
            "usage": {"input_tokens": 10, "output_tokens": output, "total_tokens": 10 + output}})
    };
    let chunk = json!({"candidates": [{"content": {"role": "model", "parts": [{"text": ""}]}, "index": 0, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": output, "totalTokenCount": 10 + output}, "modelVersion": "up"});
    match (format, is_stream) {
        ("claude", false) => Script::json(200, message.to_string()),
        ("claude", true) => {
            let mut begun = message.clone();
            begun["stop_reason"] = Value::Null;
            frames(&[
                ("message_start", json!({"type": "message_start", "message": begun})),
                (
                    "message_delta",
                    json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": output}}),
                ),
                ("message_stop", json!({"type": "message_stop"})),
            ])
        }
        ("chat", false) => {
            let message = json!({"role": "assistant", "content": "", "refusal": null});
            Script::json(200, chat("message", message, json!("stop")).to_string())
        }
        ("chat", true) => frames(&[
            ("", chat("delta", json!({"role": "assistant", "content": ""}), Value::Null)),
            ("", chat("delta", json!({}), json!("stop"))),
        ])
        .send("data: [DONE]\n\n"),
        ("responses", false) => Script::json(200, response("completed").to_string()),
        ("responses", true) => frames(&[
            (
                "response.created",
                json!({"type": "response.created", "sequence_number": 0, "response": response("in_progress")}),
            ),
            (
                "response.completed",
                json!({"type": "response.completed", "sequence_number": 1, "response": response("completed")}),
            ),
        ]),
        (_, false) => Script::json(200, chunk.to_string()),
        (_, true) => frames(&[("", chunk)]),
    }
}

fn is_first(received: &Received) -> bool {
    format!("{:?}", received.headers).contains("first-key")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_with_nothing_in_it_is_a_failure_and_another_key_serves() {
    for format in FORMATS {
        let upstream = Upstream::start(move |received| {
            if is_first(received) {
                return empty(format, support::asks_stream(received), 0);
            }
            support::answering(format)(received)
        })
        .await;
        let entry = |key: &str, more: &str| {
            support::entry(format, key, &upstream.url(), &format!("{more}{}", support::UP))
        };
        let entries = [entry("first-key-0001", "priority: 1, "), entry("other-key-0001", "")];
        let config = format!("request-retry: 0\ndisable-cooling: true\n{}", support::list(format, &entries));
        let gateway = support::start(&config, &[]);
        for client in FORMATS {
            for is_stream in [false, true] {
                let answer = support::ask_model(&gateway, client, "up", is_stream).await;
                assert_eq!(
                    answer.status, 200,
                    "{client} over {format}, stream: {is_stream}: {}",
                    answer.body
                );
                let text = support::text_of(client, is_stream, &answer.body);
                assert!(!text.is_empty(), "{client} over {format}, stream: {is_stream}: {}", answer.body);
            }
        }
        assert_eq!(upstream.received().iter().filter(|received| is_first(received)).count(), 8, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_has_nothing_to_say_is_believed_when_it_was_paid_for_it() {
    for format in FORMATS {
        let upstream =
            Upstream::start(move |received| empty(format, support::asks_stream(received), 2)).await;
        let gateway = support::start(&support::config(format, &upstream), &[]);
        for client in FORMATS {
            for is_stream in [false, true] {
                let answer = support::ask_model(&gateway, client, "up", is_stream).await;
                assert_eq!(
                    answer.status, 200,
                    "{client} over {format}, stream: {is_stream}: {}",
                    answer.body
                );
                if is_stream {
                    assert!(
                        support::is_complete(client, &answer.body),
                        "{client} over {format}: {}",
                        answer.body
                    );
                }
            }
        }
        assert_eq!(upstream.received().len(), 8, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_everybody_answers_with_nothing_the_client_is_told() {
    let upstream = Upstream::start(|received| empty("claude", support::asks_stream(received), 0)).await;
    let config = format!("request-retry: 0\n{}", support::config("claude", &upstream));
    let gateway = support::start(&config, &[]);
    for client in FORMATS {
        let answer = support::ask_model(&gateway, client, "up", true).await;
        assert_eq!(answer.status, 502, "{}", answer.body);
        assert!(answer.body.contains("the upstream's answer is empty"), "{}", answer.body);
    }
}
