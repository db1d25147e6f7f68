//! What upstreams send, in any shape: its kind, its message, its delay, its repair.

use std::time::Duration;

use super::{body, chat, upstream};
use cliproxy_wire::Format;
use cliproxy_wire::fault::{Fault, HeaderHints, Kind, decode, in_success, repair, responses_error_message};
use cliproxy_wire::json::Reader;
use cliproxy_wire::opaque::Repair;
use serde_json::{Value, json};

#[test]
fn an_unknown_model_has_its_code_in_every_wording() {
    for (status, message) in [
        (404, "The model `x` does not exist or you do not have access to it."),
        (404, "model: claude-does-not-exist"),
        (400, "x is not a valid model ID"),
        (400, "Unknown model: x"),
    ] {
        let fault = chat(status, &json!({"error":{"message":message}}));
        assert_eq!(
            (fault.kind, fault.code.as_deref()),
            (Kind::NotFound, Some("model_not_found")),
            "{message}"
        );
    }
}

#[test]
fn j250_every_shape_of_error_gives_a_readable_message() {
    for (text, message) in [
        (r#"{"error":{"message":"no","type":"t","param":"p","code":"c"}}"#, "no"),
        (r#"{"error":"just text"}"#, "just text"),
        (r#"{"message":"top"}"#, "top"),
        (r#"{"detail":"from the web tier"}"#, "from the web tier"),
        (
            r#"{"detail":[{"loc":["body","messages",0],"msg":"field required","type":"x"},{"loc":["q"],"msg":"bad"}]}"#,
            "messages.0: field required; q: bad",
        ),
        (r#"[{"error":{"code":400,"message":"in an array","status":"INVALID_ARGUMENT"}}]"#, "in an array"),
        (r#"{"errors":[{"message":"first"},{"message":"second"}]}"#, "first"),
        (
            r#"{"object":"error","message":"old server","type":"BadRequestError","param":null,"code":400}"#,
            "old server",
        ),
        (r#"{"code":"InvalidParameter","message":"dash","request_id":"r"}"#, "dash"),
        (
            r#"{"error":{"message":"{\"error\":{\"message\":\"inner\",\"type\":\"overloaded_error\"}}"}}"#,
            "inner",
        ),
        (
            r#"{"error":{"message":"BadRequestError: 400 - {\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"deep\"}}"}}"#,
            "deep",
        ),
        (
            r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"{\"error\":{\"message\":\"slow\"}}","provider_name":"P"}}}"#,
            "slow",
        ),
        (
            r#"{"error":"invalid_grant","error_description":"Token has been revoked."}"#,
            "Token has been revoked.",
        ),
        (r#"[{"error":{"code":500,,"message":"torn","status":"INTERNAL"}}"#, "torn"),
        (
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"framed\"}}\n\n",
            "framed",
        ),
        ("upstream connect error", "upstream connect error"),
        ("", "the chat upstream answered 503 with no message"),
        (
            "<!DOCTYPE html><html><body>secret page</body></html>",
            "the chat upstream answered 503 with a web page",
        ),
    ] {
        let fault = decode(Format::Chat, 503, &HeaderHints::default(), text.as_bytes());
        assert_eq!(fault.message, message, "{text}");
        assert!(fault.is_upstream && fault.status == Some(503));
    }
    let fault = chat(429, &json!({"error":{"message":"no","type":"t","param":"a.b","code":"c"}}));
    assert_eq!((fault.param.as_deref(), fault.code.as_deref()), (Some("a.b"), Some("c")));
    let fault = chat(400, &json!({"error":"invalid_grant","error_description":"Token has been revoked."}));
    assert_eq!(fault.code.as_deref(), Some("invalid_grant"));
}

#[test]
fn j251_the_delay_is_read_from_every_source() {
    let secs = |seconds: f64| Some(Duration::from_secs_f64(seconds));
    let plain = json!({"error":{"message":"wait"}}).to_string();
    let headers = |retry_after, retry_after_ms| HeaderHints {
        retry_after,
        retry_after_ms,
        now: 784_111_700,
        ..HeaderHints::default()
    };
    for (hints, expected) in [
        (headers(Some("7"), None), secs(7.0)),
        (headers(Some("7"), Some("1500")), secs(1.5)),
        (headers(Some("1"), Some("0")), secs(1.0)),
        (headers(Some("Sun, 06 Nov 1994 08:49:37 GMT"), None), secs(77.0)),
        (headers(None, None), None),
    ] {
        assert_eq!(decode(Format::Chat, 429, &hints, plain.as_bytes()).retry_after, expected);
    }
    let info = |detail: Value| json!({"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED","details":[detail]}});
    let hints = headers(None, None);
    for (text, expected) in [
        (info(json!({"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"})), secs(34.5)),
        (info(json!({"@type":"e","metadata":{"quotaResetDelay":"1h2m3.5s"}})), secs(3723.5)),
        (info(json!({"@type":"e","metadata":{"quotaResetTimeStamp":"1994-11-06T08:49:37Z"}})), secs(77.0)),
        (json!({"error":{"type":"usage_limit_reached","message":"x","resets_in_seconds":60}}), secs(60.0)),
        (json!({"error":{"type":"usage_limit_reached","message":"x","resets_at":784_111_777}}), secs(77.0)),
        (json!({"error":{"message":"Please try again in 12.5s."}}), secs(12.5)),
        (json!({"error":{"message":"Please try again in 250ms."}}), secs(0.25)),
        (json!({"error":{"message":"Your quota will reset after 31s."}}), secs(31.0)),
    ] {
        assert_eq!(
            decode(Format::Gemini, 429, &hints, text.to_string().as_bytes()).retry_after,
            expected,
            "{text}"
        );
    }
    let mut fault = Fault::new(Kind::RateLimit, "wait");
    fault.retry_after = secs(12.1);
    assert_eq!(fault.retry_after_seconds(), Some(13));
    let (_, gemini) = body(Format::Gemini, &fault);
    let info = json!([{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"13s"}]);
    assert_eq!(gemini["error"]["details"], info);
    assert_eq!(responses_error_message(&fault), "wait. Please try again in 13s.");
}

#[test]
fn headers_of_a_response_are_read() {
    let mut map = http::HeaderMap::new();
    map.insert("retry-after", "3".parse().unwrap());
    map.insert("x-request-id", "req_1".parse().unwrap());
    map.insert("content-type", "text/html; charset=utf-8".parse().unwrap());
    let fault = decode(Format::Claude, 502, &HeaderHints::from_headers(&map, 0), b"Bad gateway at host");
    assert_eq!(fault.retry_after, Some(Duration::from_secs(3)));
    assert_eq!(fault.upstream_request_id.as_deref(), Some("req_1"));
    assert_eq!(fault.message, "the claude upstream answered 502 with a web page");
}

#[test]
fn errors_in_success_bodies_are_faults() {
    let read = |text: &str| in_success(Format::Chat, &mut Reader::new(text));
    for text in ["null", "{}", "\"\"", "[]", "false"] {
        assert_eq!(read(text), None);
    }
    for (text, kind, message) in [
        (r#"{"message":"busy","type":"overloaded_error"}"#, Kind::Overloaded, "busy"),
        (r#"{"message":"slow","code":429}"#, Kind::RateLimit, "slow"),
        (r#"{"message":"filtered","code":"content_filter","status":400}"#, Kind::ContentPolicy, "filtered"),
        (r#"{"code":"server_error","message":"sorry"}"#, Kind::Api, "sorry"),
        (r#"{"code":"model_not_found","message":"gone"}"#, Kind::NotFound, "gone"),
        (r#""odd""#, Kind::BadUpstream, "odd"),
        (r#"{"type":"rate_limit_exceeded"}"#, Kind::RateLimit, "rate_limit_exceeded"),
    ] {
        let fault = read(text).unwrap();
        assert_eq!((fault.kind, fault.message.as_str()), (kind, message), "{text}");
    }
}

#[test]
fn rejections_of_opaque_state_ask_for_their_repair() {
    for (format, message, expected) in [
        (
            Format::Claude,
            "messages.1.content.0: Invalid `signature` in `thinking` block",
            Some(Repair::DropThinking),
        ),
        (
            Format::Claude,
            "Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
            Some(Repair::ThinkingOff),
        ),
        (
            Format::Claude,
            "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified",
            Some(Repair::DropLatestThinking),
        ),
        (Format::Responses, "The encrypted content gAAA could not be verified.", Some(Repair::DropEncrypted)),
        (
            Format::Responses,
            "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false.",
            Some(Repair::DropItemIds),
        ),
        (
            Format::Gemini,
            "Function call is missing a thought_signature in functionCall parts.",
            Some(Repair::Sentinels),
        ),
        (Format::Gemini, "Thought signature is not valid.", Some(Repair::Sentinels)),
        (
            Format::Responses,
            "Your organization must be verified to generate reasoning summaries.",
            Some(Repair::DropSummary),
        ),
        (Format::Claude, "max_tokens: must be positive", None),
    ] {
        let fault = upstream(format, 400, &json!({"error":{"message":message}}));
        assert_eq!(repair(format, &fault), expected, "{message}");
    }
    let coded = upstream(
        Format::Responses,
        400,
        &json!({"error":{"message":"x","code":"invalid_encrypted_content"}}),
    );
    assert_eq!(repair(Format::Responses, &coded), Some(Repair::DropEncrypted));
    assert_eq!(
        repair(Format::Claude, &Fault::new(Kind::InvalidRequest, "invalid signature in thinking")),
        None
    );
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let mut state = 1u64;
    for length in 0..600usize {
        const ALPHABET: &[u8] = b"{}[]\":,\\ \xffae1errormessage";
        let bytes: Vec<u8> = (0..length % 97)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(11);
                ALPHABET[usize::try_from(state >> 33).unwrap() % ALPHABET.len()]
            })
            .collect();
        let fault = decode(Format::Gemini, 200, &HeaderHints::default(), &bytes);
        assert!(!fault.message.is_empty());
    }
}
