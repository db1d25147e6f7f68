//! Taking down what goes to upstreams and what comes back, for request logs. Nothing is taken down unless a call brings
//! a tape along.

use std::fmt;

use http::{HeaderMap, Method, StatusCode, Uri};

use super::client::Outgoing;
use super::page;
use crate::credential::CredentialId;

/// Takes down one call. Attempts come one after the other. Called while answers are polled: it must not wait.
pub trait Tape: Send + Sync + fmt::Debug {
    /// An upstream is asked.
    fn asked(&self, asked: &Asked<'_>);
    /// The head of its answer came.
    fn answered(&self, status: StatusCode, headers: &HeaderMap);
    /// A piece of its answer came.
    fn piece(&self, bytes: &[u8]);
    /// No answer came, or it broke off.
    fn failed(&self, message: &str);
}

/// A request to an upstream.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks.
    pub credential: &'a CredentialId,
    /// Method.
    pub method: &'a Method,
    /// Address.
    pub uri: &'a Uri,
    /// Headers; credentials are marked sensitive.
    pub headers: &'a HeaderMap,
    /// Body.
    pub body: &'a [u8],
}

/// Takes down what a provider has prepared; but not what is answered inside the process, nor what is asked over a
/// websocket, over which is said what has not been said before.
pub(super) fn take_down(tape: &dyn Tape, credential: &CredentialId, outgoing: &Outgoing) {
    match outgoing {
        Outgoing::Http { method, uri, headers, body } => {
            tape.asked(&Asked { credential, method, uri, headers, body: &body.whole() });
        }
        Outgoing::Page(errand) => {
            let page::Ask { method, uri, headers, body, .. } = &**errand;
            tape.asked(&Asked { credential, method, uri, headers, body });
        }
        Outgoing::Socket(_) | Outgoing::Local { .. } => {}
    }
}

/// Takes down what is said over a websocket, once or, when a kept one turns out to be of no use, again.
pub(super) struct Script<'a>(pub(super) Option<(&'a dyn Tape, Asked<'a>)>);

impl Script<'_> {
    pub(super) fn said(&self, text: &str) {
        if let Some((tape, asked)) = self.0 {
            tape.asked(&Asked { body: text.as_bytes(), ..asked });
        }
    }

    pub(super) fn failed(&self, why: &str) {
        if let Some((tape, _)) = self.0 {
            tape.failed(why);
        }
    }
}
