//! What is sent to services that speak Chat Completions.

use cliproxy_wire::fault::Kind;
use insta::assert_snapshot;

use super::*;
use crate::provider::trial::{Trial, credential};

const BASE: &str = "https://chat.example/v1";

#[test]
fn a_chat_client_keeps_the_header_of_the_format() {
    let trial = Trial::new(Operation::Stream, Format::Chat);
    assert_snapshot!(trial.sent(&OpenAi, &credential(BASE)), @r"
    POST https://chat.example/v1/chat/completions
    accept: text/event-stream
    accept-encoding: identity
    authorization: Bearer upstream-key-0123456789 (sensitive)
    content-type: application/json
    openai-beta: assistants=v2
    user-agent: [product]
    x-copied: copied
    x-fixed: configured
    ");
}

#[test]
fn other_clients_send_nothing_of_their_own() {
    let trial = Trial::new(Operation::Generate, Format::Responses);
    assert_snapshot!(trial.sent(&OpenAi, &credential(BASE)), @r"
    POST https://chat.example/v1/chat/completions
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
fn counting_is_left_to_the_gateway() {
    let failure = Trial::new(Operation::CountTokens, Format::Chat).refusal(&OpenAi, &credential(BASE));
    assert_eq!(failure.fault().kind, Kind::NotFound);
    let sent = Trial::new(Operation::Compact, Format::Responses).sent(&OpenAi, &credential(BASE));
    assert!(sent.starts_with("POST https://chat.example/v1/responses/compact\n"), "{sent}");
}

#[test]
fn an_address_that_is_none_is_told_with_its_remedy() {
    let failure = Trial::new(Operation::Generate, Format::Chat).refusal(&OpenAi, &credential("no address"));
    assert!(failure.fault().message.contains("config.yaml"), "{failure:?}");
}
