//! Lanes 1 and 2: the same format on both sides, so bytes pass and a tap reads along.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cliproxy_wire::codec::{Bridge, ClientContext, Notes, Target};
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::format::stream_encoder;
use cliproxy_wire::gemini::served_as;
use cliproxy_wire::json;
use cliproxy_wire::json::patch::{Edit, Path};
use cliproxy_wire::lane::{
    self, Acceptance, AnswerEnvelope, Changes, Envelope, Progress, Purpose, Relay, Restricted, Restriction,
    Rewrite, Whole, rename, restrict, rewrite,
};
use cliproxy_wire::model::{Event, Usage};
use cliproxy_wire::profile::{Dialect, Profile};
use cliproxy_wire::reasoning;
use cliproxy_wire::sse::Ending;

use super::Job;
use super::attempt::{LONGEST_ANSWER, Outbound, Way, decode, echoes, read_fault};
use super::pipe::{Decode, LONGEST_FRAME};
use crate::failure::Failure;
use crate::provider::{self, Operation};
use crate::route::Offer;
use crate::upstream::{Pieces, ReadError, UpstreamBody};
use cliproxy_wire::Format;

/// How bytes pass.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    lane: &'static str,
    changes: Changes,
    /// The stream is a JSON array (Gemini without `alt=sse`).
    pub(super) is_array: bool,
}

/// The request with only what must change changed; `None` when this attempt cannot pass bytes.
pub(super) fn request(
    job: &mut Job,
    offer: &Offer,
    target: &Target<'_>,
) -> Result<Option<Outbound>, Failure> {
    let format = job.call.format;
    // A repaired history and the odd shapes of the Chat route go through the model.
    // So does what Antigravity does not take of the Gemini API.
    if target.repair.is_some()
        || job.call.is_legacy_completion
        || job.peeked.is_responses_shape
        || target.profile.dialect == Dialect::Antigravity
        || names_files(job, target.profile)
    {
        return Ok(None);
    }
    let mut notes = Notes::default();
    let plan = match job.suffix {
        Some(_) => {
            let request = job.request()?;
            Some(reasoning::plan(request, target, &mut notes).map_err(Failure::client)?)
        }
        None => None,
    };
    let edits = match job.call.operation {
        // A compaction is never streamed, and its route knows no such member.
        Operation::Compact => vec![Edit::remove(Path::root().key("stream"))],
        Operation::CountTokens => match counted(job, target)? {
            Some(edits) => edits,
            None => return Ok(None),
        },
        _ => Vec::new(),
    };
    let wants_stream = job.call.operation == Operation::Stream;
    let stream =
        (job.call.operation != Operation::Compact && wants_stream != target.stream).then_some(target.stream);
    // Gemini says the model in the path.
    let names_another = |model: &&str| **model != *offer.upstream && format != Format::Gemini;
    let model = job.peeked.model.as_deref().filter(names_another).map(|_| &*offer.upstream);
    let envelope = envelope(job, offer, target);
    let is_enveloped = envelope != Envelope::None;
    let has_envelope = lane::may_hold_envelope(&job.call.body);
    let is_changed = plan.is_some() || has_envelope || !edits.is_empty() || stream.is_some();
    let body = match (model, &job.peeked.model_at) {
        _ if is_changed || is_enveloped => {
            let accepts = has_envelope.then_some(Acceptance {
                owner: target.profile.owner,
                scope: target.scope,
                needs_signatures: target.caps.needs_signatures,
            });
            rewritten(
                job,
                &Rewrite {
                    model,
                    stream,
                    plan: plan.as_ref(),
                    accepts,
                    edits,
                    envelope,
                    ..Rewrite::default()
                },
            )?
        }
        (None, _) => None,
        (Some(model), Some(at)) => rename(&job.call.body, at.clone(), model).map(Pieces::from),
        (Some(_), None) => rewritten(job, &Rewrite { model, ..Rewrite::default() })?,
    };
    let body = if lane::restricts(target.profile) {
        // What is read here is read again by such a relative's provider: it is put together once.
        let whole = body.as_ref().map(Pieces::whole);
        match restricted(job, target, whole.as_deref(), &mut notes)? {
            Fit::AsItIs => whole.map(Pieces::from),
            Fit::Changed(text) => Some(Bytes::from(text).into()),
            Fit::NotAtAll => return Ok(None),
        }
    } else {
        body
    };
    let changes = Changes {
        model: echoes(job, offer).then(|| job.shown().as_ref().to_owned()),
        // Some look-alikes of Gemini know one kind of stream alone.
        is_sse: (format == Format::Gemini).then_some(job.call.is_sse),
        envelope: match envelope {
            Envelope::None | Envelope::Keep { .. } => AnswerEnvelope::Keep,
            Envelope::Wrap { .. } => AnswerEnvelope::Unwrap,
            Envelope::Unwrap => AnswerEnvelope::Wrap,
        },
        restores_output: target.profile.omits_output && job.call.operation != Operation::Compact,
        ..Changes::default()
    };
    let lane = if body.is_some() || changes.model.is_some() { "patch" } else { "passthrough" };
    Ok(Some(Outbound {
        body: body.unwrap_or_else(|| job.call.body.clone().into()),
        betas: Vec::new(),
        way: Way::Relay(Plan { lane, changes, is_array: format == Format::Gemini && !job.call.is_sse }),
        dropped: notes.header(),
    }))
}

