//! Reading what upstreams report, in whatever shape: JSON of a dozen kinds, JSON inside JSON, event streams, plain text,
//! web pages.
//!
//! The shape is found by looking, not by the format: a gateway in front of a provider answers in its own shape. What
//! the findings mean is decided in `judge`.

use std::time::Duration;

use super::{Fault, delay, judge, redact};
use crate::Error;
use crate::format::Format;
use crate::json::{self, Raw, Reader};

/// What headers say about an error, and the clock to read dates against.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeaderHints<'a> {
    /// `content-type`
    pub content_type: Option<&'a str>,
    /// `retry-after`
    pub retry_after: Option<&'a str>,
    /// `retry-after-ms`
    pub retry_after_ms: Option<&'a str>,
    /// The upstream's request id.
    pub request_id: Option<&'a str>,
    /// Now, in Unix seconds.
    pub now: u64,
}

impl<'a> HeaderHints<'a> {
    /// The hints in `headers`.
    pub fn from_headers(headers: &'a http::HeaderMap, now: u64) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            content_type: text("content-type"),
            retry_after: text("retry-after"),
            retry_after_ms: text("retry-after-ms"),
            request_id: text("request-id").or_else(|| text("x-request-id")),
            now,
        }
    }

    fn delay(&self) -> Option<Duration> {
        let milliseconds = self.retry_after_ms.and_then(delay::plain_milliseconds);
        milliseconds.or_else(|| delay::header(self.retry_after?, self.now))
    }
}

/// What was found in an error body.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) message: String,
    /// `type`, or Google's `status`.
    pub(super) word: Option<String>,
    pub(super) code: Option<String>,
    /// A status that stands in the body.
    pub(super) status: Option<u16>,
    pub(super) param: Option<String>,
    pub(super) details: Option<Raw>,
    /// `reason` of Google's `ErrorInfo`.
    pub(super) reason: Option<String>,
    link: Option<String>,
    request_id: Option<String>,
    delay: Option<Duration>,
    resets_at: Option<u64>,
    /// How deep in the body `message` was found.
    message_depth: u8,
}

/// Reads an upstream's refusal. Whatever the body is, the result can be shown to a client.
pub fn decode(format: Format, status: u16, headers: &HeaderHints<'_>, body: &[u8]) -> Fault {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{FEFF}').trim();
    let is_page =
        text.starts_with('<') || headers.content_type.is_some_and(|kind| kind.contains("text/html"));
    let mut report = if text.is_empty() || is_page { Report::default() } else { read(text) };
    if report.message.trim().is_empty() {
        let what = if is_page { "a web page" } else { "no message" };
        report.message = format!("the {} upstream answered {status} with {what}", format.name());
    }
    report.finish(status, headers)
}

/// Reads the error that stands in the body or the stream of a success: the value of an `error` member, or a whole
/// error object. `None` when the value says that there is no error.
pub fn in_success(format: Format, reader: &mut Reader<'_>) -> Option<Fault> {
    let raw = reader.raw().ok()?;
    if matches!(raw.trim(), "null" | "false" | "\"\"" | "{}" | "[]") {
        return None;
    }
    let mut report = Report::default();
    report.value(&mut Reader::new(raw), 0).ok()?;
    if report.message.trim().is_empty() {
        report.message =
            report.code.clone().or_else(|| report.word.clone()).unwrap_or_else(|| {
                format!("the {} upstream reported an error without a message", format.name())
            });
    }
    Some(report.finish(200, &HeaderHints::default()))
}

fn read(text: &str) -> Report {
    let mut report = Report::default();
    let json = match text.as_bytes().first() {
        Some(b'{' | b'[' | b'"') => text,
        // An error may come as the first frame of a stream.
        _ => text.lines().find_map(|line| line.strip_prefix("data:")).map_or("", str::trim),
    };
    if report.value(&mut Reader::new(json), 0).is_ok() {
        return report;
    }
    // Google cuts streams of JSON so that commas are doubled or the closing bracket is missing.
    let mut repaired = json.trim_start_matches(['[', ',', ' ', '\n', '\r']).to_owned();
    while repaired.contains(",,") {
        repaired = repaired.replace(",,", ",");
    }
    report = Report::default();
    if report.value(&mut Reader::new(&repaired), 0).is_ok() {
        return report;
    }
    Report { message: text.to_owned(), ..Report::default() }
}

/// Longer addresses are no pages for people.
const LONGEST_LINK: usize = 2048;

/// How often JSON inside JSON is looked into.
const MAX_NESTING: u8 = 4;

