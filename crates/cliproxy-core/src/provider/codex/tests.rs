//! What is sent to Responses-compatible services and to the Codex backend, and what the backend's refusals mean.

use cliproxy_wire::fault::{self, HeaderHints};
use insta::assert_snapshot;
use serde_json::json;

use super::*;
use crate::provider::trial::{Trial, credential, with_account, with_key};

const BASE: &str = "https://responses.example/v1";

#[test]
fn a_responses_client_keeps_what_holds_its_turns_together() {
    let trial = Trial::new(Operation::Stream, Format::Responses);
    assert_snapshot!(trial.sent(&Codex, &credential(BASE)), @r"
    POST https://responses.example/v1/responses
    accept: text/event-stream
    accept-encoding: identity
    authorization: Bearer upstream-key-0123456789 (sensitive)
    content-type: application/json
    openai-beta: assistants=v2
    session_id: session-1
    user-agent: [product]
    x-codex-turn-state: state
    x-copied: copied
    x-fixed: configured
    ");
}

#[test]
fn other_clients_send_nothing_of_their_own() {
    let trial = Trial::new(Operation::Generate, Format::Claude);
    assert_snapshot!(trial.sent(&Codex, &credential(BASE)), @r"
    POST https://responses.example/v1/responses
    accept: application/json
    accept-encoding: identity
    authorization: Bearer upstream-key-0123456789 (sensitive)
    content-type: application/json
    user-agent: [product]
    x-copied: copied
    x-fixed: configured
    ");
}

#[test]
fn every_operation_has_its_path() {
    for (operation, path) in
        [(Operation::CountTokens, "/responses/input_tokens"), (Operation::Compact, "/responses/compact")]
    {
        let sent = Trial::new(operation, Format::Responses).sent(&Codex, &credential(BASE));
        assert!(sent.starts_with(&format!("POST {BASE}{path}\n")), "{sent}");
    }
}

#[test]
fn a_service_without_a_key_is_asked_without_one() {
    let trial = Trial::new(Operation::Generate, Format::Chat);
    for key in [None, Some("")] {
        let sent = trial.sent(&Codex, &with_key(key, credential(BASE)));
        assert!(!sent.contains("authorization"), "{sent}");
    }
}

const BACKEND: &str = "https://chatgpt.com/backend-api/codex";

fn account() -> Credential {
    let file = json!({"type": "codex", "access_token": "upstream-key-account", "account_id": "account-1"});
    with_account(&file, credential(BACKEND))
}

#[test]
fn the_backend_is_told_whose_plan_is_used_and_which_conversation_it_is() {
    let mut trial = Trial::new(Operation::Stream, Format::Claude);
    trial.body = r#"{"input":[{"prompt_cache_key":"no"}],"prompt_cache_key":"conversation"}"#;
    assert_snapshot!(trial.sent(&Codex, &account()), @r"
    POST https://chatgpt.com/backend-api/codex/responses
    accept: text/event-stream
    accept-encoding: identity
    authorization: Bearer upstream-key-account (sensitive)
    chatgpt-account-id: account-1
    content-type: application/json
    originator: cli-proxy-api
    session_id: conversation
    user-agent: [product]
    x-copied: copied
    x-fixed: configured
    ");
}

#[test]
fn a_responses_client_names_its_conversation_itself() {
    let mut trial = Trial::new(Operation::Compact, Format::Responses);
    trial.body = r#"{"prompt_cache_key":"conversation"}"#;
    assert_snapshot!(trial.sent(&Codex, &account()), @r"
    POST https://chatgpt.com/backend-api/codex/responses/compact
    accept: application/json
    accept-encoding: identity
    authorization: Bearer upstream-key-account (sensitive)
    chatgpt-account-id: account-1
    content-type: application/json
    openai-beta: assistants=v2
    originator: cli-proxy-api
    session_id: session-1
    user-agent: [product]
    x-codex-turn-state: state
    x-copied: copied
    x-fixed: configured
    ");
}

#[test]
fn the_account_may_stand_in_the_id_token_alone() {
    use base64::Engine as _;
    let claims = json!({"https://api.openai.com/auth": {"chatgpt_account_id": "account-2", "chatgpt_plan_type": "free"}});
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims.to_string());
    let file =
        json!({"type": "codex", "access_token": "upstream-key-a", "id_token": format!("e30.{payload}.s")});
    let sent =
        Trial::new(Operation::Stream, Format::Chat).sent(&Codex, &with_account(&file, credential(BACKEND)));
    assert!(sent.contains("\nchatgpt-account-id: account-2\n"), "{sent}");
    let record = Record::parse(file.to_string().as_bytes()).unwrap();
    let adopted = Codex.adopt(&record, &Codex.identity()).unwrap();
    assert!(adopted.withheld.contains(&"gpt-5.4") && adopted.profile.is_stream_only);
    assert_eq!(&*adopted.base_url, BACKEND);
}

#[test]
fn the_backend_counts_nothing() {
    let failure = Trial::new(Operation::CountTokens, Format::Responses).refusal(&Codex, &account());
    assert_eq!((failure.fault().kind, failure.retry()), (Kind::NotFound, Retry::Next(Rest::None)));
}

/// What the backend's answer means.
fn judged(status: u16, body: &str) -> Retry {
    let hints = HeaderHints { now: 1_000, ..HeaderHints::default() };
    Codex.judge(&fault::decode(Format::Responses, status, &hints, body.as_bytes()))
}

#[test]
fn refusals_of_the_backend_are_read() {
    let quota = |seconds: f64| Retry::Next(Rest::Quota(Some(Duration::from_secs_f64(seconds))));
    for (status, body, expected) in [
        (400, r#"{"detail":"Unsupported parameter: max_output_tokens"}"#, Retry::Never),
        (
            400,
            r#"{"detail":"The 'gpt-5.4' model is not supported when using Codex with a ChatGPT account."}"#,
            Retry::Next(Rest::ModelMissing),
        ),
        (
            400,
            r#"{"error":{"code":"context_length_exceeded","message":"Your input exceeds the context window of this model."}}"#,
            Retry::Never,
        ),
        (
            401,
            r#"{"error":{"code":"token_expired","message":"Provided authentication token is expired. Please try signing in again."}}"#,
            Retry::Next(Rest::Unauthorized),
        ),
        (403, "<html><body>challenge</body></html>", Retry::Next(Rest::Transient(None))),
        (
            403,
            r#"{"error":{"code":"forbidden","message":"Country, region, or territory not supported"}}"#,
            Retry::Next(Rest::Forbidden),
        ),
        (
            404,
            r#"{"error":{"code":"model_not_found","message":"The model does not exist"}}"#,
            Retry::Next(Rest::ModelMissing),
        ),
        (
            429,
            r#"{"error":{"type":"usage_limit_reached","message":"The usage limit has been reached","plan_type":"plus","resets_at":1600}}"#,
            quota(600.0),
        ),
        (
            429,
            r#"{"error":{"type":"usage_limit_reached","message":"The usage limit has been reached","plan_type":"plus"}}"#,
            Retry::Next(Rest::Quota(None)),
        ),
        (
            429,
            r#"{"error":{"type":"usage_not_included","message":"no"}}"#,
            Retry::Leave(Rest::NeedsAttention(Code::NoCodex)),
        ),
        (
            429,
            r#"{"error":{"code":"rate_limit_exceeded","message":"Rate limit reached. Please try again in 1.3s."}}"#,
            quota(1.3),
        ),
        (
            500,
            r#"{"error":{"message":"Selected model is at capacity. Please try a different model."}}"#,
            Retry::Next(Rest::Transient(None)),
        ),
        (
            503,
            r#"{"error":{"code":"server_is_overloaded","message":"Our servers are currently overloaded."}}"#,
            Retry::Next(Rest::Transient(None)),
        ),
        (400, r#"{"error":{"code":"cyber_policy","message":"This content was flagged"}}"#, Retry::Never),
        (400, r#"{"error":{"code":"invalid_prompt","message":"no"}}"#, Retry::Never),
    ] {
        assert_eq!(judged(status, body), expected, "{body}");
    }
}
