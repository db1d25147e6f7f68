//! What is sent to Kimi Code in its two formats.

use insta::assert_snapshot;

use super::*;
use crate::provider::trial::{Trial, credential};

const CODING: &str = "https://api.kimi.com/coding";

fn headers(sent: &str) -> String {
    // The machine's kind differs from machine to machine.
    sent.lines().filter(|line| !line.starts_with("x-msh-")).collect::<Vec<_>>().join("\n")
}

fn body(text: &'static str, model: &'static str) -> String {
    let mut trial = Trial::new(Operation::Generate, Format::Chat);
    (trial.model, trial.body) = (model, text);
    let sent = trial.sent_body(&Kimi, &credential(CODING));
    // Which conversation it is has a test of its own.
    ["{", ","].iter().fold(sent, |sent, before| {
        sent.replace(
            &format!("{before}\"prompt_cache_key\":\"session-1\"}}"),
            if *before == "{" { "{}" } else { "}" },
        )
    })
}

#[test]
fn every_turn_of_a_conversation_names_it_alike() {
    let key = |body: &'static str, session: &'static str| {
        let mut trial = Trial::new(Operation::Generate, Format::Chat);
        (trial.model, trial.body) = ("kimi-k2.6", body);
        trial.client_headers.clear();
        if !session.is_empty() {
            trial.client_headers.insert("session_id", HeaderValue::from_static(session));
        }
        let sent: serde_json::Value =
            serde_json::from_str(&trial.sent_body(&Kimi, &credential(CODING))).unwrap();
        sent["prompt_cache_key"].as_str().unwrap().to_owned()
    };
    let first = r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"one"}]}"#;
    let second = r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"one"},{"role":"assistant","content":"a"},{"role":"user","content":"two"}]}"#;
    assert_eq!(key(first, ""), key(second, ""));
    assert_ne!(key(first, ""), key(r#"{"messages":[{"role":"user","content":"other"}]}"#, ""));
    assert_eq!(key(first, "mine"), "mine");
    assert_eq!(key(r#"{"messages":[],"prompt_cache_key":"own"}"#, "mine"), "own");
}

#[test]
fn chat_is_asked_in_our_own_name() {
    let mut trial = Trial::new(Operation::Generate, Format::Chat);
    trial.body = r#"{"prompt_cache_key":"k"}"#;
    let sent = trial.sent(&Kimi, &credential(CODING));
    assert_snapshot!(headers(&sent), @r"
    POST https://api.kimi.com/coding/v1/chat/completions
    accept: application/json
    accept-encoding: identity
    authorization: Bearer upstream-key-0123456789 (sensitive)
    content-type: application/json
    user-agent: [product]
    x-copied: copied
    x-fixed: configured
    ");
    assert!(sent.contains("\nx-msh-platform: cli-proxy-api\n"), "{sent}");
}

#[test]
fn claude_clients_are_served_in_their_own_format_and_counted_for() {
    let sent = Trial::new(Operation::Stream, Format::Claude).sent(&Kimi, &credential(CODING));
    assert_snapshot!(headers(&sent), @r"
    POST https://api.kimi.com/coding/v1/messages
    accept: text/event-stream
    accept-encoding: identity
    anthropic-version: 2024-01-01
    authorization: Bearer upstream-key-0123456789 (sensitive)
    content-type: application/json
    user-agent: [product]
    x-copied: copied
    x-fixed: configured
    ");
    let count = Trial::new(Operation::CountTokens, Format::Claude).sent(&Kimi, &credential(CODING));
    assert!(count.starts_with("POST https://api.kimi.com/coding/v1/messages/count_tokens\n"), "{count}");
    let refused = Trial::new(Operation::CountTokens, Format::Chat).refusal(&Kimi, &credential(CODING));
    assert_eq!(refused.fault().code.as_deref(), Some("not_supported"));
}

#[test]
fn models_have_their_names_of_behind_the_door() {
    for (model, inside) in [
        ("kimi-k2.6", "k2.6"),
        ("Kimi-K3[1m]", "k3"),
        ("kimi-k2.7-code", "kimi-for-coding"),
        ("kimi-k2.7-code-highspeed", "kimi-for-coding-highspeed"),
        ("kimi-for-coding", "kimi-for-coding"),
        ("other", "other"),
    ] {
        assert_eq!(upstream_model(model), inside, "{model}");
    }
    assert_eq!(body(r#"{"model": "kimi-k2.6", "n": 1.0}"#, "kimi-k2.6"), r#"{"model": "k2.6", "n": 1.0}"#);
}

#[test]
fn the_effort_is_a_member_of_thinking() {
    for (effort, model, thinking) in [
        (r#"{"reasoning_effort":"low"}"#, "kimi-k2.6", r#"{"thinking":{"type":"enabled","effort":"low"}}"#),
        (
            r#"{"reasoning_effort":"medium"}"#,
            "kimi-k2.6",
            r#"{"thinking":{"type":"enabled","effort":"high"}}"#,
        ),
        (r#"{"reasoning_effort":"max"}"#, "kimi-k2.6", r#"{"thinking":{"type":"enabled","effort":"high"}}"#),
        (r#"{"reasoning_effort":"max"}"#, "kimi-k3", r#"{"thinking":{"type":"enabled","effort":"max"}}"#),
        (r#"{"reasoning_effort":"none"}"#, "kimi-k2.6", r#"{"thinking":{"type":"disabled"}}"#),
        (
            r#"{"thinking":{"type":"enabled"},"reasoning_effort":"high"}"#,
            "kimi-k3",
            r#"{"thinking":{"type":"enabled","effort":"high"}}"#,
        ),
        (r#"{"thinking":{"type":"enabled"}}"#, "kimi-k3", r#"{"thinking":{"type":"enabled"}}"#),
    ] {
        assert_eq!(body(effort, model), thinking, "{effort} {model}");
    }
}