/// What makes a body one for counting; `None` when only a translation does. An envelope is of a service that has its own
/// form for this, and how hard to think is told in settings, of which few count.
fn counted(job: &Job, target: &Target<'_>) -> Result<Option<Vec<Edit>>, Failure> {
    if job.call.is_enveloped || job.suffix.is_some() {
        return Ok(None);
    }
    lane::counted(job.call.format, job.text()?, target.profile, target.model).map_err(Failure::client)
}

/// Whether a body may name files by addresses that its upstream does not read, although it has the upstream's format:
/// such files are read here or refused with their place, for which the body has to be read.
pub(super) fn names_files(job: &Job, profile: &Profile) -> bool {
    if job.call.format != Format::Gemini || profile.format != Format::Gemini || profile.accepts_media_urls {
        return false;
    }
    job.mentions("fileUri") || job.mentions("file_uri")
}

/// What becomes of Code Assist's envelope; the project is the credential's and is added with it.
fn envelope<'a>(job: &Job, offer: &Offer, target: &Target<'a>) -> Envelope<'a> {
    let model = served_as(target.model);
    match (job.call.is_enveloped, target.profile.is_enveloped) {
        (false, false) => Envelope::None,
        (false, true) => Envelope::Wrap { model, project: None, user_prompt_id: None },
        (true, false) => Envelope::Unwrap,
        (true, true) => Envelope::Keep { model, keeps_project: offer.credential.project.is_none() },
    }
}

/// How a body fits a relative of its format.
enum Fit {
    AsItIs,
    Changed(String),
    /// Only a translation makes it fit.
    NotAtAll,
}

/// Takes out of the body, as it was changed so far, what a relative of the format refuses.
fn restricted(
    job: &Job,
    target: &Target<'_>,
    body: Option<&[u8]>,
    notes: &mut Notes,
) -> Result<Fit, Failure> {
    let text = match body {
        Some(body) => json::text(body).map_err(Failure::client)?,
        None => job.text()?,
    };
    let purpose = match job.call.operation {
        Operation::Compact => Purpose::Compact,
        _ => Purpose::Answer,
    };
    let session = provider::session(&job.call.headers);
    let restriction = Restriction { target, purpose, session };
    let Some(Restricted { edits, notes: missed }) = restrict(text, &restriction).map_err(Failure::client)?
    else {
        return Ok(Fit::NotAtAll);
    };
    missed.paths().iter().for_each(|path| notes.add(path));
    if edits.is_empty() {
        return Ok(Fit::AsItIs);
    }
    Ok(match json::patch::apply(text, &edits).map_err(Failure::client)? {
        Cow::Borrowed(_) => Fit::AsItIs,
        Cow::Owned(text) => Fit::Changed(text),
    })
}

