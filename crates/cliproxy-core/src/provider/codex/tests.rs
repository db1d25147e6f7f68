//! What is sent to Responses-compatible services.

use insta::assert_snapshot;

use super::*;
use crate::provider::trial::{Trial, credential, with_key};

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
