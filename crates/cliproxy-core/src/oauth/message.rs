//! Requests to identity providers and what their answers mean.
//!
//! The formats that every provider shares: form and JSON bodies, token answers, error answers of any shape. What a
//! provider does differently stands in its own folder.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde_json::Value;

use super::{Answer, Refusal, RefusalKind, Request};
use crate::PRODUCT;
use crate::reason::Code;
use crate::secret::Secret;

/// Longest foreign text that is shown.
const LONGEST_SHOWN: usize = 300;

impl Request {
    /// A request without body.
    ///
    /// # Errors
    /// An address that is none.
    pub fn get(address: &str) -> Result<Self, Refusal> {
        Self::new(Method::GET, address, None, Bytes::new())
    }

    /// A form.
    ///
    /// # Errors
    /// An address that is none.
    pub fn form(address: &str, pairs: &[(&str, &str)]) -> Result<Self, Refusal> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Self::new(Method::POST, address, Some("application/x-www-form-urlencoded"), body.into())
    }

    /// A JSON body.
    ///
    /// # Errors
    /// An address that is none.
    pub fn json(address: &str, body: &Value) -> Result<Self, Refusal> {
        Self::new(Method::POST, address, Some("application/json"), body.to_string().into())
    }

    fn new(method: Method, address: &str, kind: Option<&'static str>, body: Bytes) -> Result<Self, Refusal> {
        let Some(uri) = Uri::try_from(address).ok().filter(|uri| uri.scheme().is_some()) else {
            return Err(Refusal::unusable_address());
        };
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(PRODUCT));
        Ok(Self { method, uri, headers, body })
    }

    /// The same with a token.
    #[must_use]
    pub fn bearer(self, token: &Secret) -> Self {
        self.secret_header(AUTHORIZATION, &format!("Bearer {}", token.expose()))
    }

    /// The same with a header that no log may show.
    #[must_use]
    pub fn secret_header(mut self, name: http::HeaderName, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            self.headers.insert(name, value);
        }
        self
    }
}

impl Refusal {
    pub(crate) fn unusable_address() -> Self {
        Self {
            kind: RefusalKind::Dead,
            message: Code::AddressUnusable.into(),
            remedy: Code::CheckAddresses.into(),
        }
    }
}

impl Answer {
    /// The body of a success as JSON.
    ///
    /// # Errors
    /// An error status, or no JSON. `who` and `remedy` complete the message.
    pub fn success(&self, who: &str, remedy: &str) -> Result<Value, Refusal> {
        if !self.status.is_success() {
            return Err(self.refusal(who, remedy));
        }
        serde_json::from_slice(&self.body).map_err(|_may_hold_tokens| Refusal {
            kind: RefusalKind::Passing(None),
            message: format!("{who} answered {} without JSON", self.status.as_u16()).into(),
            remedy: remedy.into(),
        })
    }

    /// What an error answer means. `who` answered; `remedy` is what a person does when the grant is dead.
    pub fn refusal(&self, who: &str, remedy: &str) -> Refusal {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let code = error_code(&body).unwrap_or_default();
        let text = error_text(&body);
        let kind = self.kind(&code, text.as_deref().unwrap_or_default());
        let mut said = String::new();
        if !code.is_empty() {
            said = format!(" `{}`", shown(&code));
        }
        match text.map(|text| shown(&text)).filter(|text| !text.is_empty() && *text != code) {
            Some(text) => said = format!("{said}: {text}"),
            None if body.is_null() => said.push_str(" with a page instead of JSON"),
            None => {}
        }
        let message = Code::Answered.with("who", who).with("status", self.status.as_u16()).with("said", said);
        let remedy = match kind {
            RefusalKind::Passing(Some(wait)) => format!("try again in {} s", wait.as_secs()).into(),
            RefusalKind::Passing(None) => "try again later".into(),
            RefusalKind::Forbidden => Code::UseApiKey.into(),
            RefusalKind::Dead => remedy.into(),
        };
        Refusal { kind, message, remedy }
    }

    fn kind(&self, code: &str, text: &str) -> RefusalKind {
        let status = self.status.as_u16();
        if is_forbidden_use(text) {
            return RefusalKind::Forbidden;
        }
        if matches!(status, 408 | 425 | 429 | 500..)
            || matches!(code, "slow_down" | "temporarily_unavailable")
        {
            return RefusalKind::Passing(self.retry_after());
        }
        // A page instead of an answer says nothing about the grant.
        if serde_json::from_slice::<Value>(&self.body).is_err() {
            return RefusalKind::Passing(None);
        }
        RefusalKind::Dead
    }

    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }
}

/// Words with which providers say that their terms do not allow this use.
fn is_forbidden_use(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["violation of terms of service", "only authorized for use with claude code", "oauth 2.0 policy"]
        .iter()
        .any(|words| text.contains(words))
}

/// The machine-readable name of an error, in any of the shapes that providers use.
pub(crate) fn error_code(body: &Value) -> Option<String> {
    let error = body.get("error")?;
    let code = match error {
        Value::String(code) => Some(code.as_str()),
        Value::Object(_) => ["code", "type", "status"]
            .iter()
            .filter_map(|name| error.get(name))
            .find_map(|value| value.as_str().filter(|text| !text.is_empty())),
        _ => None,
    };
    // Some services put a sentence there.
    code.filter(|code| !code.contains(' ')).map(str::to_owned)
}