/// The changed body; `None` when nothing changed.
fn rewritten(job: &Job, changes: &Rewrite<'_>) -> Result<Option<Pieces>, Failure> {
    Ok(match rewrite(job.call.format, job.text()?, changes).map_err(Failure::client)? {
        Cow::Borrowed(_) => None,
        Cow::Owned(text) => Some(Bytes::from(text).into()),
    })
}

impl Plan {
    pub(super) fn lane(&self) -> &'static str {
        self.lane
    }

    pub(super) fn pipe(self, job: &mut Job, offer: &Offer, status: http::StatusCode) -> RelayPipe {
        RelayPipe {
            lane: self.lane,
            relay: Relay::new(job.call.format, self.changes, LONGEST_FRAME).awaiting(job.peeked.n_choices),
            request_id: Arc::clone(&job.call.request_id),
            whole: Some(Box::new(Unfolding {
                decode: decode(job, offer, status, Bridge::default()),
                context: job.bare_context(echoes(job, offer)),
                format: job.call.format,
            })),
            held: Vec::new(),
            fault: None,
            has_failed: false,
            usage: None,
        }
    }

    /// A whole answer out of a stream of the same format.
    pub(super) async fn gathered(
        &self,
        job: &Job,
        mut body: UpstreamBody,
        idle: Option<Duration>,
    ) -> Result<(Bytes, Usage), Fault> {
        let mut whole = Whole::new(LONGEST_FRAME);
        let mut length = 0;
        while !whole.is_over() {
            let Some(chunk) = body.next(idle).await.map_err(|error| read_fault(&error))? else { break };
            length += chunk.len();
            if length > LONGEST_ANSWER {
                return Err(read_fault(&ReadError::TooLarge));
            }
            whole.push(&chunk)?;
        }
        said(job, whole.finish(&self.changes)?)
    }

    pub(super) fn body(&self, job: &Job, body: Bytes) -> Result<(Bytes, Usage), Fault> {
        said(job, lane::body(job.call.format, body, &self.changes))
    }
}

/// What a whole body says, if it is an answer. What is left of a compacted conversation may be nothing.
fn said(job: &Job, relayed: lane::Body) -> Result<(Bytes, Usage), Fault> {
    if let Some(fault) = relayed.fault.filter(|_| relayed.is_json) {
        return Err(fault);
    }
    if relayed.is_empty && job.call.operation != Operation::Compact {
        return Err(Fault::empty());
    }
    if relayed.is_answer {
        return Ok((relayed.bytes, relayed.usage.unwrap_or_default()));
    }
    if !relayed.is_json {
        return Err(Fault::unreadable(&relayed.bytes, "it is not JSON"));
    }
    let message = format!("the upstream's JSON is no answer of the {} format", job.call.format.name());
    Err(Fault::new(Kind::BadUpstream, message))
}

/// Whether a body is one JSON object: the error of a service, and not the page of some box on the way.
pub(super) fn is_object(body: &[u8]) -> bool {
    let Ok(mut reader) = json::Reader::from_bytes(body) else { return false };
    reader.kind() == json::Kind::Object && reader.skip().and_then(|()| reader.finish()).is_ok()
}

/// What is needed when a stream request is answered with a whole body.
#[derive(Debug)]
struct Unfolding {
    decode: Decode,
    context: ClientContext,
    format: Format,
}

/// Passes bytes; a tap reads along.
#[derive(Debug)]
pub(super) struct RelayPipe {
    lane: &'static str,
    relay: Relay,
    request_id: Arc<str>,
    whole: Option<Box<Unfolding>>,
    /// Bytes before the answer has begun: an error among them may still be another credential's chance.
    held: Vec<Bytes>,
    fault: Option<Fault>,
    /// The gateway has said the fault: nothing may follow.
    has_failed: bool,
    usage: Option<Usage>,
}

