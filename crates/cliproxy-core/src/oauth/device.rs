//! The device authorization flow (RFC 8628): a person types a code on any device, and the program asks until the
//! code is confirmed.

use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use super::flow::{Answer, Flow, Input, Notice, Refusal, RefusalKind, Request, Step};
use super::message::{Tokens, error_code};

/// The grant type of a poll.
pub(crate) const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Pause between polls of a service that names none, and what is added when it asks for patience.
const PAUSE: Duration = Duration::from_secs(5);
/// Longest pause; no service needs more.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What differs between providers.
#[derive(Debug)]
pub(crate) struct DeviceLogin {
    /// The provider in messages.
    pub(crate) who: &'static str,
    /// What a person does when the code is refused.
    pub(crate) remedy: &'static str,
    /// The request for a device code.
    pub(crate) ask: Request,
    /// Where polls go.
    pub(crate) token_url: String,
    /// What a poll says besides the grant type and the device code.
    pub(crate) poll: Vec<(&'static str, String)>,
    /// Headers of a poll.
    pub(crate) headers: HeaderMap,
    /// Longest time for a person to confirm.
    pub(crate) limit: Duration,
}

impl DeviceLogin {
    /// The conversation; yields tokens.
    pub(crate) fn begin(self) -> DeviceFlow {
        DeviceFlow { login: self, at: At::Beginning }
    }
}

/// See [`DeviceLogin::begin`].
#[derive(Debug)]
pub(crate) struct DeviceFlow {
    login: DeviceLogin,
    at: At,
}

#[derive(Debug)]
enum At {
    Beginning,
    Asked,
    Polling(Box<Poll>),
}

/// When to ask, and how long.
#[derive(Clone, Debug)]
pub(crate) struct Poll {
    request: Request,
    pause: Duration,
    left: Duration,
}

impl Poll {
    /// Asks with `request`.
    pub(crate) fn new(request: Request, pause: Duration, limit: Duration) -> Self {
        Self { request, pause: pause.clamp(Duration::from_secs(1), LONGEST_PAUSE), left: limit }
    }

    /// The next pause.
    ///
    /// # Errors
    /// The time is over.
    pub(crate) fn wait(&mut self) -> Result<Duration, Refusal> {
        match self.left.checked_sub(self.pause) {
            Some(left) => {
                self.left = left;
                Ok(self.pause)
            }
            None => Err(Refusal {
                kind: RefusalKind::Passing(None),
                message: "the code was not confirmed in time".into(),
                remedy: "log in again and confirm the new code".into(),
            }),
        }
    }

    /// The service wants to be asked less often.
    pub(crate) fn slow_down(&mut self) {
        self.pause = (self.pause + PAUSE).min(LONGEST_PAUSE);
    }

    /// The request.
    pub(crate) fn request(&self) -> Request {
        self.request.clone()
    }
}

impl Flow for DeviceFlow {
    type Output = Tokens;

    fn step(&mut self, input: Input) -> Step<Tokens> {
        Step::or_refused(self.advance(input))
    }
}

impl DeviceFlow {
    fn advance(&mut self, input: Input) -> Result<Step<Tokens>, Refusal> {
        let login = &self.login;
        match &mut self.at {
            At::Beginning => {
                self.at = At::Asked;
                Ok(Step::Send(login.ask.clone()))
            }
            At::Asked => {
                let body = input.answer(login.who)?.success(login.who, login.remedy)?;
                let (notice, poll) = Self::read(login, &body)?;
                self.at = At::Polling(Box::new(poll));
                Ok(Step::Show(notice))
            }
            At::Polling(poll) => match input {
                Input::Shown => Ok(Step::Wait(poll.wait()?)),
                // A code that is confirmed is spent by the poll.
                Input::Elapsed => Ok(Step::Redeem(poll.request())),
                // A network that comes back finds the code still waiting.
                Input::Lost(_) => Ok(Step::Wait(poll.wait()?)),
                input => {
                    let answer = input.answer(login.who)?;
                    match verdict(&answer) {
                        Verdict::Pending => Ok(Step::Wait(poll.wait()?)),
                        Verdict::SlowDown => {
                            poll.slow_down();
                            Ok(Step::Wait(poll.wait()?))
                        }
                        Verdict::Decided => Tokens::read(&answer, login.who, login.remedy).map(Step::Done),
                    }
                }
            },
        }
    }

