//! What is sent to Claude and its look-alikes, and which refusals are the request's own.

use cliproxy_wire::fault::Kind;
use insta::assert_snapshot;

use super::*;
use crate::failure::Rest;
use crate::provider::trial::{Trial, credential, with_key};

const ANTHROPIC: &str = "https://api.anthropic.com";

#[test]
fn anthropic_takes_the_key_in_its_own_header() {
    let trial = Trial::new(Operation::Generate, Format::Chat);
    assert_snapshot!(trial.sent(&Claude, &credential(ANTHROPIC)), @r"
    POST https://api.anthropic.com/v1/messages
    accept: application/json
    accept-encoding: identity
    anthropic-version: 2023-06-01
    content-type: application/json
    user-agent: [product]
    x-api-key: upstream-key-0123456789 (sensitive)
    x-copied: copied
    x-fixed: configured
    ");
}

#[test]
fn a_look_alike_takes_a_bearer_token_and_its_base_may_name_the_version() {
    let trial = Trial::new(Operation::Stream, Format::Gemini);
    assert_snapshot!(trial.sent(&Claude, &credential("https://claude.example/api/v1")), @r"
    POST https://claude.example/api/v1/messages
    accept: text/event-stream
    accept-encoding: identity
    anthropic-version: 2023-06-01
    authorization: Bearer upstream-key-0123456789 (sensitive)
    content-type: application/json
    user-agent: [product]
    x-copied: copied
    x-fixed: configured
    ");
}

#[test]
fn a_claude_client_keeps_its_version_its_betas_and_its_query() {
    let mut trial = Trial::new(Operation::Stream, Format::Claude);
    trial.betas = vec!["needed-beta".to_owned(), "shared-beta".to_owned()];
    trial.client_query = "a=b&beta=true";
    assert_snapshot!(trial.sent(&Claude, &credential(ANTHROPIC)), @r"
    POST https://api.anthropic.com/v1/messages?beta=true
    accept: text/event-stream
    accept-encoding: identity
    anthropic-beta: client-beta,needed-beta,shared-beta
    anthropic-version: 2024-01-01
    content-type: application/json
    user-agent: [product]
    x-api-key: upstream-key-0123456789 (sensitive)
    x-copied: copied
    x-fixed: configured
    ");
}

#[test]
fn tokens_are_counted_and_nothing_is_compacted() {
    let trial = Trial::new(Operation::CountTokens, Format::Claude);
    let sent = trial.sent(&Claude, &credential(ANTHROPIC));
    assert!(sent.starts_with("POST https://api.anthropic.com/v1/messages/count_tokens\n"), "{sent}");
    let failure = Trial::new(Operation::Compact, Format::Claude).refusal(&Claude, &credential(ANTHROPIC));
    assert_eq!(failure.fault().kind, Kind::NotFound);
    assert_eq!(failure.retry(), Retry::Next(Rest::None));
}

#[test]
fn a_key_that_no_header_may_carry_is_told_and_another_credential_serves() {
    let trial = Trial::new(Operation::Generate, Format::Claude);
    let failure = trial.refusal(&Claude, &with_key(Some("line\nbreak"), credential(ANTHROPIC)));
    assert_eq!(failure.retry(), Retry::Next(Rest::Unauthorized));
    assert!(!format!("{failure:?}").contains("break"), "{failure:?}");
}

#[test]
fn what_no_account_of_the_plan_may_do_is_not_tried_elsewhere() {
    for message in
        ["Usage credits are required for fast mode.", "Extra usage is required for long context requests."]
    {
        let fault = Fault::new(Kind::RateLimit, message);
        assert_eq!(Claude.judge(&fault), Retry::Never, "{message}");
    }
    let fault = Fault::new(Kind::RateLimit, "This request would exceed your account's rate limit.");
    assert_eq!(Claude.judge(&fault), Retry::Next(Rest::Quota(None)));
}
