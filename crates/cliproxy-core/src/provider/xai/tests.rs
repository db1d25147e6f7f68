//! What is sent to xAI, by key and by account, and what its refusals mean.

use cliproxy_wire::fault::{self, HeaderHints};
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::*;
use crate::provider::trial::{Trial, credential, with_account};

const DOOR_BASE: &str = "https://cli-chat-proxy.grok.com/v1";

fn file(using_api: bool) -> Value {
    json!({"type": "xai", "access_token": "upstream-key-account", "base_url": "https://api.x.ai/v1", "using_api": using_api})
}

fn adopted(file: &Value) -> String {
    let record = Record::parse(file.to_string().as_bytes()).unwrap();
    Xai.adopt(&record, &Xai.identity()).unwrap().base_url.to_string()
}

#[test]
fn an_account_is_asked_at_the_door_of_its_client_unless_its_file_says_otherwise() {
    assert_eq!(adopted(&file(false)), DOOR_BASE);
    assert_eq!(adopted(&file(true)), API);
    assert_eq!(adopted(&json!({"type": "xai", "using_api": true})), API);
    let mut trial = Trial::new(Operation::Stream, Format::Claude);
    trial.client_headers.clear();
    trial.body = r#"{"prompt_cache_key":"conversation"}"#;
    assert_snapshot!(trial.sent(&Xai, &with_account(&file(false), credential(DOOR_BASE))), @r"
    POST https://cli-chat-proxy.grok.com/v1/responses
    accept: text/event-stream
    accept-encoding: identity
    authorization: Bearer upstream-key-account (sensitive)
    content-type: application/json
    user-agent: [product]
    x-authenticateresponse: authenticate-response
    x-fixed: configured
    x-grok-client-identifier: grok-shell
    x-grok-client-version: 0.2.120
    x-grok-conv-id: conversation
    x-xai-token-auth: xai-grok-cli
    ");
    let sent = trial.sent(&Xai, &with_account(&file(true), credential(API)));
    assert!(
        sent.starts_with("POST https://api.x.ai/v1/responses\n") && !sent.contains("x-xai-token-auth"),
        "{sent}"
    );
}

#[test]
fn a_key_is_sent_to_the_public_address() {
    let trial = Trial::new(Operation::Stream, Format::Responses);
    assert_snapshot!(trial.sent(&Xai, &credential(API)), @r"
    POST https://api.x.ai/v1/responses
    accept: text/event-stream
    accept-encoding: identity
    authorization: Bearer upstream-key-0123456789 (sensitive)
    content-type: application/json
    user-agent: [product]
    x-copied: copied
    x-fixed: configured
    x-grok-conv-id: session-1
    ");
}

#[test]
fn conversations_are_compacted_at_the_public_address_and_tokens_counted_nowhere() {
    let trial = Trial::new(Operation::Compact, Format::Responses);
    let sent = trial.sent(&Xai, &with_account(&file(false), credential(DOOR_BASE)));
    assert!(
        sent.starts_with("POST https://api.x.ai/v1/responses/compact\n") && !sent.contains("x-xai-"),
        "{sent}"
    );
    let failure = Trial::new(Operation::CountTokens, Format::Claude).refusal(&Xai, &credential(API));
    assert_eq!(failure.retry(), Retry::Next(Rest::None));
}

#[test]
fn refusals_are_read() {
    let judged = |status: u16, body: &str| {
        Xai.judge(&fault::decode(Format::Responses, status, &HeaderHints::default(), body.as_bytes()))
    };
    let day = Retry::Leave(Rest::Quota(Some(Duration::from_hours(24))));
    for (status, body, expected) in [
        (
            403,
            r#"{"code":"unauthenticated:bad-credentials","error":"The OAuth2 access token could not be validated."}"#,
            Retry::Next(Rest::Unauthorized),
        ),
        (
            403,
            r#"{"code":"permission-denied","error":"The team has no access to this model"}"#,
            Retry::Next(Rest::Forbidden),
        ),
        (
            429,
            r#"{"code":"subscription:free-usage-exhausted","error":"You've used all the included free usage for now."}"#,
            day,
        ),
        (429, r#"{"code":"resource-exhausted","error":"Too many requests"}"#, Retry::Next(Rest::Quota(None))),
        (400, r#"{"code":"invalid-argument","error":"Unknown argument: stop"}"#, Retry::Never),
    ] {
        assert_eq!(judged(status, body), expected, "{body}");
    }
}

#[test]
fn the_included_usage_is_a_window_of_the_account() {
    let mut fault = Fault::new(fault::Kind::Quota, "no");
    fault.code = Some("subscription:free-usage-exhausted".to_owned());
    let headers = http::HeaderMap::new();
    let windows = Xai.quotas(&Told { headers: &headers, fault: Some(&fault), model: "grok-m", now: 100 });
    let [window] = windows.as_slice() else { panic!("{windows:?}") };
    assert!(window.is_used_up() && window.model.is_none());
    assert_eq!(window.resets_at, Some(100 + 24 * 3600));
}

#[test]
fn a_refresh_token_goes_to_nobody_but_xai() {
    use crate::oauth::{Input, Step};
    let asked = |endpoint: &str| {
        let file = json!({"type": "xai", "refresh_token": "r", "token_endpoint": endpoint});
        let record = Record::parse(file.to_string().as_bytes()).unwrap();
        let mut renewal = Xai.renew(&record, &Xai.identity(), 0).unwrap();
        match renewal.step(Input::Start) {
            Step::Send(request) | Step::Redeem(request) => request.uri.to_string(),
            _ => panic!("asks nobody"),
        }
    };
    assert_eq!(asked("https://auth.x.ai/oauth2/token"), "https://auth.x.ai/oauth2/token");
    for other in ["https://auth.x.ai.evil.example/token", "http://auth.x.ai/token", ""] {
        assert_eq!(asked(other), "https://auth.x.ai/.well-known/openid-configuration", "{other}");
    }
}
