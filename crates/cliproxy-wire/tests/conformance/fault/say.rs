//! How each format says a fault.

use super::{body, chat, upstream};
use cliproxy_wire::Format;
use cliproxy_wire::fault::{
    Fault, Kind, Shape, encode, responses_error_code, row, write_chat_error, write_claude_error,
    write_gemini_error,
};
use serde_json::json;

#[test]
fn j249_every_kind_has_the_status_and_words_of_each_format() {
    use Kind::*;
    #[rustfmt::skip]
    let table = [
        (InvalidRequest, 400, 400, 400, "invalid_request_error", None, "invalid_request_error", "INVALID_ARGUMENT"),
        (ContextLength, 400, 400, 400, "invalid_request_error", Some("context_length_exceeded"), "invalid_request_error", "INVALID_ARGUMENT"),
        (ContentPolicy, 400, 400, 400, "invalid_request_error", Some("content_policy_violation"), "invalid_request_error", "INVALID_ARGUMENT"),
        (Authentication, 401, 401, 401, "authentication_error", Some("invalid_api_key"), "authentication_error", "UNAUTHENTICATED"),
        (Billing, 402, 402, 402, "insufficient_quota", Some("billing_error"), "billing_error", "FAILED_PRECONDITION"),
        (Permission, 403, 403, 403, "permission_error", None, "permission_error", "PERMISSION_DENIED"),
        (NotFound, 404, 404, 404, "invalid_request_error", Some("model_not_found"), "not_found_error", "NOT_FOUND"),
        (Conflict, 409, 409, 409, "conflict_error", None, "conflict_error", "ABORTED"),
        (TooLarge, 413, 413, 413, "invalid_request_error", Some("request_too_large"), "request_too_large", "INVALID_ARGUMENT"),
        (Unprocessable, 422, 400, 400, "invalid_request_error", None, "invalid_request_error", "INVALID_ARGUMENT"),
        (RateLimit, 429, 429, 429, "rate_limit_error", Some("rate_limit_exceeded"), "rate_limit_error", "RESOURCE_EXHAUSTED"),
        (Quota, 429, 429, 429, "insufficient_quota", Some("insufficient_quota"), "rate_limit_error", "RESOURCE_EXHAUSTED"),
        (Overloaded, 503, 529, 503, "server_error", Some("overloaded"), "overloaded_error", "UNAVAILABLE"),
        (Unavailable, 503, 529, 503, "server_error", Some("service_unavailable"), "overloaded_error", "UNAVAILABLE"),
        (Timeout, 504, 504, 504, "server_error", Some("timeout"), "timeout_error", "DEADLINE_EXCEEDED"),
        (ClientClosed, 499, 499, 499, "invalid_request_error", Some("client_closed_request"), "invalid_request_error", "CANCELLED"),
        (Api, 500, 500, 500, "server_error", Some("internal_server_error"), "api_error", "INTERNAL"),
        (BadUpstream, 502, 502, 502, "server_error", Some("bad_gateway"), "api_error", "UNAVAILABLE"),
    ];
    assert_eq!(table.len(), Kind::ALL.len());
    for (kind, openai_status, claude_status, gemini_status, openai, code, claude, gemini) in table {
        let fault = Fault::new(kind, "prompt is too long");
        let expected =
            json!({"error":{"message":"prompt is too long","type":openai,"param":null,"code":code}});
        for format in [Format::Chat, Format::Responses] {
            assert_eq!(body(format, &fault), (openai_status, expected.clone()), "{kind:?}");
        }
        let expected = json!({"type":"error","error":{"type":claude,"message":"prompt is too long"},"request_id":"req_fx"});
        assert_eq!(body(Format::Claude, &fault), (claude_status, expected), "{kind:?}");
        let expected = json!({"error":{"code":gemini_status,"message":"prompt is too long","status":gemini}});
        assert_eq!(body(Format::Gemini, &fault), (gemini_status, expected), "{kind:?}");
    }
    assert_eq!(row(Api, Format::Claude).shape, Shape::Claude);
}

