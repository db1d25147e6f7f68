//! Requests to Responses upstreams: items, reasoning, tools, settings.

use cliproxy_wire::catalog::{self, ReasoningCaps};
use cliproxy_wire::codec::{Bridge, Notes, Strictness, Target};
use cliproxy_wire::model::{
    Anchor, Block, Content, Opaque, OpaqueKind, Owner, Reasoning, Request, Role, Turn,
};
use cliproxy_wire::normalize::Prepared;
use cliproxy_wire::profile::Profile;
use cliproxy_wire::reasoning::{Plan, Table};
use cliproxy_wire::schema::Cleaned;
use cliproxy_wire::{ErrorKind, Format, responses};
use serde_json::{Value, json};

use super::{MODEL, api, codex, items, read, tool};
use crate::support;

#[test]
fn j125_foreign_clients_store_nothing_and_ask_for_encrypted_reasoning() {
    for (format, body) in [
        (Format::Chat, json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]})),
        (
            Format::Claude,
            json!({"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}),
        ),
        (Format::Gemini, json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})),
    ] {
        let written = api().encode(format, &body);
        assert_eq!(written["store"], false);
        assert_eq!(written["include"], json!(["reasoning.encrypted_content"]));
    }
    // A model that does not reason refuses to be asked.
    let mut plain = api();
    plain.caps = catalog::caps("gpt-4.1");
    plain.caps.reasoning = ReasoningCaps::None;
    let written =
        plain.encode(Format::Chat, &json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}));
    assert_eq!(written["include"], Value::Null);
}

#[test]
fn j126_functions_say_whether_they_are_strict() {
    let mut strict = tool();
    strict["function"]["name"] = json!("strict");
    strict["function"]["strict"] = json!(true);
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": [tool(), strict, {"type": "function", "function": {"name": "bare"}}]});
    let written = api().encode(Format::Chat, &body);
    let stricts: Vec<_> = written["tools"].as_array().unwrap().iter().map(|tool| &tool["strict"]).collect();
    assert_eq!(stricts, [&json!(false), &json!(true), &json!(false)]);
    assert_eq!(written["tools"][2]["parameters"], json!({"type": "object", "properties": {}}));
}

#[test]
fn j127_the_assistants_text_is_output_text_and_the_users_is_input_text() {
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]});
    let written = api().encode(Format::Chat, &body);
    let kinds: Vec<_> =
        written["input"].as_array().unwrap().iter().map(|item| &item["content"][0]["type"]).collect();
    assert_eq!(kinds, ["input_text", "output_text", "input_text"]);
}

#[test]
fn j128_items_have_no_ids() {
    let body = json!({"model": "m", "store": false, "input": [
        {"type": "message", "id": "msg_1", "role": "user", "content": "x"},
        {"type": "message", "id": "msg_2", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "y"}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
        {"type": "function_call_output", "call_id": "c", "output": "z"},
    ]});
    for upstream in [api(), codex()] {
        let written = upstream.encode(Format::Responses, &body);
        for item in written["input"].as_array().unwrap() {
            assert_eq!((&item["id"], &item["status"]), (&Value::Null, &Value::Null));
            assert_ne!(item["type"], "item_reference");
        }
    }
}

/// A request of the model, written without making anything fit.
fn write_as_is(request: Request, profile: &Profile) -> Value {
    let caps = catalog::caps(MODEL);
    let table = Table::default();
    let schemas = Cleaned::default();
    let target = Target {
        profile,
        caps: &caps,
        model: MODEL,
        suffix: None,
        stream: false,
        scope: None,
        strictness: Strictness::Default,
        table: &table,
        schemas: &schemas,
        memory: None,
        repair: None,
    };
    let prepared =
        Prepared { request, plan: Plan::default(), bridge: Bridge::default(), notes: Notes::default() };
    let encoded = responses::encode_request(prepared, &target).unwrap();
    serde_json::from_slice(&encoded.body).unwrap()
}