impl Report {
    fn finish(self, status: u16, headers: &HeaderHints<'_>) -> Fault {
        let is_success = status < 400;
        let status = if is_success { self.status.unwrap_or(status) } else { status };
        let (kind, code) = judge::kind(&self, status);
        let retry_after = headers
            .delay()
            .or(self.delay)
            .or_else(|| delay::until(self.resets_at?, headers.now))
            .or_else(|| delay::in_text(&self.message));
        Fault {
            kind,
            status: Some(status),
            code,
            message: redact::message(&self.message),
            param: self.param,
            retry_after,
            resets_at: self.resets_at.filter(|_| retry_after.is_none() && headers.now == 0),
            upstream_request_id: headers.request_id.map(str::to_owned).or(self.request_id),
            details: self.details.map(|details| {
                let mut clean = String::new();
                redact::redact(details.as_str(), &mut clean);
                Raw::parse(&clean).unwrap_or(details)
            }),
            link: self.link.filter(|link| is_link(link)),
            is_upstream: true,
        }
    }

    /// Reads any value that may be an error.
    fn value(&mut self, reader: &mut Reader<'_>, depth: u8) -> Result<(), Error> {
        if depth > MAX_NESTING {
            return reader.skip();
        }
        match reader.kind() {
            json::Kind::Object => reader.object(|key, value| self.member(key, value, depth)),
            json::Kind::Array => {
                let mut is_first = true;
                reader.array(|_, value| {
                    if std::mem::take(&mut is_first) { self.value(value, depth + 1) } else { value.skip() }
                })
            }
            json::Kind::String => {
                let text = reader.string()?;
                self.text(text, depth);
                Ok(())
            }
            json::Kind::Invalid => Err(Error::syntax("no JSON")),
            _ => reader.skip(),
        }
    }

    fn member(&mut self, key: &str, value: &mut Reader<'_>, depth: u8) -> Result<(), Error> {
        match (key, value.kind()) {
            ("error" | "errors" | "response", _) => self.nested(value, depth),
            ("detail", json::Kind::Array) => self.validation(value),
            ("detail", _) => self.nested(value, depth),
            ("message" | "msg" | "error_msg" | "error_message" | "error_description", json::Kind::String) => {
                let text = value.string()?;
                self.text(text, depth);
                Ok(())
            }
            ("message", json::Kind::Object) => self.nested(value, depth),
            ("type", json::Kind::String) => {
                let word = value.string()?;
                if word != "error" && !word.starts_with("response.") {
                    self.word = Some(word);
                }
                Ok(())
            }
            ("status", json::Kind::String) => {
                let word = value.string()?;
                // A Responses object says `failed` here.
                if word != "failed" && word != "error" {
                    self.word.get_or_insert(word);
                }
                Ok(())
            }
            ("code" | "status" | "status_code", json::Kind::Number) => {
                let number = value.number()?;
                match number.parse::<u16>() {
                    Ok(status @ 400..=599) => self.status = Some(status),
                    _ => self.code = Some(number.to_owned()),
                }
                Ok(())
            }
            ("code", json::Kind::String) => {
                let code = value.string()?;
                match code.parse::<u16>() {
                    Ok(status @ 400..=599) => self.status = Some(status),
                    _ if code.is_empty() => {}
                    _ => self.code = Some(code),
                }
                Ok(())
            }
            ("param", json::Kind::String) => {
                self.param = Some(value.string()?).filter(|param| !param.is_empty());
                Ok(())
            }
            ("request_id" | "requestId", json::Kind::String) => {
                self.request_id = Some(value.string()?);
                Ok(())
            }
            ("resets_in_seconds", json::Kind::Number) => {
                self.delay = delay::plain_seconds(value.number()?);
                Ok(())
            }
            ("resets_at", json::Kind::Number) => {
                self.resets_at = value.f64().ok().map(whole);
                Ok(())
            }
            ("details", json::Kind::Array) => self.google_details(value),
            ("metadata", json::Kind::Object) => value.object(|key, value| {
                // Aggregators put the provider's own answer here.
                if key == "raw" { self.nested(value, depth) } else { value.skip() }
            }),
            _ => value.skip(),
        }
    }

    /// An error inside: what it says wins over what was said around it.
    fn nested(&mut self, value: &mut Reader<'_>, depth: u8) -> Result<(), Error> {
        self.value(value, depth + 1)
    }