fn error_text(body: &Value) -> Option<String> {
    let error = body.get("error");
    let places = [
        body.get("error_description"),
        error.and_then(|error| error.get("message")),
        body.get("message"),
        body.get("detail"),
        error,
    ];
    places.into_iter().flatten().find_map(Value::as_str).map(str::to_owned)
}

/// A foreign text as one short line.
pub(crate) fn shown(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line: String = line.chars().filter(|character| !character.is_control()).collect();
    if let Some((end, _)) = line.char_indices().nth(LONGEST_SHOWN) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// What a token endpoint gave.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// The access token.
    pub access: Secret,
    /// The refresh token; `None` when the old one stays valid.
    pub refresh: Option<Secret>,
    /// The id token.
    pub id: Option<Secret>,
    /// Seconds until the access token ends.
    pub expires_in: Option<u64>,
    /// The whole answer, for what a provider adds.
    pub body: Value,
}

impl Tokens {
    /// Reads an answer of a token endpoint.
    ///
    /// # Errors
    /// An error status, no JSON, or no access token.
    pub fn read(answer: &Answer, who: &str, remedy: &str) -> Result<Self, Refusal> {
        let body = answer.success(who, remedy)?;
        let text = |name: &str| {
            let text = body.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
            text.map(|text| Secret::new(text.to_owned()))
        };
        let Some(access) = text("access_token") else {
            // Some services say errors with status 200.
            let failed = Answer {
                status: http::StatusCode::BAD_REQUEST,
                headers: HeaderMap::new(),
                body: answer.body.clone(),
            };
            if error_text(&body).is_some() || error_code(&body).is_some() {
                return Err(failed.refusal(who, remedy));
            }
            return Err(Refusal {
                kind: RefusalKind::Passing(None),
                message: format!("{who} answered without an access token").into(),
                remedy: "try again later".into(),
            });
        };
        let expires_in = body.get("expires_in").and_then(|value| match value {
            Value::Number(number) => number.as_u64().or_else(|| number.as_f64().map(whole)),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        });
        Ok(Self { access, refresh: text("refresh_token"), id: text("id_token"), expires_in, body })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; negative is over")]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn a_form_is_encoded_and_debug_shows_no_secret() {
        let request =
            Request::form("https://h/token?x=hidden", &[("code", "a b&c"), ("grant_type", "x")]).unwrap();
        assert_eq!(request.body, "code=a+b%26c&grant_type=x");
        let shown = format!("{:?}", request.bearer(&Secret::new("hidden-token")));
        assert_eq!(shown, "Request(POST h/token)");
        assert!(Request::get("nowhere").is_err() && Request::get("").is_err());
    }

    #[test]
    fn errors_of_every_shape_are_understood() {
        use RefusalKind::{Dead, Forbidden, Passing};
        for (status, body, kind, message) in [
            (
                400,
                r#"{"error":"invalid_grant","error_description":"Token has been expired or revoked."}"#,
                Dead,
                "x answered 400 `invalid_grant`: Token has been expired or revoked.",
            ),
            (
                401,
                r#"{"error":{"code":"refresh_token_reused","message":"Used twice"}}"#,
                Dead,
                "x answered 401 `refresh_token_reused`: Used twice",
            ),
            (
                401,
                r#"{"type":"error","error":{"type":"authentication_error","message":"no"}}"#,
                Dead,
                "x answered 401 `authentication_error`: no",
            ),
            (
                403,
                r#"{"error":{"code":403,"message":"This service has been disabled in this account for violation of Terms of Service."}}"#,
                Forbidden,
                "x answered 403: This service has been disabled in this account for violation of Terms of Service.",
            ),
            (400, r#"{"detail":"nope"}"#, Dead, "x answered 400: nope"),
            (502, "<html>bad gateway</html>", Passing(None), "x answered 502 with a page instead of JSON"),
            (403, "<html>challenge</html>", Passing(None), "x answered 403 with a page instead of JSON"),
            (429, "{}", Passing(None), "x answered 429"),
        ] {
            let refusal = answer(status, body).refusal("x", "log in");
            assert_eq!((refusal.kind, &*refusal.message), (kind, message));
        }
    }

    #[test]
    fn an_announced_wait_is_kept() {
        let mut limited = answer(429, "{}");
        limited.headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        let refusal = limited.refusal("x", "log in");
        assert_eq!(refusal.kind, RefusalKind::Passing(Some(Duration::from_secs(7))));
        assert_eq!(refusal.remedy, "try again in 7 s");
    }

    #[test]
    fn tokens_are_read_and_a_success_without_any_is_none() {
        let read = |body: &str| Tokens::read(&answer(200, body), "x", "log in");
        let tokens = read(r#"{"access_token":"a","refresh_token":"","expires_in":"3600"}"#).unwrap();
        assert_eq!((tokens.access.expose(), tokens.refresh, tokens.expires_in), ("a", None, Some(3600)));
        assert_eq!(read("{}").unwrap_err().kind, RefusalKind::Passing(None));
        assert_eq!(read(r#"{"error":"invalid_grant"}"#).unwrap_err().kind, RefusalKind::Dead);
        assert_eq!(read("<html>").unwrap_err().message, "x answered 200 without JSON");
    }

    #[test]
    fn foreign_text_is_one_short_line() {
        assert_eq!(shown("a\n\u{1b}[31m  b"), "a [31m b");
        assert_eq!(shown(&"ä".repeat(400)).chars().count(), 301);
    }
}