#[test]
fn j252_neither_credentials_nor_pages_are_relayed() {
    let key = "sk-proj-0123456789abcdef0123456789abcdef";
    let fault = chat(400, &json!({"error":{"message":format!("bad key {key} at https://h/?key={key}")}}));
    for format in Format::ALL {
        let (_, bytes) = encode(format, &fault, "r");
        assert!(!String::from_utf8(bytes).unwrap().contains(key));
    }
    let long = chat(400, &json!({"error":{"message":"ä".repeat(9000)}}));
    assert!(long.message.len() <= 2048);
    let details = json!({"error":{"code":403,"message":"m","status":"PERMISSION_DENIED","details":[{"reason":"X","metadata":{"key":key}}]}});
    let (_, gemini) = body(Format::Gemini, &upstream(Format::Gemini, 403, &details));
    assert_eq!(gemini["error"]["details"][0]["metadata"]["key"], "[redacted]");
}

#[test]
fn j200_the_upstreams_401_is_not_the_clients() {
    let fault =
        chat(401, &json!({"error":{"message":"Incorrect API key provided: abc","code":"invalid_api_key"}}));
    assert_eq!(fault.kind, Kind::Authentication);
    for (format, status) in
        [(Format::Chat, 502), (Format::Responses, 502), (Format::Claude, 502), (Format::Gemini, 502)]
    {
        let (shown, value) = body(format, &fault);
        assert_eq!((shown, fault.status_for(format)), (status, status));
        assert!(!value.to_string().contains("API key"));
    }
    assert_eq!(body(Format::Chat, &fault).1["error"]["code"], "upstream_auth_failed");
    let own = Fault::new(Kind::Authentication, "invalid API key");
    assert_eq!(body(Format::Claude, &own).0, 401);
}

#[test]
fn j199_a_full_context_reads_as_claude_clients_expect() {
    let fault = chat(
        400,
        &json!({"error":{"message":"maximum context length is 8","code":"context_length_exceeded"}}),
    );
    let (_, value) = body(Format::Claude, &fault);
    assert_eq!(value["error"]["message"], "prompt is too long: maximum context length is 8");
    assert_eq!(responses_error_code(&fault), "context_length_exceeded");
}

#[test]
fn upstream_codes_pass_only_where_they_are_more_telling() {
    let fault = chat(400, &json!({"error":{"message":"x","code":"unsupported_value","param":"a"}}));
    let expected = json!({"error":{"message":"x","type":"invalid_request_error","param":"a","code":"unsupported_value"}});
    assert_eq!(body(Format::Responses, &fault).1, expected);
    let fault = chat(429, &json!({"error":{"message":"x","code":"RateLimitReached"}}));
    assert_eq!(body(Format::Chat, &fault).1["error"]["code"], "rate_limit_exceeded");
    let own = Fault::new(Kind::RateLimit, "x").with_code("model_cooldown");
    assert_eq!(body(Format::Chat, &own).1["error"]["code"], "model_cooldown");
}

#[test]
fn errors_inside_streams_are_written_as_each_format_wants() {
    let fault = Fault::truncated();
    let text = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(
        text(&|out| write_chat_error(out, &fault)),
        r#"{"error":{"message":"upstream closed the stream early","type":"server_error","param":null,"code":"upstream_truncated"}}"#
    );
    assert_eq!(
        text(&|out| write_claude_error(out, &fault, "req_fx")),
        r#"{"type":"error","error":{"type":"api_error","message":"upstream closed the stream early"},"request_id":"req_fx"}"#
    );
    assert_eq!(
        text(&|out| write_gemini_error(out, &fault)),
        r#"{"error":{"code":502,"message":"upstream closed the stream early","status":"UNAVAILABLE"}}"#
    );
    for (kind, code) in [
        (Kind::RateLimit, "rate_limit_exceeded"),
        (Kind::Quota, "insufficient_quota"),
        (Kind::ContextLength, "context_length_exceeded"),
        (Kind::ContentPolicy, "content_policy_violation"),
        (Kind::Overloaded, "server_is_overloaded"),
        (Kind::InvalidRequest, "invalid_prompt"),
        (Kind::BadUpstream, "server_error"),
        (Kind::Timeout, "server_error"),
    ] {
        assert_eq!(responses_error_code(&Fault::new(kind, "x")), code);
    }
}

#[test]
fn clients_are_told_not_to_repeat_what_cannot_work() {
    assert_eq!(Fault::new(Kind::Quota, "x").should_retry(false), Some(false));
    assert_eq!(Fault::new(Kind::Api, "x").should_retry(true), Some(false));
    assert_eq!(Fault::new(Kind::Api, "x").should_retry(false), None);
}