    /// Text that may itself be JSON, wholly or behind words of a gateway.
    fn text(&mut self, text: String, depth: u8) {
        let inner = text.find(['{', '[']).and_then(|at| text.get(at..)).map(str::trim_end);
        if depth < MAX_NESTING
            && let Some(inner) = inner
        {
            let mut found = Self::default();
            let mut reader = Reader::new(inner);
            let is_whole = found.value(&mut reader, depth + 1).is_ok() && reader.finish().is_ok();
            if is_whole && !found.message.is_empty() {
                self.message = found.message;
                self.word = found.word.or_else(|| self.word.take());
                self.code = found.code.or_else(|| self.code.take());
                self.status = self.status.or(found.status);
                self.delay = self.delay.or(found.delay);
                self.details = self.details.take().or(found.details);
                self.reason = self.reason.take().or(found.reason);
                self.link = self.link.take().or(found.link);
                return;
            }
        }
        // The innermost text wins, but a sentence always wins over a word, which then is a code.
        let is_word = |text: &str| !text.is_empty() && !text.contains(' ');
        if self.message.is_empty() {
            self.message = text;
            self.message_depth = depth;
        } else if is_word(&self.message) && !is_word(&text) {
            let word = std::mem::replace(&mut self.message, text);
            self.code.get_or_insert(word);
            self.message_depth = depth;
        } else if depth > self.message_depth && !is_word(&text) {
            self.message = text;
            self.message_depth = depth;
        }
    }

    /// `[{"loc":["body","messages",0],"msg":"field required"}]`
    fn validation(&mut self, value: &mut Reader<'_>) -> Result<(), Error> {
        let mut findings = Vec::new();
        value.array(|_, finding| {
            if finding.kind() != json::Kind::Object {
                findings.push(finding.raw()?.trim_matches('"').to_owned());
                return Ok(());
            }
            let (mut place, mut what) = (Vec::new(), String::new());
            finding.object(|key, value| {
                match (key, value.kind()) {
                    ("loc", json::Kind::Array) => value.array(|_, step| {
                        place.push(step.raw()?.trim_matches('"').to_owned());
                        Ok(())
                    })?,
                    ("msg" | "message", json::Kind::String) => what = value.string()?,
                    _ => value.skip()?,
                }
                Ok(())
            })?;
            let place = place.join(".");
            let place = place.strip_prefix("body.").unwrap_or(&place);
            if self.param.is_none() && !place.is_empty() {
                self.param = Some(place.to_owned());
            }
            findings.push(if place.is_empty() { what } else { format!("{place}: {what}") });
            Ok(())
        })?;
        self.message = findings.join("; ");
        Ok(())
    }

    /// One link of Google's `Help`; the first counts.
    fn help(&mut self, link: &mut Reader<'_>) -> Result<(), Error> {
        if link.kind() != json::Kind::Object {
            return link.skip();
        }
        link.object(|key, value| match (key, value.kind()) {
            ("url", json::Kind::String) => {
                let url = value.string()?;
                self.link.get_or_insert(url);
                Ok(())
            }
            _ => value.skip(),
        })
    }

    fn google_details(&mut self, value: &mut Reader<'_>) -> Result<(), Error> {
        let raw = value.raw()?;
        let (mut retry, mut reset, mut reset_at) = (None, None, None);
        Reader::new(raw).array(|_, detail| {
            if detail.kind() != json::Kind::Object {
                return detail.skip();
            }
            detail.object(|key, value| {
                match (key, value.kind()) {
                    ("retryDelay", json::Kind::String) => retry = delay::duration(&value.str()?),
                    ("reason", json::Kind::String) => self.reason = Some(value.string()?),
                    ("links", json::Kind::Array) => value.array(|_, link| self.help(link))?,
                    ("metadata", json::Kind::Object) => value.object(|key, value| {
                        match (key, value.kind()) {
                            ("quotaResetDelay", json::Kind::String) => reset = delay::duration(&value.str()?),
                            ("quotaResetTimeStamp", json::Kind::String) => {
                                reset_at = delay::rfc3339(&value.str()?);
                            }
                            ("validation_link" | "validation_url", json::Kind::String) => {
                                self.link = Some(value.string()?);
                            }
                            _ => value.skip()?,
                        }
                        Ok(())
                    })?,
                    _ => value.skip()?,
                }
                Ok(())
            })
        })?;
        self.delay = retry.or(reset).or(self.delay);
        self.resets_at = self.resets_at.or(reset_at);
        self.details = Some(Raw::new(raw));
        Ok(())
    }
}

/// Whether a text is a web address that fits into a line.
fn is_link(text: &str) -> bool {
    text.starts_with("https://")
        && text.len() <= LONGEST_LINK
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within range")]
fn whole(number: f64) -> u64 {
    if number.is_finite() && (0.0..9e15).contains(&number) { number as u64 } else { 0 }
}
