//! What is sent to Qwen Code, where, and what its refusals mean.

use insta::assert_snapshot;

use super::*;
use crate::provider::trial::{Trial, credential};

const PORTAL: &str = "https://portal.qwen.ai/v1";

fn adopted(file: &str) -> String {
    let record = Record::parse(file.as_bytes()).unwrap();
    Qwen.adopt(&record, &login::identity()).unwrap().base_url.to_string()
}

fn body(text: &'static str, is_stream: bool) -> String {
    String::from_utf8(fitted(&Bytes::from_static(text.as_bytes()), is_stream).to_vec()).unwrap()
}

#[test]
fn an_account_is_asked_in_our_own_name_with_the_headers_that_the_service_wants() {
    let trial = Trial::new(Operation::Generate, cliproxy_wire::Format::Chat);
    assert_snapshot!(trial.sent(&Qwen, &credential(PORTAL)), @r"
    POST https://portal.qwen.ai/v1/chat/completions
    accept: application/json
    accept-encoding: identity
    authorization: Bearer upstream-key-0123456789 (sensitive)
    content-type: application/json
    user-agent: [product]
    x-copied: copied
    x-dashscope-authtype: qwen-oauth
    x-dashscope-cachecontrol: enable
    x-dashscope-useragent: [product]
    x-fixed: configured
    ");
}

#[test]
fn the_address_comes_with_the_tokens_in_every_spelling() {
    for resource in ["own.qwen.ai", "https://own.qwen.ai", "own.qwen.ai/v1", "https://own.qwen.ai/v1/"] {
        let file = format!(r#"{{"type":"qwen","resource_url":"{resource}"}}"#);
        assert_eq!(adopted(&file), "https://own.qwen.ai/v1", "{resource}");
    }
    assert_eq!(adopted(r#"{"type":"qwen","resource_url":""}"#), PORTAL);
    let named = r#"{"type":"qwen","resource_url":"own.qwen.ai","base_url":"https://named.example/v1/"}"#;
    assert_eq!(adopted(named), "https://named.example/v1");
}

#[test]
fn all_instructions_become_one_system_message_in_parts() {
    assert_snapshot!(body(r#"{"n": 1.0, "messages":[{"role":"system","content":"A"},{"role":"user","content":"hi", "x":1.50},{"role":"developer","content":[{"type":"text","text":"B"}]}]}"#, false),
        @r#"{"n": 1.0, "messages":[{"role":"system","content":[{"type":"text","text":"A"},{"type":"text","text":"B"}]},{"role":"user","content":"hi", "x":1.50}]}"#);
    assert_snapshot!(body(r#"{"messages":[{"role":"user","content":"hi"}]}"#, false),
        @r#"{"messages":[{"role":"system","content":[{"type":"text","text":"","cache_control":{"type":"ephemeral"}}]},{"role":"user","content":"hi"}]}"#);
    let fit = r#"{"messages": [ {"role":"system","content":[{"type":"text","text":"A"}]}, {"role":"user","content":"hi"}] }"#;
    assert_eq!(body(fit, false), fit, "what fits stays byte for byte");
    for unreadable in ["{}", r#"{"messages":[]}"#, r#"{"messages":7}"#] {
        assert_eq!(body(unreadable, false), unreadable);
    }
}

#[test]
fn a_stream_has_a_tool_and_its_usage() {
    let fit = r#"{"messages":[{"role":"system","content":[]}],"tools":[]}"#;
    let sent: serde_json::Value = serde_json::from_str(&body(fit, true)).unwrap();
    assert_eq!(sent["tools"][0]["function"]["name"], "do_not_call_me");
    assert_eq!(sent["stream_options"]["include_usage"], true);
    assert_eq!(body(fit, false), fit);
    let own = r#"{"messages":[{"role":"system","content":[]}],"tools":[{"type":"function"}],"stream_options":{"include_usage":true}}"#;
    assert_eq!(body(own, true), own, "a client's own tools are enough");
}

#[test]
fn a_used_up_day_is_a_quota_whatever_its_status_and_lasts_until_midnight_in_china() {
    let words = [
        (FaultKind::Permission, "insufficient_quota", "no"),
        (FaultKind::RateLimit, "", "Free allocated quota exceeded."),
        (FaultKind::Quota, "quota_exceeded", "no"),
    ];
    let headers = http::HeaderMap::new();
    for (kind, code, message) in words {
        let fault = Fault::new(kind, message).with_code(code);
        assert_eq!(Qwen.judge(&fault), Retry::Next(Rest::Quota(None)), "{code} {message}");
        // 2026-04-01T15:00:00Z is 23 o'clock there.
        let told = Told { headers: &headers, fault: Some(&fault), model: "coder-model", now: 1_775_055_600 };
        let windows = Qwen.quotas(&told);
        assert_eq!(windows[0].resets_at, Some(1_775_055_600 + 3600));
        assert!(windows[0].is_used_up() && windows[0].model.is_none());
    }
    let pace = Fault::new(FaultKind::RateLimit, "slow down").with_code("rate_limit_exceeded");
    let told = Told { headers: &headers, fault: Some(&pace), model: "coder-model", now: 0 };
    assert!(Qwen.quotas(&told).is_empty());
    let expired = Fault::new(FaultKind::Authentication, "invalid access token or token expired");
    assert_eq!(Qwen.judge(&expired), Retry::Next(Rest::Unauthorized));
    let order = Fault::new(FaultKind::InvalidRequest, "System message must be at the beginning");
    assert_eq!(Qwen.judge(&order), Retry::Never);
}