    fn read(login: &DeviceLogin, body: &Value) -> Result<(Notice, Poll), Refusal> {
        let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let url = text("verification_uri_complete").or_else(|| text("verification_uri"));
        let (Some(code), Some(shown), Some(url)) = (text("device_code"), text("user_code"), url) else {
            return Err(Refusal {
                kind: RefusalKind::Passing(None),
                message: format!("{} answered without a device code", login.who).into(),
                remedy: "try again later".into(),
            });
        };
        let mut pairs = vec![("grant_type", GRANT), ("device_code", code)];
        pairs.extend(login.poll.iter().map(|(name, value)| (*name, value.as_str())));
        let mut request = Request::form(&login.token_url, &pairs)?;
        request.headers.extend(login.headers.clone());
        let pause = seconds(body, "interval").unwrap_or(PAUSE);
        let limit = seconds(body, "expires_in").map_or(login.limit, |limit| limit.min(login.limit));
        let notice = Notice::Code { url: url.to_owned(), code: shown.to_owned() };
        Ok((notice, Poll::new(request, pause, limit)))
    }
}

/// A number of seconds, also when it is written as text.
pub(crate) fn seconds(body: &Value, name: &str) -> Option<Duration> {
    let value = body.get(name)?;
    let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Some(Duration::from_secs(number))
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Pending,
    SlowDown,
    Decided,
}

fn verdict(answer: &Answer) -> Verdict {
    if answer.status.is_server_error() {
        return Verdict::Pending;
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match error_code(&body).as_deref() {
        Some("authorization_pending") => Verdict::Pending,
        Some("slow_down") => Verdict::SlowDown,
        _ if answer.status.as_u16() == 429 => Verdict::SlowDown,
        _ => Verdict::Decided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::StatusCode;

    fn flow() -> DeviceFlow {
        DeviceLogin {
            who: "x",
            remedy: "log in",
            ask: Request::form("https://h/device", &[("client_id", "id")]).unwrap(),
            token_url: "https://h/token".into(),
            poll: vec![("client_id", "id".into())],
            headers: HeaderMap::new(),
            limit: Duration::from_mins(15),
        }
        .begin()
    }

    fn answer(status: u16, body: &str) -> Input {
        Input::Answer(Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
    }

    const CODE: &str = r#"{"device_code":"d","user_code":"A-B","verification_uri":"https://h/p","expires_in":30,"interval":"6"}"#;

    fn shown(flow: &mut DeviceFlow, code: &str) {
        assert!(matches!(flow.step(Input::Start), Step::Send(_)));
        assert!(matches!(flow.step(answer(200, code)), Step::Show(Notice::Code { .. })));
    }

    fn pause(step: Step<Tokens>) -> u64 {
        match step {
            Step::Wait(pause) => pause.as_secs(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_asks_as_often_as_it_may_until_the_code_is_confirmed() {
        let mut flow = flow();
        shown(&mut flow, CODE);
        assert_eq!(pause(flow.step(Input::Shown)), 6);
        let Step::Redeem(request) = flow.step(Input::Elapsed) else { panic!() };
        assert!(request.body.ends_with(b"&device_code=d&client_id=id"));
        assert_eq!(pause(flow.step(answer(400, r#"{"error":"authorization_pending"}"#))), 6);
        flow.step(Input::Elapsed);
        assert_eq!(pause(flow.step(answer(400, r#"{"error":"slow_down"}"#))), 11);
        flow.step(Input::Elapsed);
        let Step::Done(tokens) = flow.step(answer(200, r#"{"access_token":"a"}"#)) else { panic!() };
        assert_eq!(tokens.access.expose(), "a");
    }

    #[test]
    fn it_ends_when_the_code_has_expired() {
        let mut flow = flow();
        shown(&mut flow, CODE);
        let mut waits = 0;
        let mut step = flow.step(Input::Shown);
        while let Step::Wait(_) = step {
            waits += 1;
            flow.step(Input::Elapsed);
            step = flow.step(Input::Lost("gone".into()));
        }
        assert_eq!(waits, 5);
        assert!(matches!(step, Step::Refused(_)), "{step:?}");
    }

    #[test]
    fn a_decision_of_the_provider_is_final() {
        for error in ["expired_token", "access_denied", "invalid_grant"] {
            let mut flow = flow();
            shown(&mut flow, CODE);
            flow.step(Input::Shown);
            flow.step(Input::Elapsed);
            let Step::Refused(refusal) = flow.step(answer(400, &format!(r#"{{"error":"{error}"}}"#))) else {
                panic!()
            };
            assert_eq!(refusal.message, format!("x answered 400 `{error}`"));
        }
    }

    #[test]
    fn a_broken_answer_to_the_first_question_is_a_refusal() {
        for (status, body) in [(200, "{}"), (200, "<html>"), (500, "no"), (404, "{}")] {
            let mut flow = flow();
            flow.step(Input::Start);
            assert!(matches!(flow.step(answer(status, body)), Step::Refused(_)), "{body}");
        }
    }
}
