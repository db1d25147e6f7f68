//! What is sent to Vertex-compatible services.

use insta::assert_snapshot;

use super::*;
use crate::provider::Operation;
use crate::provider::trial::{Trial, credential};

#[test]
fn models_lie_under_their_publisher() {
    let trial = Trial::new(Operation::Stream, Format::Gemini);
    assert_snapshot!(trial.sent(&Vertex, &credential("https://vertex.example/api")), @r"
    POST https://vertex.example/api/v1/publishers/google/models/some-model:streamGenerateContent?alt=sse
    accept: text/event-stream
    accept-encoding: identity
    content-type: application/json
    user-agent: [product]
    x-copied: copied
    x-fixed: configured
    x-goog-api-key: upstream-key-0123456789 (sensitive)
    x-goog-request-params: model=m
    ");
}

#[test]
fn other_clients_send_nothing_of_their_own() {
    let trial = Trial::new(Operation::CountTokens, Format::Claude);
    assert_snapshot!(trial.sent(&Vertex, &credential("https://vertex.example/api")), @r"
    POST https://vertex.example/api/v1/publishers/google/models/some-model:countTokens
    accept: application/json
    accept-encoding: identity
    content-type: application/json
    user-agent: [product]
    x-copied: copied
    x-fixed: configured
    x-goog-api-key: upstream-key-0123456789 (sensitive)
    ");
}
