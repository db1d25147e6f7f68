//! What is written to Chat upstreams.
#![expect(clippy::needless_pass_by_value, reason = "literals are handed over as they are")]

use cliproxy_wire::codec::Strictness;
use cliproxy_wire::format::Format;
use cliproxy_wire::profile::{Profile, ReasoningHistory};
use serde_json::{Value, json};

use crate::support::{Upstream, decode};

fn compatible() -> Upstream {
    Upstream::new(Profile::compatible(), "some-model")
}

fn at(url: &str, model: &str) -> Upstream {
    Upstream::new(Profile::for_chat_base_url(url, "x"), model)
}

fn claude(members: Value) -> Value {
    let mut body = json!({"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn tool_loop(reasoning: bool) -> Value {
    let mut messages = json!([
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "done", "reasoning_content": "old thoughts"},
        {"role": "user", "content": "second"},
        {"role": "assistant", "content": null,
         "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"}]);
    if reasoning {
        messages[3]["reasoning_content"] = "new thoughts".into();
    }
    json!({"model": "m", "messages": messages,
        "tools": [{"type": "function", "function": {"name": "f"}}]})
}

#[test]
fn j110_empty_tools_are_not_sent() {
    let body = compatible().encode(
        Format::Chat,
        &json!({"model": "m", "tools": [], "tool_choice": "auto",
        "parallel_tool_calls": true, "messages": [{"role": "user", "content": "hi"}]}),
    );
    for member in ["tools", "tool_choice", "parallel_tool_calls"] {
        assert!(body.get(member).is_none(), "{body}");
    }
}

#[test]
fn j111_usage_is_asked_for_in_streams_where_the_upstream_can() {
    let request = claude(json!({"stream": true}));
    let mut upstream = compatible();
    assert_eq!(upstream.encode(Format::Claude, &request)["stream_options"], json!({"include_usage": true}));
    assert!(compatible().encode(Format::Claude, &claude(json!({}))).get("stream_options").is_none());
    upstream.profile.has_stream_usage = false;
    let body = upstream.encode(Format::Claude, &request);
    assert_eq!(body["stream"], true);
    assert!(body.get("stream_options").is_none());
}

#[test]
fn j114_thinking_alone_is_sent_only_where_it_is_wanted() {
    let request = json!({"model": "m", "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "", "reasoning_content": "only thoughts"}]});
    let assistants = |profile: Profile| {
        let body = Upstream::new(profile, "x").encode(Format::Chat, &request);
        body["messages"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|message| message["role"] == "assistant")
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(assistants(Profile::compatible()), Vec::<Value>::new());
    let wants = Profile { reasoning_history: ReasoningHistory::Content, ..Profile::compatible() };
    assert_eq!(
        assistants(wants),
        [json!({"role": "assistant", "content": "", "reasoning_content": "only thoughts"})]
    );
}

#[test]
fn j115_deepseek_gets_reasoning_on_every_call_of_the_loop() {
    let upstream = at("https://api.deepseek.com", "deepseek-reasoner");
    for (given, expected) in [(true, "new thoughts"), (false, "")] {
        let body = upstream.encode(Format::Chat, &tool_loop(given));
        assert!(body["messages"][1].get("reasoning_content").is_none(), "{body}");
        assert_eq!(body["messages"][3]["reasoning_content"], expected, "{body}");
    }
}

#[test]
fn j116_reasoning_models_get_the_newer_limit_and_no_sampling() {
    let upstream = Upstream::new(Profile::openai_chat(), "gpt-5");
    let body = upstream.encode(
        Format::Chat,
        &json!({"model": "m", "max_tokens": 99, "temperature": 0.5,
        "top_p": 0.9, "reasoning_effort": "high", "messages": [{"role": "user", "content": "hi"}]}),
    );
    assert_eq!(body["max_completion_tokens"], 99);
    assert_eq!(body["reasoning_effort"], "high");
    for member in ["max_tokens", "temperature", "top_p"] {
        assert!(body.get(member).is_none(), "{body}");
    }
}

#[test]
fn j122_choices_of_claude_clients_are_said_in_our_words() {
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    for (choice, written) in [
        (json!({"type": "any"}), json!("required")),
        (json!({"type": "auto"}), json!("auto")),
        (json!({"type": "tool", "name": "f"}), json!({"type": "function", "function": {"name": "f"}})),
        (json!({"type": "none"}), json!("none")),
    ] {
        let body =
            compatible().encode(Format::Claude, &claude(json!({"tools": tools, "tool_choice": choice})));
        assert_eq!(body["tool_choice"], written);
        assert!(body.get("parallel_tool_calls").is_none());
    }
    let single = claude(json!({"tools": tools,
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true}}));
    assert_eq!(compatible().encode(Format::Claude, &single)["parallel_tool_calls"], false);
}

#[test]
fn j124_text_around_calls_is_joined_and_the_calls_are_kept() {
    let request = claude(json!({"tools": [{"name": "f", "input_schema": {"type": "object"}}], "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [
            {"type": "text", "text": "one"}, {"type": "text", "text": " more"},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
            {"type": "text", "text": "two"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "ok"}]}]}));
    let body = compatible().encode(Format::Claude, &request);
    let assistant = &body["messages"][1];
    assert_eq!(assistant["content"], "one more\n\ntwo");
    assert_eq!(assistant["tool_calls"][0]["function"], json!({"name": "f", "arguments": "{\"a\":1}"}));
}

