//! Errors: reading what upstreams send, saying it in the client's terms.

use std::time::Duration;

use cliproxy_wire::Format;
use cliproxy_wire::fault::{
    Fault, HeaderHints, Kind, Shape, decode, encode, in_success, repair, responses_error_code,
    responses_error_message, row, write_chat_error, write_claude_error, write_gemini_error,
};
use cliproxy_wire::json::Reader;
use cliproxy_wire::opaque::Repair;
use serde_json::{Value, json};

fn upstream(format: Format, status: u16, body: &Value) -> Fault {
    decode(format, status, &HeaderHints::default(), body.to_string().as_bytes())
}

fn chat(status: u16, body: &Value) -> Fault {
    upstream(Format::Chat, status, body)
}

fn body(format: Format, fault: &Fault) -> (u16, Value) {
    let (status, bytes) = encode(format, fault, "req_fx");
    (status, serde_json::from_slice(&bytes).unwrap())
}

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
fn statuses_and_words_give_the_kind() {
    use Kind::*;
    for (status, kind) in [
        (400, InvalidRequest),
        (401, Authentication),
        (402, Billing),
        (403, Permission),
        (404, NotFound),
        (405, InvalidRequest),
        (408, Timeout),
        (409, Conflict),
        (413, TooLarge),
        (415, InvalidRequest),
        (418, InvalidRequest),
        (422, Unprocessable),
        (429, RateLimit),
        (499, ClientClosed),
        (500, Api),
        (501, Api),
        (502, BadUpstream),
        (503, Unavailable),
        (504, Timeout),
        (524, Timeout),
        (529, Overloaded),
        (599, Api),
    ] {
        assert_eq!(chat(status, &json!({"error":{"message":"x"}})).kind, kind, "{status}");
    }
    let google = |status: u16, word: &str, message: &str, details: Value| {
        let error = json!({"error":{"code":status,"message":message,"status":word,"details":details}});
        upstream(Format::Gemini, status, &error)
    };
    let per_day = json!([{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProject"}]}]);
    let reason = |reason: &str| json!([{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":reason}]);
    for (fault, kind) in [
        (chat(400, &json!({"error":{"message":"x","code":"context_length_exceeded"}})), ContextLength),
        (
            chat(400, &json!({"error":{"message":"This model's maximum context length is 8 tokens."}})),
            ContextLength,
        ),
        (
            chat(
                400,
                &json!({"error":{"message":"The total length of all messages is too long.","type":"too_many_prompt_tokens","code":400}}),
            ),
            ContextLength,
        ),
        (
            upstream(
                Format::Claude,
                400,
                &json!({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}),
            ),
            ContextLength,
        ),
        (
            google(
                400,
                "INVALID_ARGUMENT",
                "The input token count (9) exceeds the maximum number of tokens allowed (8).",
                json!([]),
            ),
            ContextLength,
        ),
        (
            chat(400, &json!({"error":{"message":"Your input exceeds the context window of this model."}})),
            ContextLength,
        ),
        (
            chat(
                429,
                &json!({"error":{"message":"maximum context length of tokens per minute","code":"rate_limit_exceeded"}}),
            ),
            RateLimit,
        ),
        (chat(400, &json!({"error":{"message":"x","code":"content_filter"}})), ContentPolicy),
        (chat(403, &json!({"error":{"message":"Your prompt was flagged by moderation"}})), ContentPolicy),
        (chat(429, &json!({"error":{"message":"x","type":"insufficient_quota"}})), Quota),
        (
            upstream(Format::Responses, 429, &json!({"error":{"type":"usage_limit_reached","message":"x"}})),
            Quota,
        ),
        (
            upstream(
                Format::Claude,
                402,
                &json!({"type":"error","error":{"type":"billing_error","message":"x"}}),
            ),
            Billing,
        ),
        (chat(403, &json!({"error":{"type":"billing_error","message":"x"}})), Quota),
        (google(429, "RESOURCE_EXHAUSTED", "quota", per_day), Quota),
        (google(429, "RESOURCE_EXHAUSTED", "quota", json!([])), RateLimit),
        (google(429, "RESOURCE_EXHAUSTED", "quota", reason("QUOTA_EXHAUSTED")), Quota),
        (google(429, "RESOURCE_EXHAUSTED", "quota", reason("MODEL_CAPACITY_EXHAUSTED")), Overloaded),
        (
            google(
                400,
                "INVALID_ARGUMENT",
                "API key not valid. Please pass a valid API key.",
                reason("API_KEY_INVALID"),
            ),
            Authentication,
        ),
        (google(403, "PERMISSION_DENIED", "disabled", reason("SERVICE_DISABLED")), Permission),
        (google(404, "NOT_FOUND", "models/x is not found for API version v1beta", json!([])), NotFound),
        (google(500, "INTERNAL", "An internal error has occurred.", json!([])), Api),
        (
            upstream(
                Format::Claude,
                529,
                &json!({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}),
            ),
            Overloaded,
        ),
        (
            upstream(
                Format::Claude,
                500,
                &json!({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}),
            ),
            Overloaded,
        ),
        (
            upstream(
                Format::Responses,
                400,
                &json!({"detail":"Selected model is at capacity. Please try a different model."}),
            ),
            Overloaded,
        ),
        (upstream(Format::Responses, 503, &json!({"error":{"code":"slow_down","message":"x"}})), Overloaded),
        (
            chat(400, &json!({"code":"invalid-argument","error":"Incorrect API key provided. Get one."})),
            Authentication,
        ),
        (
            chat(
                400,
                &json!({"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model."}}),
            ),
            InvalidRequest,
        ),
        (
            upstream(
                Format::Claude,
                400,
                &json!({"type":"error","error":{"type":"invalid_request_error","message":"role 'system' is not supported on this model"}}),
            ),
            InvalidRequest,
        ),
        (
            upstream(
                Format::Responses,
                400,
                &json!({"detail":"The 'x' model is not supported when using Codex with a ChatGPT account."}),
            ),
            NotFound,
        ),
    ] {
        assert_eq!(fault.kind, kind, "{fault:?}");
    }
}

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
fn clients_are_told_not_to_repeat_what_cannot_work() {
    assert_eq!(Fault::new(Kind::Quota, "x").should_retry(false), Some(false));
    assert_eq!(Fault::new(Kind::Api, "x").should_retry(true), Some(false));
    assert_eq!(Fault::new(Kind::Api, "x").should_retry(false), None);
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