#[test]
fn j129_reasoning_goes_only_encrypted_and_never_alone() {
    let thought = |data: Option<&str>| {
        let opaque = data.map(|data| Opaque {
            owner: Owner::OpenAi,
            kind: OpaqueKind::OpenAiEncrypted,
            scope: None,
            model: None,
            data: data.into(),
            anchor: Anchor::This,
        });
        Block::new(Content::Reasoning(Reasoning {
            summary: vec!["s".into()],
            opaque: opaque.into_iter().collect(),
            ..Reasoning::default()
        }))
    };
    let items_of = |blocks: Vec<Block>| {
        let mut request = Request::new(Format::Chat, "m");
        request.turns =
            vec![Turn::new(Role::User, vec![Block::text("q")]), Turn::new(Role::Assistant, blocks)];
        let written = write_as_is(request, &Profile::openai_responses());
        items(&written).join(" ")
    };
    assert_eq!(items_of(vec![thought(Some("e")), Block::text("a")]), "message reasoning message");
    assert_eq!(items_of(vec![thought(None), Block::text("a")]), "message message");
    assert_eq!(items_of(vec![Block::text("a"), thought(Some("e"))]), "message message");
}

#[test]
fn j134_a_stream_gives_the_body_that_the_service_would_have_given() {
    use cliproxy_wire::model::fold::Fold;
    let golden = support::fixture("responses/weather.sse");
    let mut fold = Fold::default();
    for event in support::events(&Profile::codex(), &golden) {
        fold.event(event);
    }
    let body = responses::encode_response(&fold.finish().unwrap(), &support::client(Format::Responses));
    let body: Value = serde_json::from_slice(&body).unwrap();
    let expected: Value = serde_json::from_str(&support::fixture("responses/weather.json")).unwrap();
    for member in ["id", "status", "usage"] {
        assert_eq!(body[member], expected[member]);
    }
    for (at, member) in [(0, "encrypted_content"), (1, "content"), (2, "arguments"), (3, "call_id")] {
        assert_eq!(body["output"][at][member], expected["output"][at][member]);
    }
}

#[test]
fn j135_long_call_ids_are_shortened_alike() {
    let id = "x".repeat(90);
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": id, "content": "r"}], "tools": [tool()]});
    let written = api().encode(Format::Chat, &body);
    assert_eq!(items(&written), ["message", "function_call", "function_call_output"]);
    let call = written["input"][1]["call_id"].as_str().unwrap();
    assert!(call.len() <= 64);
    assert_eq!(written["input"][2]["call_id"], call);
}

#[test]
fn j136_results_with_images_are_lists() {
    let body = json!({"model": "m", "max_tokens": 99, "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [
            {"type": "text", "text": "look"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}]}],
        "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]});
    let written = api().encode(Format::Claude, &body);
    assert_eq!(
        written["input"][2]["output"],
        json!([{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}])
    );
}

#[test]
fn j137_limits_below_the_least_are_raised() {
    let body = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(api().encode(Format::Chat, &body)["max_output_tokens"], 16);
}

#[test]
fn j138_json_answers_are_asked_for_in_the_input() {
    let ask = |text: &str| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": text}], "response_format": {"type": "json_object"}});
        let written = api().encode(Format::Chat, &body);
        assert_eq!(written["text"]["format"], json!({"type": "json_object"}));
        serde_json::to_string(&written["input"]).unwrap()
    };
    assert!(ask("List three").contains("JSON object"));
    assert!(!ask("List three as Json").contains("JSON object"));
}

