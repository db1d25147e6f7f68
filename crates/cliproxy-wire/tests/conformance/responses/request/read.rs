//! Requests of Responses clients: what is read of them.

use cliproxy_wire::model::{Block, Content, HostedKind, Owner, Role, Tool, Turn};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::{ErrorKind, Format};
use serde_json::{Value, json};

use super::read;
use crate::support::{self, Upstream};

#[test]
fn j027_a_string_is_one_user_message() {
    let text = read(&json!({"model": "m", "input": "hi"}));
    let list = read(
        &json!({"model": "m", "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}]}),
    );
    assert_eq!(text.turns, list.turns);
    assert_eq!(text.turns, [Turn::new(Role::User, vec![Block::text("hi")])]);
}

#[test]
fn j028_items_with_a_role_and_no_type_are_messages() {
    let typed = json!({"model": "m", "input": [{"type": "message", "role": "user", "content": "hi"}]});
    let bare = json!({"model": "m", "input": [{"role": "user", "content": "hi"}]});
    assert_eq!(read(&typed), read(&bare));
}

#[test]
fn j029_a_run_of_the_assistants_items_is_one_turn() {
    let request = read(&serde_json::from_str(&support::fixture("responses/next_request.json")).unwrap());
    let roles: Vec<_> = request.turns.iter().map(|turn| (turn.role, turn.blocks.len())).collect();
    assert_eq!(roles, [(Role::User, 1), (Role::Assistant, 4), (Role::User, 2), (Role::User, 1)]);
    let Content::Reasoning(reasoning) = &request.turns[1].blocks[0].content else {
        panic!("reasoning first")
    };
    assert_eq!(reasoning.opaque[0].owner, Owner::Anthropic);
    assert_eq!(&*reasoning.opaque[0].data, "ErUBsignature0001==");
}

#[test]
fn j030_call_id_pairs_and_id_does_not() {
    let request = read(&json!({"model": "m", "input": [
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "id": "fco_1", "call_id": "call_1", "output": "x"},
    ]}));
    let Content::ToolCall(call) = &request.turns[0].blocks[0].content else { panic!("a call") };
    let Content::ToolResult(result) = &request.turns[1].blocks[0].content else { panic!("a result") };
    assert_eq!((&*call.call_id, &*result.call_id), ("call_1", "call_1"));
    let nameless =
        json!({"model": "m", "input": [{"type": "function_call_output", "id": "fco_1", "output": "x"}]});
    let error = support::decode(Format::Responses, &nameless).unwrap_err();
    assert_eq!(error.path().as_deref(), Some("input[0].call_id"));
}

#[test]
fn j031_output_as_text_and_as_list_are_the_same() {
    let with = |output: Value| {
        read(
            &json!({"model": "m", "input": [{"type": "function_call_output", "call_id": "c", "output": output}]}),
        )
    };
    assert_eq!(with(json!("18 C")), with(json!([{"type": "input_text", "text": "18 C"}])));
}

#[test]
fn j032_tools_of_a_namespace_keep_it() {
    let body = json!({"model": "m", "input": "x", "tools": [{"type": "namespace", "name": "files", "description": "d", "tools": [
        {"type": "function", "name": "read", "parameters": {"type": "object", "properties": {}}},
        {"type": "function", "name": "write", "parameters": {"type": "object", "properties": {}}},
    ]}]});
    let request = read(&body);
    let names: Vec<_> = request
        .tools
        .iter()
        .map(|tool| match tool {
            Tool::Function { name, namespace, .. } => (namespace.as_deref().unwrap(), &**name),
            _ => panic!("functions"),
        })
        .collect();
    assert_eq!(names, [("files", "read"), ("files", "write")]);
    // Towards a foreign upstream they are flat; the call comes back with both parts of its name.
    let upstream = Upstream::new(Profile::claude(), "claude-sonnet-4-5");
    let encoded = upstream.try_encode(Format::Responses, &body).unwrap();
    let written: Value = serde_json::from_slice(&encoded.body).unwrap();
    let wire = written["tools"][1]["name"].as_str().unwrap();
    let origin = &encoded.bridge.tools[wire];
    assert_eq!((origin.namespace.as_deref(), &*origin.name), (Some("files"), "write"));
}

#[test]
fn j045_verbatim_google_tools_are_read() {
    let request = read(
        &json!({"model": "m", "input": "x", "tools": [{"google_search": {}}, {"code_execution": {}}, {"url_context": {}}]}),
    );
    let kinds: Vec<_> = request
        .tools
        .iter()
        .map(|tool| match tool {
            Tool::Hosted { kind, native, .. } => (*kind, native.format),
            _ => panic!("hosted"),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            (HostedKind::WebSearch, Format::Gemini),
            (HostedKind::CodeExecution, Format::Gemini),
            (HostedKind::WebFetch, Format::Gemini)
        ]
    );
}

#[test]
fn j046_bodies_that_are_no_requests_are_refused_with_their_place() {
    for (body, path) in [
        (json!({"input": "x"}), Some("model")),
        (json!({"model": "m"}), Some("input")),
        (json!({"model": "m", "input": 5}), Some("input")),
        (json!([]), None),
    ] {
        let error = support::decode(Format::Responses, &body).unwrap_err();
        assert_eq!(error.path().as_deref(), path);
        assert_eq!(error.kind(), ErrorKind::Malformed);
    }
}

#[test]
fn state_of_the_service_is_refused_towards_other_upstreams() {
    let upstream = Upstream::new(Profile::claude(), "claude-sonnet-4-5");
    for body in [
        json!({"model": "m", "input": "x", "previous_response_id": "resp_1"}),
        json!({"model": "m", "input": "x", "conversation": "conv_1"}),
        json!({"model": "m", "input": [{"type": "item_reference", "id": "msg_1"}, {"role": "user", "content": "x"}]}),
        json!({"model": "m", "input": "x", "background": true}),
        json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}]}),
    ] {
        let error = upstream.try_encode(Format::Responses, &body).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{body}");
    }
}
