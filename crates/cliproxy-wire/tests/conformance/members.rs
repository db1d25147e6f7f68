//! Members that only the official types show to be wrong: too many, too few, or words that a client does not know.

use cliproxy_wire::codec::UpstreamContext;
use cliproxy_wire::format::{self, Format};
use cliproxy_wire::model::Response;
use cliproxy_wire::profile::Profile;
use serde_json::{Value, json};

use crate::support::{self, Upstream, client, frames};

fn read(profile: &Profile, body: &Value) -> Response {
    let context = UpstreamContext::new(profile, "req_fx");
    format::decode_response(profile.format, body.to_string().as_bytes(), &context).unwrap()
}

fn written(to: Format, response: &Response) -> Value {
    serde_json::from_slice(&format::encode_response(to, response, &client(to))).unwrap()
}

fn chat_answer(others: &Value) -> Value {
    let mut body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    });
    body.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    body
}

#[test]
fn members_of_another_format_are_kept_from_a_responses_client_even_where_it_knows_the_name() {
    let body = chat_answer(&json!({"prompt": [], "moderation": {"a": 1}, "citations": ["u"]}));
    let response = read(&Profile::compatible(), &body);
    let answer = written(Format::Responses, &response);
    for name in ["prompt", "moderation", "citations"] {
        assert!(answer.get(name).is_none(), "{name} in {answer}");
    }
    assert_eq!(written(Format::Chat, &response)["citations"], json!(["u"]));
}

#[test]
fn a_tier_that_is_no_word_of_the_format_is_not_written() {
    let response = read(&Profile::compatible(), &chat_answer(&json!({"service_tier": "on_demand"})));
    assert_eq!(written(Format::Responses, &response)["service_tier"], "default");
    let response = read(&Profile::compatible(), &chat_answer(&json!({"service_tier": "fast"})));
    assert_eq!(written(Format::Responses, &response)["service_tier"], "fast");
    assert_eq!(written(Format::Chat, &response)["service_tier"], "fast");

    let chat =
        json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "service_tier": "on_demand"});
    let responses = json!({"model": "m", "input": "Hi", "service_tier": "on_demand"});
    let to_responses = Upstream::new(Profile::openai_responses(), "gpt-5.1");
    let to_chat = Upstream::new(Profile::openai_chat(), "gpt-5.1");
    assert!(to_responses.encode(Format::Chat, &chat).get("service_tier").is_none());
    assert!(to_chat.encode(Format::Responses, &responses).get("service_tier").is_none());
    assert_eq!(to_responses.encode(Format::Responses, &responses)["service_tier"], "on_demand");
    assert_eq!(to_chat.encode(Format::Chat, &chat)["service_tier"], "on_demand");
}

#[test]
fn the_end_of_a_claude_stream_repeats_counts_alone() {
    let stream = support::fixture("claude/weather.sse");
    let said = r#""cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"service_tier":"standard","#;
    let stream = stream.replacen(r#""usage":{"#, &format!(r#""usage":{{{said}"#), 1);
    let events = support::events(&Profile::claude(), &stream);
    let frames = frames(&support::write(Format::Claude, &client(Format::Claude), events));
    assert_eq!(frames[0]["message"]["usage"]["service_tier"], "standard");
    let delta = frames.iter().find(|frame| frame["type"] == "message_delta").unwrap();
    assert!(delta["usage"]["input_tokens"].is_u64() && delta["usage"]["output_tokens"].is_u64(), "{delta}");
    for name in ["service_tier", "cache_creation"] {
        assert!(delta["usage"].get(name).is_none(), "{name} in {delta}");
    }
}

#[test]
fn a_shell_call_is_announced_with_what_is_to_be_run() {
    let call = json!({
        "id": "lsh_1", "type": "local_shell_call", "status": "completed", "call_id": "call_1",
        "action": {"type": "exec", "command": ["ls"], "env": {}},
    });
    let body = json!({"id": "resp_1", "object": "response", "status": "completed", "output": [call]});
    let response = read(&Profile::openai_responses(), &body);
    let mut events = Vec::new();
    cliproxy_wire::model::fold::unfold(&response, &mut events);
    let frames = frames(&support::write(Format::Responses, &client(Format::Responses), events));
    let added = frames.iter().find(|frame| frame["type"] == "response.output_item.added").unwrap();
    assert_eq!(added["item"]["action"]["command"], json!(["ls"]));
    assert_eq!(added["item"]["status"], "in_progress");
}

#[test]
fn a_sound_for_a_chat_client_has_all_members_that_the_format_demands() {
    let sound = json!({"inlineData": {"mimeType": "audio/L16", "data": "AAAA"}});
    let body =
        json!({"candidates": [{"content": {"role": "model", "parts": [sound]}, "finishReason": "STOP"}]});
    let answer = written(Format::Chat, &read(&Profile::gemini(), &body));
    let audio = &answer["choices"][0]["message"]["audio"];
    assert_eq!(audio["data"], "AAAA");
    assert!(audio["id"].as_str().unwrap().starts_with("audio_"), "{audio}");
    assert_eq!(audio["transcript"], "");
    assert_eq!(audio["expires_at"], answer["created"]);
}