impl RelayPipe {
    pub(super) fn push(&mut self, bytes: Bytes, out: &mut Vec<Bytes>) {
        let had_begun = self.has_begun();
        let target = if had_begun { &mut *out } else { &mut self.held };
        let result = self.relay.push(bytes, target);
        if !had_begun && self.has_begun() {
            self.whole = None;
            out.append(&mut self.held);
        }
        if let Err(fault) = result {
            self.fail(fault, out);
        } else if self.fault.is_none() {
            self.fault = self.relay.tap().fault().cloned();
        }
    }

    pub(super) fn finish(&mut self, broken: Option<Fault>, out: &mut Vec<Bytes>) {
        let had_begun = self.has_begun();
        let target = if had_begun { &mut *out } else { &mut self.held };
        match self.relay.finish(target) {
            Ok(Ending::Body(body)) if broken.is_none() => return self.unfold(&body, out),
            Ok(_) => {}
            Err(fault) => return self.fail(broken.unwrap_or(fault), out),
        }
        if self.fault.is_none() {
            self.fault = self.relay.tap().fault().cloned();
        }
        if self.fault.is_none() && broken.is_none() && self.relay.tap().is_empty() {
            self.fault = Some(Fault::empty());
        } else if self.has_begun() || (self.fault.is_none() && self.relay.tap().is_complete()) {
            out.append(&mut self.held);
            self.whole = None;
        }
        // What the client has must not look complete when it is not.
        if self.fault.is_none() && (broken.is_some() || self.relay.is_truncated()) {
            self.fail(broken.unwrap_or_else(Fault::truncated), out);
        }
    }

    fn fail(&mut self, fault: Fault, out: &mut Vec<Bytes>) {
        if self.has_begun() && self.fault.is_none() {
            out.push(self.relay.fail(&fault, &self.request_id));
        }
        self.fault.get_or_insert(fault);
        self.has_failed = true;
    }

    /// A whole body in answer to a stream request.
    fn unfold(&mut self, body: &[u8], out: &mut Vec<Bytes>) {
        let Some(mut whole) = self.whole.take() else { return };
        if lane::is_empty(whole.format, body) {
            self.fault = Some(Fault::empty());
            return;
        }
        let mut encoder = stream_encoder(whole.format, whole.context.clone());
        let mut buffer = Vec::new();
        let (fault, usage) = (&mut self.fault, &mut self.usage);
        whole.decode.body(body, &mut |event| match event {
            Event::Error(error) => *fault = Some(*error),
            event => {
                if let Event::Usage(counts) = &event {
                    usage.get_or_insert_default().merge(counts);
                }
                encoder.event(event, &mut buffer);
            }
        });
        if self.fault.is_none() {
            out.push(buffer.into());
        }
    }

    pub(super) fn keep_alive(&self, format: Format, out: &mut Vec<u8>) {
        // A line that is open must not be broken by a sign of life.
        if !self.relay.is_between_frames() {
            return;
        }
        out.extend_from_slice(format.sign_of_life());
    }

    pub(super) fn has_begun(&self) -> bool {
        self.relay.progress() == Progress::Started
            || (self.relay.progress() == Progress::Failed && self.whole.is_none())
            || self.usage.is_some()
    }

    /// An error that the upstream says in its stream passes with what the upstream has to say after it.
    pub(super) fn is_over(&self) -> bool {
        self.has_failed || (self.fault.is_some() && !self.has_begun())
    }

    pub(super) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    pub(super) fn usage(&self) -> Usage {
        self.usage.clone().or_else(|| self.relay.tap().usage()).unwrap_or_default()
    }

    pub(super) fn lane(&self) -> &'static str {
        self.lane
    }
}
