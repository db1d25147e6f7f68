//! What is sent to iFlow.

use cliproxy_wire::Format;
use insta::assert_snapshot;

use super::*;
use crate::provider::trial::{Trial, credential};

fn body(text: &'static str, is_stream: bool) -> String {
    String::from_utf8(fitted(&Bytes::from_static(text.as_bytes()), is_stream).to_vec()).unwrap()
}

#[test]
fn a_request_is_signed_with_the_key_over_our_own_name() {
    let trial = Trial::new(Operation::Generate, Format::Chat);
    let sent = trial.sent(&IFlow, &credential("https://apis.iflow.cn/v1"));
    let (signed, rest): (Vec<&str>, Vec<&str>) =
        sent.lines().partition(|line| line.starts_with("x-iflow-signature: "));
    assert_snapshot!(rest.join("\n"), @r"
    POST https://apis.iflow.cn/v1/chat/completions
    accept: application/json
    accept-encoding: identity
    authorization: Bearer upstream-key-0123456789 (sensitive)
    content-type: application/json
    session-id: session-026cea04-6c9b-4c81-84be-8117dec0abe0
    user-agent: [product]
    x-copied: copied
    x-fixed: configured
    x-iflow-timestamp: 1700000000000
    ");
    let session = rest.iter().find_map(|line| line.strip_prefix("session-id: ")).unwrap();
    let text = format!("{}:{session}:1700000000000", crate::PRODUCT);
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"upstream-key-0123456789");
    let expected = hmac::sign(&key, text.as_bytes());
    let expected: Vec<String> = expected.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(signed, [format!("x-iflow-signature: {}", expected.concat())]);
}

#[test]
fn a_list_of_no_tools_is_left_out_of_streams() {
    let none = r#"{"model":"m", "tools":[],"tool_choice":"auto"}"#;
    assert_eq!(body(none, true), r#"{"model":"m","stream_options":{"include_usage":true}}"#);
    assert_eq!(body(none, false), none);
    let own = r#"{"tools":[{"type":"function"}], "stream_options":{"include_usage":true}}"#;
    assert_eq!(body(own, true), own);
}