#[test]
fn j139_a_call_at_the_end_gets_an_output() {
    let body = json!({"model": "m", "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}]});
    let written = api().encode(Format::Chat, &body);
    assert_eq!(items(&written), ["message", "function_call", "function_call_output"]);
}

#[test]
fn j140_stop_sequences_are_enforced_here() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stop": ["END"]});
    let encoded = api().try_encode(Format::Chat, &body).unwrap();
    let written: Value = serde_json::from_slice(&encoded.body).unwrap();
    assert_eq!(written["stop"], Value::Null);
    assert_eq!(encoded.bridge.stop_filter, ["END"]);
}

#[test]
fn an_envelope_of_another_provider_is_not_sent() {
    let body: Value = serde_json::from_str(&support::fixture("responses/next_request.json")).unwrap();
    let written = api().encode(Format::Responses, &body);
    assert_eq!(
        items(&written),
        [
            "message",
            "message",
            "function_call",
            "function_call",
            "function_call_output",
            "function_call_output",
            "message"
        ]
    );
    assert_eq!(written["instructions"], "Be brief.");
    assert_eq!(written["tools"], body["tools"]);
}

#[test]
fn what_has_no_place_is_noted_or_refused_by_strictness() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "seed": 7, "frequency_penalty": 0.5});
    let mut upstream = api();
    let encoded = upstream.try_encode(Format::Chat, &body).unwrap();
    for path in ["seed", "frequency_penalty"] {
        assert!(encoded.notes.paths().iter().any(|known| known == path), "{path}: {:?}", encoded.notes);
    }
    upstream.strictness = Strictness::Strict;
    assert_eq!(upstream.try_encode(Format::Chat, &body).unwrap_err().kind(), ErrorKind::Unsupported);
    let several = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "n": 3});
    let error = api().try_encode(Format::Chat, &several).unwrap_err();
    assert_eq!((error.kind(), error.path().as_deref()), (ErrorKind::Unsupported, Some("n")));
}

#[test]
fn a_users_id_of_claude_becomes_a_safety_identifier() {
    let body = |id: &str| json!({"model": "m", "max_tokens": 99, "metadata": {"user_id": id}, "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(api().encode(Format::Claude, &body("short"))["safety_identifier"], "short");
    let long = api().encode(Format::Claude, &body(&"u".repeat(200)));
    assert_eq!(long["safety_identifier"].as_str().unwrap().len(), 64);
    assert_eq!(long["user"], Value::Null);
}

#[test]
fn instructions_of_other_clients_are_joined() {
    let body = json!({"model": "m", "messages": [{"role": "system", "content": "one"}, {"role": "system", "content": "two"}, {"role": "user", "content": "hi"}]});
    let written = api().encode(Format::Chat, &body);
    assert_eq!(written["instructions"], "one\n\ntwo");
    assert_eq!(items(&written), ["message"]);
    // Instructions alone are a conversation too.
    let alone = api()
        .encode(Format::Chat, &json!({"model": "m", "messages": [{"role": "system", "content": "one"}]}));
    assert!(!alone["input"].as_array().unwrap().is_empty());
}

#[test]
fn media_are_written_as_parts_of_the_input() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "high"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}}]}]});
    let written = api().encode(Format::Chat, &body);
    assert_eq!(
        written["input"][0]["content"],
        json!([{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "https://x/y.png", "detail": "high"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}])
    );
}

#[test]
fn the_counting_request_has_only_what_the_endpoint_knows() {
    let body = json!({"model": "m", "input": "hi", "instructions": "i", "temperature": 0.5, "stream": true, "store": false, "metadata": {"a": "b"}, "max_output_tokens": 50});
    let request = read(&body);
    let caps = catalog::caps(MODEL);
    let profile = Profile::openai_responses();
    let table = Table::default();
    let schemas = Cleaned::default();
    let target = Target {
        profile: &profile,
        caps: &caps,
        model: MODEL,
        suffix: None,
        stream: false,
        scope: None,
        strictness: Strictness::Default,
        table: &table,
        schemas: &schemas,
        memory: None,
        repair: None,
    };
    let prepared = cliproxy_wire::normalize::prepare(request, &target).unwrap();
    let encoded = responses::encode_count_request(prepared, &target).unwrap();
    let written: Value = serde_json::from_slice(&encoded.body).unwrap();
    let names: Vec<_> = written.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["model", "instructions", "input"]);
    assert_eq!(responses::decode_count(&responses::encode_count(12)).unwrap(), 12);
}
