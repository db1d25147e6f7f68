//! What is sent to the Gemini API.

use cliproxy_wire::fault::Kind;
use insta::assert_snapshot;

use super::*;
use crate::provider::trial::{Trial, credential};

const BASE: &str = "https://generativelanguage.googleapis.com";

#[test]
fn the_key_is_a_header_and_the_model_a_path() {
    let trial = Trial::new(Operation::Generate, Format::Chat);
    assert_snapshot!(trial.sent(&Gemini, &credential(BASE)), @r"
    POST https://generativelanguage.googleapis.com/v1beta/models/some-model:generateContent
    accept: application/json
    accept-encoding: identity
    content-type: application/json
    user-agent: [product]
    x-copied: copied
    x-fixed: configured
    x-goog-api-key: upstream-key-0123456789 (sensitive)
    ");
}

#[test]
fn a_gemini_client_keeps_headers_of_the_format_but_no_credentials() {
    let trial = Trial::new(Operation::Stream, Format::Gemini);
    assert_snapshot!(trial.sent(&Gemini, &credential("https://gemini.example/v1beta")), @r"
    POST https://gemini.example/v1beta/models/some-model:streamGenerateContent?alt=sse
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
fn a_stream_is_an_array_for_clients_that_want_one() {
    let mut trial = Trial::new(Operation::Stream, Format::Gemini);
    trial.is_sse = false;
    let sent = trial.sent(&Gemini, &credential(BASE));
    assert!(
        sent.starts_with(&format!("POST {BASE}/v1beta/models/some-model:streamGenerateContent\n")),
        "{sent}"
    );
}

#[test]
fn names_of_models_cannot_leave_their_path() {
    let mut trial = Trial::new(Operation::Generate, Format::Chat);
    for (model, path) in [
        ("models/gemini-3-pro", "gemini-3-pro"),
        ("tuned/my model?key=1#x", "tuned/my%20model%3Fkey%3D1%23x"),
        ("größe", "gr%C3%B6%C3%9Fe"),
    ] {
        trial.model = model;
        let sent = trial.sent(&Gemini, &credential(BASE));
        assert!(sent.starts_with(&format!("POST {BASE}/v1beta/models/{path}:generateContent\n")), "{sent}");
    }
}

#[test]
fn nothing_is_compacted() {
    let failure = Trial::new(Operation::Compact, Format::Responses).refusal(&Gemini, &credential(BASE));
    assert_eq!(failure.fault().kind, Kind::NotFound);
}
