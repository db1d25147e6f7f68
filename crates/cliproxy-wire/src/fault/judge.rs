//! What a report means: the kind by status, refined by code words and phrases; and whether the request can be repaired.

use super::decode::Report;
use super::{Fault, Kind};
use crate::format::Format;
use crate::opaque::Repair;

/// Words that name nothing finer than a kind, so they are no code of their own.
const GENERIC_WORDS: [&str; 14] = [
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "api_error",
    "timeout_error",
    "overloaded_error",
    "server_error",
    "conflict_error",
    "billing_error",
    "requests",
    "tokens",
];

/// The kind of a report, and the code word to keep.
pub(super) fn kind(report: &Report, status: u16) -> (Kind, Option<String>) {
    let said = Said::new(report);
    let kind = refine(&said, status);
    let code = report
        .code
        .clone()
        .or_else(|| report.reason.clone())
        .or_else(|| {
            let is_fine = |word: &String| {
                !GENERIC_WORDS.contains(&word.as_str()) && !word.bytes().any(|byte| byte.is_ascii_uppercase())
            };
            report.word.clone().filter(is_fine)
        })
        .filter(|code| code.len() <= 128);
    if kind == Kind::NotFound && said.is_about_model() {
        return (kind, Some("model_not_found".to_owned()));
    }
    (kind, code)
}

/// "You have exhausted your capacity on this model."
const EXHAUSTED: &str = "exhausted your capacity";

/// Whether Google says of a quota that its limit is zero: the account's tier does not have the model at all, and waiting
/// changes nothing.
pub fn allows_nothing(message: &str) -> bool {
    const WORDS: &str = "limit: 0";
    message.match_indices(WORDS).any(|(at, _)| {
        let behind = message.get(at + WORDS.len()..).unwrap_or_default();
        let behind = behind.strip_prefix('.').unwrap_or(behind);
        !behind.starts_with(|character: char| character.is_ascii_digit())
    })
}

/// A report in lower case, for matching.
struct Said {
    text: String,
    words: Vec<String>,
    details: String,
}

impl Said {
    fn new(report: &Report) -> Self {
        let words = [&report.code, &report.word, &report.reason];
        Self {
            text: lower(&report.message),
            words: words.into_iter().flatten().map(|word| word.to_ascii_lowercase()).collect(),
            details: report.details.as_ref().map(|raw| raw.as_str().to_owned()).unwrap_or_default(),
        }
    }

    fn has_word(&self, any: &[&str]) -> bool {
        self.words.iter().any(|word| any.contains(&word.as_str()))
    }

    fn has_text(&self, any: &[&str]) -> bool {
        any.iter().any(|phrase| self.text.contains(phrase))
    }

    fn is_about_length(&self) -> bool {
        self.has_word(&["context_length_exceeded", "too_many_prompt_tokens", "string_above_max_length"])
            || self.has_text(&[
                "prompt is too long",
                "exceed context limit",
                "exceeds the context",
                "maximum context length",
                "input is too long for requested model",
            ])
            || (self.has_text(&["input token count"]) && self.has_text(&["exceeds the maximum"]))
            || (self.has_text(&["context window"]) && self.has_text(&["exceed"]))
    }

    fn is_about_policy(&self, status: u16) -> bool {
        self.has_word(&["content_filter", "content_policy_violation", "cyber_policy"])
            || (matches!(status, 200 | 400 | 403)
                && self.has_text(&[
                    "flagged by",
                    "usage policy",
                    "usage policies",
                    "content management policy",
                ]))
    }

    fn is_about_quota(&self, status: u16) -> bool {
        // Codex names its plan limits; a bill with its own status stays a bill.
        self.has_word(&[
            "insufficient_quota",
            "usage_limit_reached",
            "usage_not_included",
            "quota_exhausted",
            "insufficient_g1_credits_balance",
        ]) || (self.has_word(&["billing_error"]) && status != 402)
            || self.words.iter().any(|word| word.contains("free-usage-exhausted"))
            || (status == 429
                && (self.details.contains("PerDay")
                    || self.details.contains("Daily")
                    // Code Assist's words for a quota of the account, not for a model that is busy.
                    || self.has_text(&["included free usage"])
                    || (self.has_text(&[EXHAUSTED]) && !self.has_word(&["rate_limit_exceeded"]))
                    || allows_nothing(&self.text)))
    }

    fn is_about_load(&self, status: u16) -> bool {
        self.has_word(&[
            "overloaded_error",
            "overloaded",
            "server_is_overloaded",
            "slow_down",
            "model_capacity_exhausted",
        ]) || self.has_text(&["overloaded", "model is at capacity"])
            || ((status == 429 || status >= 500)
                && self.has_text(&["capacity"])
                && !self.has_text(&[EXHAUSTED]))
    }

