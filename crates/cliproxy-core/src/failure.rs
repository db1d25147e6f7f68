//! Why a request, or one attempt at it, failed.
//!
//! One type answers three separate questions: what the client may see ([`Failure::fault`]), who caused it
//! ([`Failure::origin`]), and whether another credential is worth a try ([`Failure::retry`]). Status codes and body
//! shapes are the codecs' and the server's business.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use cliproxy_wire::fault::{Fault, Kind};
use http::HeaderMap;

/// A failure; one pointer wide.
pub struct Failure(Box<Inner>);

struct Inner {
    fault: Fault,
    origin: Origin,
    retry: Retry,
    relay: Option<Relay>,
    detail: String,
    broke_early: bool,
    unheard: Option<Duration>,
    attempts: u32,
    request: Option<(HeaderMap, Bytes)>,
}

/// Who caused a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The client's request.
    Client,
    /// The gateway.
    Gateway,
    /// The upstream or the way to it.
    Upstream,
    /// A shared proxy on the way; no account is to blame.
    Proxy,
}

/// Whether another attempt makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// No: every upstream would refuse this request, or the request is not repeatable.
    Never,
    /// With another credential, and this one rests for a while, for the model that was asked.
    Next(Rest),
    /// With another credential, and this one rests for a while, for every model.
    Leave(Rest),
}

/// How long a credential rests for a model after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Not at all.
    None,
    /// The credential is not accepted.
    Unauthorized,
    /// Payment or permission is missing.
    Forbidden,
    /// The credential does not have the model.
    ModelMissing,
    /// Rate or quota; with the upstream's own estimate where it gives one.
    Quota(Option<Duration>),
    /// A passing fault of the upstream.
    Transient(Option<Duration>),
    /// The provider shut the account out until a person does this. Keys rest as without permission.
    NeedsAttention(crate::reason::Code),
}

/// An upstream's own error body, for clients of the same format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Status.
    pub status: u16,
    /// `content-type` of the body.
    pub content_type: Option<http::HeaderValue>,
    /// The body as received.
    pub body: Bytes,
}

impl Failure {
    fn with(fault: Fault, origin: Origin, retry: Retry, detail: String) -> Self {
        Self(Box::new(Inner {
            fault,
            origin,
            retry,
            relay: None,
            detail,
            broke_early: false,
            unheard: None,
            attempts: 0,
            request: None,
        }))
    }

    /// The client's request is wrong.
    pub fn client(fault: impl Into<Fault>) -> Self {
        Self::with(fault.into(), Origin::Client, Retry::Never, String::new())
    }

    /// The gateway cannot serve the request.
    pub fn gateway(fault: Fault) -> Self {
        Self::with(fault, Origin::Gateway, Retry::Never, String::new())
    }

    /// The upstream, or the way to it, failed in a way that may pass. `detail` is for logs.
    pub fn upstream(fault: Fault, detail: impl Into<String>) -> Self {
        let rest = Rest::Transient(fault.retry_after);
        Self::with(fault, Origin::Upstream, Retry::Next(rest), detail.into())
    }

    /// The same failure with another judgement.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// The same failure with another cause.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.0.origin = origin;
        self
    }

    /// The same failure with words for logs.
    #[must_use]
    pub fn with_detail(mut self, detail: String) -> Self {
        self.0.detail = detail;
        self
    }

    /// The same failure with the upstream's own body.
    #[must_use]
    pub fn with_relay(mut self, relay: Relay) -> Self {
        self.0.relay = Some(relay);
        self
    }

    /// The same failure, of an answer that broke after its head and before its first content.
    #[must_use]
    pub(crate) fn after_head(mut self) -> Self {
        self.0.broke_early = true;
        self
    }

    /// The same failure, of a kept connection that ended without a byte of an answer, so long after it was asked.
    #[must_use]
    pub(crate) fn after_silence(mut self, waited: Duration) -> Self {
        self.0.unheard = Some(waited);
        self
    }

    /// How long after it was asked a kept connection ended without a byte of an answer, if that is what happened.
    pub(crate) fn unheard(&self) -> Option<Duration> {
        self.0.unheard
    }

    /// The same failure, as the last of so many attempts.
    #[must_use]
    pub(crate) fn after_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// The same failure, with the request that it is of.
    #[must_use]
    pub(crate) fn with_request(mut self, headers: HeaderMap, body: Bytes) -> Self {
        self.0.request = Some((headers, body));
        self
    }

    /// The request that failed: its headers without the client's key, and its body.
    pub fn request(&self) -> Option<&(HeaderMap, Bytes)> {
        self.0.request.as_ref()
    }

    /// Whether the answer had a head and broke before its first content.
    pub(crate) fn broke_early(&self) -> bool {
        self.0.broke_early
    }

    /// Whether the gateway has tried more than once, so that a client need not.
    pub fn was_retried(&self) -> bool {
        self.0.attempts > 1
    }

    /// What the client may see.
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// What the client may see, to change it.
    pub fn fault_mut(&mut self) -> &mut Fault {
        &mut self.0.fault
    }

    /// Who caused it.
    pub fn origin(&self) -> Origin {
        self.0.origin
    }

    /// Whether another attempt makes sense.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Whether the upstream did not accept the credential.
    pub fn is_unauthorized(&self) -> bool {
        matches!(self.0.retry, Retry::Next(Rest::Unauthorized) | Retry::Leave(Rest::Unauthorized))
    }

    /// Whether another model may be able to do what this one cannot at the moment. A wrong request is wrong for all.
    pub fn may_fall_back(&self) -> bool {
        match self.0.retry {
            Retry::Next(_) | Retry::Leave(_) => true,
            Retry::Never => {
                self.0.origin == Origin::Gateway
                    && matches!(self.0.fault.kind, Kind::RateLimit | Kind::Unavailable)
            }
        }
    }

    /// The upstream's own error body, to be relayed to a client of the same format.
    pub fn relay(&self) -> Option<&Relay> {
        self.0.relay.as_ref()
    }

    /// The upstream's own error body, taken out because the client speaks another format.
    #[must_use]
    pub fn without_relay(mut self) -> Self {
        self.0.relay = None;
        self
    }

    /// For logs; never for clients.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What is shown to a client once the router has given up: a refusal of the gateway's own credential must not look
    /// like a refusal of the client's key.
    #[must_use]
    pub fn for_client(mut self) -> Self {
        let is_credential =
            matches!(self.0.fault.kind, Kind::Authentication) && self.0.origin == Origin::Upstream;
        if is_credential {
            self.0.relay = None;
            let upstream = std::mem::replace(
                &mut self.0.fault,
                Fault::new(
                    Kind::BadUpstream,
                    "the upstream does not accept the gateway's credential for this model",
                )
                .with_code("upstream_auth_failed"),
            );
            self.0.detail = format!("{}; {}", upstream.message, self.0.detail);
        }
        self
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({:?}, {:?}, {:?}, {})", self.0.fault, self.0.origin, self.0.retry, self.0.detail)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.fault.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_pointer_wide() {
        assert_eq!(size_of::<Failure>(), size_of::<usize>());
    }

    #[test]
    fn a_refused_credential_of_ours_does_not_look_like_the_clients() {
        let failure = Failure::upstream(Fault::new(Kind::Authentication, "bad key"), "").for_client();
        assert_eq!(failure.fault().kind, Kind::BadUpstream);
        assert_eq!(failure.fault().code.as_deref(), Some("upstream_auth_failed"));
        let own = Failure::client(Fault::new(Kind::Authentication, "no key")).for_client();
        assert_eq!(own.fault().kind, Kind::Authentication);
    }
}
