//! A call: as the client says it ([`Call`]), and on its way with what is known of it so far ([`Job`]).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cliproxy_wire::codec::ClientContext;
use cliproxy_wire::format::{RequestContext, decode_count_request, decode_request};
use cliproxy_wire::json::Body;
use cliproxy_wire::model::{Media, Mode, Request, Str};
use cliproxy_wire::schema::Cleaned;
use cliproxy_wire::{Format, chat, image};
use http::HeaderMap;
use memchr::memmem;
use tokio::time::Instant;

use super::count::Counting;
use super::{picture, single};
use crate::access::allowance::Allowance;
use crate::credential::affinity::Session;
use crate::failure::Failure;
use crate::provider::Operation;
use crate::snapshot::Snapshot;
use crate::upstream::{Tape, Wanted};
use crate::usage::{Happening, Ticket};

/// What a client asks, in its own format.
#[derive(Debug)]
pub struct Call {
    /// The format.
    pub format: Format,
    /// What is asked.
    pub operation: Operation,
    /// Model of the path (Gemini), or the one that the server puts in the place of what the body says.
    pub path_model: Option<String>,
    /// The name that answers carry, where the server put another model in the place of the one that was asked for.
    pub shown_model: Option<Arc<str>>,
    /// Gemini: the stream is server-sent events instead of a JSON array.
    pub is_sse: bool,
    /// Gemini: the client wraps its requests as Code Assist does, and wants answers that are wrapped.
    pub is_enveloped: bool,
    /// The client's headers.
    pub headers: HeaderMap,
    /// Chat: the body and the answer are those of the deprecated text completions.
    pub is_legacy_completion: bool,
    /// The client's query without question mark.
    pub query: String,
    /// The body, decompressed.
    pub body: Bytes,
    /// Id of the request: seed of every id in the answer.
    pub request_id: Arc<str>,
    /// Takes down what goes to upstreams and comes back.
    pub tape: Option<Arc<dyn Tape>>,
    /// Name of the client key.
    pub client: Option<Arc<str>>,
    /// What the client key may do, where that is limited.
    pub allowance: Option<Arc<Allowance>>,
    /// Unix seconds.
    pub created: u64,
    /// The clock, in Unix seconds.
    pub now: fn() -> u64,
}

/// A call on its way, with what is known of it so far. Shared by its attempts.
pub(super) struct Job {
    pub(super) call: Call,
    pub(super) ticket: Arc<Ticket>,
    /// Schemas of earlier requests.
    pub(super) schemas: Arc<Cleaned>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) peeked: Peeked,
    pub(super) requested: Arc<str>,
    pub(super) model: Arc<str>,
    pub(super) suffix: Option<Mode>,
    /// The conversation, where it matters with whom it is.
    pub(super) session: Option<Session>,
    /// The call's body, and what is known of it as text.
    pub(super) body: Body,
    /// Decoded when an attempt needs it, and until one takes it to make it fit its upstream. Who is tried next decodes
    /// anew: that is rarer than what a copy for it would cost everybody.
    pub(super) request: Option<Request>,
    /// What was read at addresses that the request names.
    pub(super) read: Vec<(Wanted, Str, Media)>,
    /// How images are wanted; known with the request.
    pub(super) images: image::Wish,
    /// Who is asked to count tokens.
    pub(super) counting: Option<Counting>,
    /// The request is paid with credits of the account that is asked.
    pub(super) pays: bool,
    pub(super) started: Instant,
}

/// What was seen of a body, without holding on to its text.
pub(super) struct Peeked {
    pub(super) model: Option<String>,
    pub(super) model_at: Option<Range<usize>>,
    pub(super) is_responses_shape: bool,
    pub(super) is_form: bool,
    pub(super) is_stream: bool,
    pub(super) n_choices: u32,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({}, {})", self.call.request_id, self.requested)
    }
}

impl Job {
    /// The body as text.
    pub(super) fn text(&self) -> Result<&str, Failure> {
        self.body.text().map_err(Failure::client)
    }

    /// Whether a word occurs anywhere in the body.
    pub(super) fn mentions(&self, word: &str) -> bool {
        memmem::find(&self.call.body, word.as_bytes()).is_some()
    }

    /// The request, to look at.
    ///
    /// # Errors
    /// A body that is no request of the client's format.
    pub(super) fn request(&mut self) -> Result<&Request, Failure> {
        let request = self.take_request()?;
        Ok(self.request.insert(request))
    }

    /// The request, to be changed.
    ///
    /// # Errors
    /// A body that is no request of the client's format.
    pub(super) fn take_request(&mut self) -> Result<Request, Failure> {
        match self.request.take() {
            Some(request) => Ok(request),
            None => self.decoded(),
        }
    }

    fn decoded(&mut self) -> Result<Request, Failure> {
        let context = RequestContext {
            model: self.call.path_model.as_deref().unwrap_or_default(),
            stream: self.call.operation == Operation::Stream,
            schemas: Some(&self.schemas),
        };
        if let Operation::Draw | Operation::Redraw = self.call.operation {
            return self.drawing();
        }
        let decoded = if self.call.operation == Operation::CountTokens {
            decode_count_request(self.call.format, &self.body, context)
        } else if self.call.is_legacy_completion {
            chat::completions::decode_request(&self.call.body)
        } else {
            decode_request(self.call.format, &self.body, context)
        };
        let mut request = decoded.map_err(Failure::client)?;
        request.stream = self.call.operation == Operation::Stream;
        picture::inline(&mut request, &self.read);
        Ok(request)
    }

    /// The conversation that images are asked for in.
    fn drawing(&mut self) -> Result<Request, Failure> {
        let decoded = match single::form_of(&self.call)? {
            Some(parts) => image::decode_form(&parts),
            None if self.call.operation == Operation::Redraw => image::decode_edit(&self.call.body),
            None => image::decode_generation(&self.call.body),
        };
        let (mut request, wish) = decoded.map_err(Failure::client)?;
        self.images = wish;
        picture::inline(&mut request, &self.read);
        Ok(request)
    }

    pub(super) fn started(&self) -> Happening<'_> {
        Happening::Started {
            request_id: &self.call.request_id,
            at: self.call.created,
            client: self.call.client.as_ref(),
            format: self.call.format,
            model: &self.requested,
            is_stream: self.call.operation == Operation::Stream,
        }
    }

    /// The name of the model that the client knows.
    pub(super) fn shown(&self) -> &Arc<str> {
        self.call.shown_model.as_ref().unwrap_or(&self.requested)
    }

    /// The context for a client whose request was never decoded.
    pub(super) fn bare_context(&self, echoes_requested: bool) -> ClientContext {
        self.client_context(&Request::new(self.call.format, &**self.shown()), echoes_requested)
    }

    pub(super) fn client_context(&self, request: &Request, echoes_requested: bool) -> ClientContext {
        ClientContext {
            now: self.call.now,
            requested_model: self.shown().as_ref().into(),
            echoes_requested_model: echoes_requested,
            is_sse: self.call.is_sse,
            is_enveloped: self.call.is_enveloped,
            ..ClientContext::new(request, Arc::clone(&self.call.request_id), self.call.created)
        }
    }
}
