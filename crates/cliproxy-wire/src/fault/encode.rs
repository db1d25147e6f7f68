//! Writing errors for clients: whole bodies, and the objects that stand inside streams.

use std::borrow::Cow;
use std::time::Duration;

use super::table::{Row, Shape, responses_code, row};
use super::{Fault, Kind, redact};
use crate::format::Format;
use crate::json::{self, Object, Raw};

impl Fault {
    /// The fault as a client may see it.
    ///
    /// An upstream that refuses the gateway's own credential must not look like the client's key failing: clients would
    /// log out. So that becomes a failure of the upstream, without the upstream's words.
    #[must_use]
    pub fn shown(&self) -> Cow<'_, Self> {
        if !self.is_upstream || self.kind != Kind::Authentication {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self {
            status: self.status,
            retry_after: self.retry_after,
            upstream_request_id: self.upstream_request_id.clone(),
            is_upstream: true,
            ..Self::new(Kind::BadUpstream, "the upstream refused the credential of this gateway")
                .with_code("upstream_auth_failed")
        })
    }

    /// The `retry-after` header: whole seconds, rounded up.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(whole_seconds)
    }

    /// The status for a client of `format`.
    pub fn status_for(&self, format: Format) -> u16 {
        let shown = self.shown();
        let own = shown.status.filter(|status| !shown.is_upstream && *status >= 400);
        own.unwrap_or_else(|| row(shown.kind, format).status)
    }

    /// What the header `x-should-retry` says, if anything: clients shall not repeat what the gateway has tried already
    /// or what cannot work for hours.
    pub fn should_retry(&self, was_retried: bool) -> Option<bool> {
        (was_retried || self.kind == Kind::Quota).then_some(false)
    }

    fn code(&self, row: &Row) -> Option<&str> {
        // A code that the gateway gave is meant for clients; an upstream's is in the upstream's terms.
        let is_own = !self.is_upstream || row.keeps_code;
        self.code.as_deref().filter(|_| is_own).or(row.code)
    }

    fn message(&self) -> String {
        redact::message(&self.message)
    }
}

fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

/// Writes the body of a refusal for a client of `format`, and its status. `request_id` is the gateway's.
pub fn encode(format: Format, fault: &Fault, request_id: &str) -> (u16, Vec<u8>) {
    let mut body = Vec::new();
    match row(fault.shown().kind, format).shape {
        Shape::OpenAi => write_chat_error(&mut body, fault),
        Shape::Claude => write_claude_error(&mut body, fault, request_id),
        Shape::Google => write_gemini_error(&mut body, fault),
    }
    (fault.status_for(format), body)
}

/// Writes the error object of the OpenAI formats: the body of a refusal, and a frame of a Chat stream.
pub fn write_chat_error(out: &mut Vec<u8>, fault: &Fault) {
    let fault = fault.shown();
    let row = row(fault.kind, Format::Chat);
    json::object(out, |object| {
        object.object("error", |error| {
            error.str("message", &fault.message());
            error.str("type", row.word);
            error.str_or_null("param", fault.param.as_deref());
            error.str_or_null("code", fault.code(&row));
        });
    });
}

/// Writes the error object of Claude: the body of a refusal, and the data of an `error` event.
pub fn write_claude_error(out: &mut Vec<u8>, fault: &Fault, request_id: &str) {
    const LENGTH: &str = "prompt is too long";
    let fault = fault.shown();
    let row = row(fault.kind, Format::Claude);
    let mut message = fault.message();
    // Clients of this format compact their history on these words, and only on these.
    if fault.kind == Kind::ContextLength && !message.starts_with(LENGTH) {
        message = format!("{LENGTH}: {message}");
    }
    json::object(out, |object| {
        object.str("type", "error");
        object.object("error", |error| {
            error.str("type", row.word);
            error.str("message", &message);
        });
        object.str("request_id", request_id);
    });
}

/// Writes the error object of Gemini: the body of a refusal, and an element of a stream.
pub fn write_gemini_error(out: &mut Vec<u8>, fault: &Fault) {
    let fault = fault.shown();
    let row = row(fault.kind, Format::Gemini);
    json::object(out, |object| {
        object.object("error", |error| {
            error.u64("code", u64::from(fault.status_for(Format::Gemini)));
            error.str("message", &fault.message());
            error.str("status", row.word);
            write_details(error, fault.details.as_ref(), fault.retry_after_seconds());
        });
    });
}

fn write_details(error: &mut Object<'_>, details: Option<&Raw>, retry_after: Option<u64>) {
    const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
    let is_retry_known = details.is_some_and(|details| details.as_str().contains(RETRY_INFO));
    let retry_after = retry_after.filter(|_| !is_retry_known);
    if details.is_none() && retry_after.is_none() {
        return;
    }
    error.array("details", |array| {
        if let Some(details) = details {
            // Checked to be an array when it was read.
            let _complete = details.reader().array(|_, detail| {
                array.raw(detail.raw()?);
                Ok(())
            });
        }
        if let Some(seconds) = retry_after {
            array.object(|info| {
                info.str("@type", RETRY_INFO);
                info.str("retryDelay", &format!("{seconds}s"));
            });
        }
    });
}

/// `error.code` inside a Responses stream or a failed response.
pub fn responses_error_code(fault: &Fault) -> &'static str {
    responses_code(fault.shown().kind)
}

/// `error.message` inside a Responses stream: clients of this format read the delay from the words.
pub fn responses_error_message(fault: &Fault) -> String {
    let fault = fault.shown();
    let mut message = fault.message();
    if fault.kind == Kind::RateLimit
        && let Some(seconds) = fault.retry_after_seconds()
        && !message.to_ascii_lowercase().contains("try again in")
    {
        let stop = if message.ends_with('.') { "" } else { "." };
        message = format!("{message}{stop} Please try again in {seconds}s.");
    }
    message
}
