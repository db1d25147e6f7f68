//! Opaque state of a history: whose goes where.

use cliproxy_wire::codec::{Strictness, Target};
use cliproxy_wire::format::{RequestContext, decode_request, encode_request};
use cliproxy_wire::model::{Anchor, Opaque, OpaqueKind, Owner};
use cliproxy_wire::opaque::{Repair, wrap};
use cliproxy_wire::profile::Profile;
use cliproxy_wire::schema::Cleaned;
use cliproxy_wire::{Format, catalog, reasoning};
use serde_json::{Value, json};

fn sent(
    profile: &Profile,
    model: &str,
    scope: Option<&str>,
    repair: Option<Repair>,
    format: Format,
    body: &Value,
) -> Value {
    let request = decode_request(format, body.to_string().as_bytes(), RequestContext::default()).unwrap();
    let caps = catalog::caps(model);
    let (table, schemas) = (reasoning::Table::default(), Cleaned::default());
    let target = Target {
        profile,
        caps: &caps,
        model,
        suffix: None,
        stream: false,
        scope,
        strictness: Strictness::Default,
        table: &table,
        schemas: &schemas,
        memory: None,
        repair,
    };
    serde_json::from_slice(&encode_request(request, &target).unwrap().body).unwrap()
}

fn two_steps() -> Value {
    let call = |id: &str| {
        json!({"role": "assistant", "tool_calls": [
        {"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": format!("{id}x"), "type": "function", "function": {"name": "f", "arguments": "{}"}}]})
    };
    let results = |id: &str| {
        [
            json!({"role": "tool", "tool_call_id": id, "content": "1"}),
            json!({"role": "tool", "tool_call_id": format!("{id}x"), "content": "2"}),
        ]
    };
    let mut messages = vec![json!({"role": "user", "content": "old"}), call("a")];
    messages.extend(results("a"));
    messages.push(json!({"role": "user", "content": "new"}));
    messages.push(call("b"));
    messages.extend(results("b"));
    json!({"model": "m", "messages": messages, "tools": [{"type": "function", "function": {"name": "f"}}]})
}

fn signatures(body: &Value) -> Vec<Value> {
    let parts =
        body["contents"].as_array().unwrap().iter().flat_map(|content| content["parts"].as_array().unwrap());
    parts
        .filter(|part| part.get("functionCall").is_some())
        .map(|part| part["thoughtSignature"].clone())
        .collect()
}

#[test]
fn j088_the_first_call_of_each_step_of_the_current_turn_is_signed() {
    let body = sent(&Profile::gemini(), "gemini-3-pro-preview", None, None, Format::Chat, &two_steps());
    assert_eq!(signatures(&body)[2..], [json!("skip_thought_signature_validator"), Value::Null]);
}

#[test]
fn j089_earlier_turns_get_no_sentinel() {
    let body = sent(&Profile::gemini(), "gemini-3-pro-preview", None, None, Format::Chat, &two_steps());
    assert_eq!(signatures(&body)[..2], [Value::Null, Value::Null]);
    let older = sent(&Profile::gemini(), "gemini-2.5-flash", None, None, Format::Chat, &two_steps());
    assert!(signatures(&older).iter().all(Value::is_null));
}

#[test]
fn j108_a_missing_signature_is_repaired_with_sentinels() {
    let repair = Some(Repair::Sentinels);
    let body = sent(&Profile::gemini(), "gemini-2.5-flash", None, repair, Format::Chat, &two_steps());
    assert_eq!(signatures(&body)[2], "skip_thought_signature_validator");
}

fn encrypted(scope: &str) -> Value {
    let state = Opaque {
        owner: Owner::OpenAi,
        kind: OpaqueKind::OpenAiEncrypted,
        scope: Some(scope.into()),
        model: None,
        data: "gAAAAABsecret".into(),
        anchor: Anchor::This,
    };
    json!({"model": "m", "max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "", "signature": wrap(&state, None).unwrap()}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": "c"}]})
}

#[test]
fn j130_encrypted_content_of_another_scope_is_dropped() {
    let profile = Profile::openai_responses();
    let own = sent(&profile, "gpt-5.1", Some("s1"), None, Format::Claude, &encrypted("s1"));
    assert!(own.to_string().contains("gAAAAABsecret"), "{own}");
    let other = sent(&profile, "gpt-5.1", Some("s2"), None, Format::Claude, &encrypted("s1"));
    assert!(
        !other.to_string().contains("\"reasoning\",\"summary\"")
            && !other.to_string().contains("gAAAAABsecret"),
        "{other}"
    );
}

#[test]
fn j131_rejected_encrypted_content_is_left_out_of_the_repeat() {
    let repair = Some(Repair::DropEncrypted);
    let body =
        sent(&Profile::openai_responses(), "gpt-5.1", Some("s1"), repair, Format::Claude, &encrypted("s1"));
    assert!(!body.to_string().contains("gAAAAABsecret"), "{body}");
}
