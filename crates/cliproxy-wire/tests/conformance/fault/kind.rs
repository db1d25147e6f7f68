//! Which kind of fault a status and its words are.

use super::{chat, upstream};
use cliproxy_wire::Format;
use cliproxy_wire::fault::Kind;
use serde_json::{Value, json};

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