#[test]
fn an_aggregator_gets_its_details_back_unchanged() {
    let detail = json!({"type": "reasoning.text", "text": "t", "signature": "S", "format": "anthropic-claude-v1",
        "index": 0, "later": [1]});
    let request = json!({"model": "m", "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a", "reasoning": "t", "reasoning_details": [detail]},
        {"role": "user", "content": "again"}]});
    let body = at("https://openrouter.ai/api/v1", "x/y").encode(Format::Chat, &request);
    assert_eq!(body["messages"][1]["reasoning_details"], json!([detail]));
    let body = compatible().encode(Format::Chat, &request);
    assert!(body["messages"][1].get("reasoning_details").is_none());
}

#[test]
fn members_without_a_place_reach_upstreams_of_the_same_format_only() {
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}],
        "min_p": 0.1, "provider": {"order": ["a"]}, "chat_template_kwargs": {"other": 1, "enable_thinking": true}});
    let body = compatible().encode(Format::Chat, &request);
    assert_eq!(body["min_p"], 0.1);
    assert_eq!(body["provider"], json!({"order": ["a"]}));
    assert_eq!(body["chat_template_kwargs"]["other"], 1);
    request["max_tokens"] = 5.into();
    let body = Upstream::new(Profile::claude(), "claude-sonnet-4-5").encode(Format::Chat, &request);
    assert!(body.get("min_p").is_none() && body.get("provider").is_none());
}

#[test]
fn what_only_steers_cost_goes_to_relatives_of_clients_that_speak_their_format() {
    let members = json!({"model": "m", "prompt_cache_key": "k", "service_tier": "flex", "store": true});
    let mut chat = members.clone();
    chat["messages"] = json!([{"role": "user", "content": "hi"}]);
    let body = compatible().encode(Format::Chat, &chat);
    assert_eq!((&body["prompt_cache_key"], &body["service_tier"]), (&json!("k"), &json!("flex")));
    let mut responses = members;
    responses["input"] = "hi".into();
    let encoded = compatible().try_encode(Format::Responses, &responses).unwrap();
    let body: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert!(body.get("prompt_cache_key").is_none() && body.get("store").is_none(), "{body}");
    assert!(encoded.notes.paths().iter().any(|path| path == "prompt_cache_key"), "{:?}", encoded.notes);
    let strict = Upstream { strictness: Strictness::Strict, ..compatible() };
    assert_eq!(
        strict.try_encode(Format::Responses, &responses).unwrap_err().path().as_deref(),
        Some("prompt_cache_key")
    );
    let openai = Upstream::new(Profile::openai_chat(), "gpt-4.1").encode(Format::Responses, &responses);
    assert_eq!(openai["prompt_cache_key"], "k");
}

#[test]
fn what_cannot_be_said_is_refused_with_the_clients_own_path() {
    let stops = json!({"model": "m", "stop": ["a", "b", "c", "d", "e"],
        "messages": [{"role": "user", "content": "hi"}]});
    let openai = Upstream::new(Profile::openai_chat(), "gpt-4.1");
    assert_eq!(openai.try_encode(Format::Chat, &stops).unwrap_err().path().as_deref(), Some("stop"));
    let many = json!({"model": "m", "n": 3, "messages": [{"role": "user", "content": "hi"}]});
    let mut single = compatible();
    single.profile.has_candidates = false;
    assert_eq!(single.try_encode(Format::Chat, &many).unwrap_err().path().as_deref(), Some("n"));
    single.strictness = Strictness::Lenient;
    assert!(single.encode(Format::Chat, &many).get("n").is_none());
    let stored = json!({"model": "m", "input": "hi", "previous_response_id": "resp_1"});
    assert_eq!(
        compatible().try_encode(Format::Responses, &stored).unwrap_err().path().as_deref(),
        Some("previous_response_id")
    );
}

#[test]
fn a_long_user_name_of_claude_clients_becomes_a_hash() {
    let user = "x".repeat(80);
    let openai = Upstream::new(Profile::openai_chat(), "gpt-4.1");
    let body = openai.encode(Format::Claude, &claude(json!({"metadata": {"user_id": user}})));
    assert_eq!(body["safety_identifier"].as_str().unwrap().len(), 64);
    let body = openai.encode(Format::Claude, &claude(json!({"metadata": {"user_id": "short"}})));
    assert_eq!(body["safety_identifier"], "short");
}

#[test]
fn the_golden_request_keeps_its_words_towards_a_relative() {
    let request: Value = serde_json::from_str(&crate::support::fixture("chat/weather-next.json")).unwrap();
    assert!(decode(Format::Chat, &request).is_ok());
    let body = compatible().encode(Format::Chat, &request);
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool", "user"]);
    assert_eq!(messages[2]["tool_calls"], request["messages"][2]["tool_calls"]);
    assert!(messages[2].get("reasoning_details").is_none());
    assert_eq!(body["tools"][1]["function"]["parameters"], json!({"type": "object", "properties": {}}));
}