    fn is_about_key(&self, status: u16) -> bool {
        self.has_word(&["api_key_invalid", "invalid_api_key"])
            || (matches!(status, 400 | 403)
                && self.has_text(&[
                    "api key not valid",
                    "incorrect api key",
                    "api key expired",
                    "bad-credentials",
                    "access token could not be validated",
                ]))
            || self.words.iter().any(|word| word.contains("bad-credentials"))
    }

    /// The model itself is the trouble, not something that it does not support.
    fn is_about_model(&self) -> bool {
        self.has_word(&["model_not_found", "model_not_supported", "unsupported_model"])
            || (self.has_text(&["model"])
                && self.has_text(&[
                    "not found",
                    "does not exist",
                    "not exist",
                    "unknown model",
                    "no such model",
                    "invalid model",
                    "not a valid model",
                    "model is not supported",
                    "model not supported",
                    "unsupported model",
                    "has been deprecated",
                    "model:",
                ]))
    }
}

/// Kinds that only repeat what a status said, so that words may say it better.
const COARSE: [Kind; 5] =
    [Kind::InvalidRequest, Kind::Api, Kind::BadUpstream, Kind::Unavailable, Kind::Unprocessable];

fn refine(said: &Said, status: u16) -> Kind {
    let by_status = Kind::of_status(status);
    if said.is_about_length() && status != 429 {
        return Kind::ContextLength;
    }
    if said.is_about_policy(status) {
        return Kind::ContentPolicy;
    }
    if said.is_about_load(status) {
        return Kind::Overloaded;
    }
    if said.is_about_quota(status) {
        return Kind::Quota;
    }
    if said.is_about_key(status) {
        return Kind::Authentication;
    }
    if matches!(status, 200 | 400 | 404) && said.is_about_model() && is_plain_request(said) {
        return Kind::NotFound;
    }
    if said.has_word(&["service_disabled", "permission_denied"]) && COARSE.contains(&by_status) {
        return Kind::Permission;
    }
    if status < 400 {
        // Only the words can tell what a success status hides.
        return said.words.iter().find_map(|word| Kind::of_word(word)).unwrap_or(Kind::BadUpstream);
    }
    // 503 with a rate limit's words and the like: a word of another class is the better witness for servers' statuses.
    if status >= 500
        && let Some(kind) = said.words.iter().find_map(|word| Kind::of_word(word))
        && !COARSE.contains(&kind)
        && kind != Kind::NotFound
    {
        return kind;
    }
    by_status
}

/// "messages: tool not found for model" is about the messages.
fn is_plain_request(said: &Said) -> bool {
    !said.has_text(&[
        "tool_use_id",
        "tool_call_id",
        "tool output",
        "previous_response",
        "item with id",
        "file",
    ])
}

/// Lower case, without the back-ticks that some put around names.
fn lower(text: &str) -> String {
    text.chars()
        .filter(|character| *character != '`')
        .map(|character| character.to_ascii_lowercase())
        .collect()
}

/// The repair that an upstream of `format` asks for by rejecting opaque state; see [`Repair`].
pub fn repair(format: Format, fault: &Fault) -> Option<Repair> {
    if !fault.is_upstream || !REPAIRABLE.contains(&fault.kind) {
        return None;
    }
    let text = lower(&fault.message);
    let has = |phrase: &str| text.contains(phrase);
    let code = fault.code.as_deref().unwrap_or_default();
    if code == "invalid_encrypted_content" || (has("encrypted content") && has("could not be verified")) {
        return Some(Repair::DropEncrypted);
    }
    if has("item with id") && has("not found") {
        return Some(Repair::DropItemIds);
    }
    if has("invalid signature in thinking") {
        return Some(if format == Format::Responses { Repair::DropEncrypted } else { Repair::DropThinking });
    }
    if has("expected thinking or redacted_thinking, but found") {
        return Some(Repair::ThinkingOff);
    }
    if has("thinking") && has("blocks in the latest assistant message cannot be modified") {
        return Some(Repair::DropLatestThinking);
    }
    if has("missing a thought_signature")
        || has("invalid thought signature")
        || has("thought signature is not valid")
    {
        return Some(Repair::Sentinels);
    }
    if has("must be verified to generate reasoning summar") {
        return Some(Repair::DropSummary);
    }
    None
}

const REPAIRABLE: [Kind; 4] = [Kind::InvalidRequest, Kind::NotFound, Kind::Unprocessable, Kind::BadUpstream];
